import type { Access } from '../customers/access.ts';
import { reading } from '../customers/customer.ts';
import { OperationRecord } from '../customers/record.ts';
import type { Answer } from '../execution/answer.ts';
import type { Engine } from '../execution/engine.ts';
import { createOperations, type OperationsOptions } from '../graphql/operations.ts';
import { createLog } from '../telemetry/log.ts';
import { Asks } from './asks.ts';
import { Calls } from './calls.ts';
import type { Explained } from './explained.ts';
import type { RefusedField } from './explanation.ts';
import { Identities } from './identities.ts';
import { Placeholders } from './placeholders.ts';
import { type PlannedStep, planOf } from './plan.ts';
import { type Course, rehearse } from './rehearsal.ts';

/** Runs the operation with a provider that is not there, and answers with the calls that would be made. */
export function createPlanning(engine: Engine, operations: OperationsOptions, hasVersion: boolean): Explained {
  const steps: Record<Course, PlannedStep[]> = { success: [], exists: [], unknown: [] };
  const failedWrites: RefusedField[] = [];
  let course: Course = 'success';
  let identities: Identities | undefined;

  return {
    engine: {
      async run(params, request) {
        const answer = await engine.run(params, request);
        // How the writes of a mutation end decides on further calls.
        for (const other of ['exists', 'unknown'] as const) {
          if (answer.operationType !== 'mutation') break;
          course = other;
          await engine.run(params, request);
        }
        return answer;
      },
    },
    openOperation(state, request) {
      const asks = new Asks();
      const calls = new Calls(asks);
      const current = course;
      const { caller } = state;
      identities ??= new Identities(caller ?? nobody);
      const known = identities;
      const client = caller && operations.clientOf(caller);
      const rehearsed = createOperations({
        ...operations,
        inFlight: unused,
        log: createLog('silent'),
        metrics: undefined,
        clientOf: () =>
          client && {
            merchantId: client.merchantId,
            server: undefined,
            pseudonyms: { of: () => '', ofCaller: () => '' },
            acquire() {},
            release() {},
            hasRead: () => false,
            open: (operation) =>
              reading(
                calls.noted((call) => {
                  const sent: PlannedStep['sent'] = [];
                  if (call !== undefined) steps[current].push({ call, sent });
                  return rehearse(current, known, (rehearsed) => sent.push(rehearsed))(operation);
                }),
              ),
          },
      });
      // The record of the request counts what was sent: nothing.
      const { requestId, traceId, startedAtMs, address } = state;
      const use = (resource: Parameters<typeof state.use>[0]) => state.use(resource);
      const record = new OperationRecord();
      const own = { requestId, traceId, startedAtMs, caller, address, record, span: undefined, use };
      const context = rehearsed.open(own, request);
      const { caller: rights, customers, write } = context;
      return {
        ...{ requestId, caller: rights, write },
        customers: asks.noted(customers, (key) => known.add(key)),
        onUnexpected: (cause) => context.onUnexpected(cause),
        audit: ({ outcome }) => {
          if (current === 'success' && !writeOutcomes.includes(outcome))
            failedWrites.push({ field: asks.root, code: outcome });
        },
        asks,
      };
    },
    explain(answer) {
      if (identities === undefined) return answer;
      const plan = planOf(steps, refusedFields(answer, failedWrites), {
        placeholders: new Placeholders(identities),
        hasVersion,
      });
      return { ...answer, outcome: 'OK', body: JSON.stringify({ data: null, extensions: { explain: plan } }) };
    },
  };
}

const nobody: Access = { customers: 'none', denied: true };

const unused = { acquire() {}, release() {} };

/** Outcomes of successful writes in the audit. */
const writeOutcomes = ['CREATED', 'RECONCILED', 'UPDATED'];

/** The errors of the answer, and the failures of writes that are data. */
function refusedFields({ body }: Answer, failedWrites: readonly RefusedField[]): RefusedField[] {
  const { errors = [] } = JSON.parse(body) as {
    errors?: readonly { path?: readonly (string | number)[]; extensions: { code: string } }[];
  };
  const reported = errors.map(({ path = [], extensions: { code } }) => ({ field: path.join('.'), code }));
  const fields = new Set(reported.map(({ field }) => field));
  return [...reported, ...failedWrites.filter(({ field }) => !fields.has(field))];
}
