import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FaultName, faultNames } from '../../src/sandbox/faults.ts';
import {
  codesOf,
  createOperation,
  type Harness,
  newCustomer,
  resultOf,
  updateOperation,
  withHarness,
} from '../support.ts';

/** The results of each operation under a persistent fault. `null`: there is no such customer. */
interface Expected {
  readonly read: string | null;
  readonly create: string;
  readonly update: string;
  /** Number of calls of the read. */
  readonly calls: number;
}

const misconfigured: Expected = {
  read: 'UPSTREAM_MISCONFIGURED',
  create: 'UPSTREAM_MISCONFIGURED',
  update: 'UPSTREAM_MISCONFIGURED',
  calls: 1,
};
const rejected: Expected = {
  read: 'UPSTREAM_REJECTED',
  create: 'UPSTREAM_REJECTED',
  update: 'UPSTREAM_REJECTED',
  calls: 1,
};
const invalid: Expected = {
  read: 'UPSTREAM_REJECTED',
  create: 'VALIDATION_FAILED',
  update: 'VALIDATION_FAILED',
  calls: 1,
};
const absent: Expected = { read: null, create: 'UPSTREAM_MISCONFIGURED', update: 'NOT_FOUND', calls: 1 };
const unknown = (read: string, calls: number): Expected => ({
  read,
  create: 'OUTCOME_UNKNOWN',
  update: 'OUTCOME_UNKNOWN',
  calls,
});
const malformed = unknown('UPSTREAM_MALFORMED', 2);
const fine: Expected = { read: 'ok', create: 'ok', update: 'ok', calls: 1 };

/** Every fault of the sandbox, by the rows of the design document, part 6. */
const matrix: Readonly<Record<FaultName, Expected>> = {
  duplicate: { read: 'UPSTREAM_REJECTED', create: 'ALREADY_EXISTS', update: 'UPSTREAM_REJECTED', calls: 1 },
  empty_reference: invalid,
  invalid,
  missing_parameter: invalid,
  not_found: absent,
  unauthorized: misconfigured,
  bad_origin: misconfigured,
  bad_origin_old: misconfigured,
  wrong_route: misconfigured,
  forbidden: misconfigured,
  merchant: misconfigured,
  busy: { read: 'UPSTREAM_UNAVAILABLE', create: 'OUTCOME_UNKNOWN', update: 'UPSTREAM_UNAVAILABLE', calls: 2 },
  rejected,
  error_in_200: rejected,
  not_found_in_200: absent,
  500: unknown('UPSTREAM_UNAVAILABLE', 2),
  501: unknown('UPSTREAM_UNAVAILABLE', 1),
  408: unknown('UPSTREAM_TIMEOUT', 3),
  429: { read: 'RATE_LIMITED', create: 'RATE_LIMITED', update: 'RATE_LIMITED', calls: 1 },
  502: unknown('UPSTREAM_UNAVAILABLE', 3),
  503: unknown('UPSTREAM_UNAVAILABLE', 3),
  504: unknown('UPSTREAM_UNAVAILABLE', 3),
  html: malformed,
  empty: malformed,
  array: malformed,
  null: malformed,
  bom: malformed,
  invalid_utf8: malformed,
  no_id: malformed,
  empty_id: malformed,
  two_ids: malformed,
  wrong_customer: malformed,
  deep: malformed,
  oversized: malformed,
  gzip: malformed,
  redirect: misconfigured,
  timeout: unknown('UPSTREAM_TIMEOUT', 3),
  reset: unknown('UPSTREAM_UNAVAILABLE', 3),
  close: unknown('UPSTREAM_UNAVAILABLE', 3),
  hang_body: unknown('UPSTREAM_TIMEOUT', 3),
  drip: unknown('UPSTREAM_TIMEOUT', 3),
  truncated: unknown('UPSTREAM_UNAVAILABLE', 3),
  truncated_close: malformed,
  slow: fine,
  extra_fields: fine,
  bad_dates: fine,
  wrong_types: fine,
  no_token: fine,
  null_token: fine,
  half_token: fine,
  camel_case: absent,
  error_info_text: absent,
};

/** The default timeouts; a short timeout for faults without a response, so that there is time for three attempts. */
const timeoutFor = (fault: FaultName) =>
  ['timeout', 'hang_body', 'drip'].includes(fault) ? { JUSPAY_TIMEOUT_MS: '400' } : {};
/** Short deadlines, because ambiguous writes are settled until the deadline. */
const shortDeadline = { JUSPAY_TIMEOUT_MS: '400', OPERATION_TIMEOUT_MS: '1200' };
/** Later than every deadline, so that no operation waits for it. */
const retryAfter = '50';

/** The stored customers with this reference. */
const stored = (harness: Harness, reference: string) =>
  harness.sandbox.customers.filter(({ objectReferenceId }) => objectReferenceId === reference);

const codeOf = (result: Record<string, unknown>) => result['code'] ?? 'ok';

for (const fault of faultNames) {
  const expected = matrix[fault];
  const delayMs = 20;

  test(`${fault}: a read MUST return ${expected.read} after ${expected.calls} calls`, () =>
    withHarness(async (harness) => {
      harness.sandbox.arm({ fault, times: 99, delayMs, ...(fault === '429' && { retryAfter }) });
      const answer = await harness.ask('{ customer(id: "u7") { id } }');
      assert.deepEqual(
        codesOf(answer),
        expected.read === 'ok' || expected.read === null ? {} : { customer: expected.read },
      );
      assert.equal(answer.data?.['customer'] === null, expected.read !== 'ok');
      assert.equal(harness.sandbox.calls.length, expected.calls);
      assert.equal(answer.status, 200);
      if (fault === '429') assert.equal(answer.errors?.[0]?.extensions['retryAfterSeconds'], 50);
    }, timeoutFor(fault)));

  test(`${fault}: a create with this fault on every call MUST NOT duplicate or lose a customer`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault, times: 99, delayMs, ...(fault === '429' && { retryAfter }) });
        const result = resultOf(
          await harness.ask(createOperation, { input: newCustomer('reference-1') }),
          'createCustomer',
        );
        assert.equal(codeOf(result), expected.create);
        assert.equal(stored(harness, 'reference-1').length, fault === 'slow' ? 1 : 0);
        assert.ok(harness.sandbox.calls.filter(({ route }) => route === 'create').length <= 2);
      },
      expected.create === 'OUTCOME_UNKNOWN' ? shortDeadline : timeoutFor(fault),
    ));

  test(`${fault}: an update with this fault on every call MUST return ${expected.update}`, () =>
    withHarness(
      async (harness) => {
        harness.sandbox.arm({ fault, times: 99, delayMs, ...(fault === '429' && { retryAfter }) });
        // The response may show the stored name instead of the new one. It is a success: the provider accepted the update.
        const result = resultOf(
          await harness.ask(updateOperation, { id: 'u7', input: { firstName: 'New' } }),
          'updateCustomer',
        );
        assert.equal(codeOf(result), expected.update);
        assert.ok(harness.sandbox.calls.filter(({ route }) => route === 'update').length <= 2);
      },
      expected.update === 'OUTCOME_UNKNOWN' ? shortDeadline : timeoutFor(fault),
    ));

  const isRefusal = expected.create !== 'OUTCOME_UNKNOWN' && expected.create !== 'ok';
  if (isRefusal) continue;

  test(`${fault}, once, before the commit: a create MUST succeed and create one customer`, () =>
    withHarness(async (harness) => {
      harness.sandbox.arm({ fault, on: 'create', delayMs });
      const result = resultOf(
        await harness.ask(createOperation, { input: newCustomer('reference-1') }),
        'createCustomer',
      );
      // These responses contain a customer that was never stored. The gateway cannot detect this.
      if (expected === fine && fault !== 'slow') return;
      assert.equal(result['origin'], 'CREATED');
      assert.equal(stored(harness, 'reference-1').length, 1);
    }, timeoutFor(fault)));

  test(`${fault}, once, after the commit: a create MUST succeed with one POST`, () =>
    withHarness(async (harness) => {
      harness.sandbox.arm({ fault, on: 'create', afterCommit: true, delayMs });
      const result = resultOf(
        await harness.ask(createOperation, { input: newCustomer('reference-1') }),
        'createCustomer',
      );
      assert.equal(result['origin'], expected === fine ? 'CREATED' : 'RECONCILED');
      assert.equal(stored(harness, 'reference-1').length, 1);
      assert.equal(harness.sandbox.calls.filter(({ route }) => route === 'create').length, 1);
    }, timeoutFor(fault)));

  for (const afterCommit of [false, true]) {
    test(`${fault}, once, ${afterCommit ? 'after' : 'before'} the commit: an update MUST succeed`, () =>
      withHarness(async (harness) => {
        harness.sandbox.arm({ fault, on: 'update', afterCommit, delayMs });
        const result = resultOf(
          await harness.ask(updateOperation, { id: 'u7', input: { mobileNumber: '9111111111' } }),
          'updateCustomer',
        );
        assert.equal(result['__typename'], 'UpdateCustomerSuccess');
        if (expected === fine && fault !== 'slow' && !afterCommit) return;
        assert.equal(stored(harness, 'u7')[0]?.mobileNumber, '9111111111');
        const posts = harness.sandbox.calls.filter(({ route }) => route === 'update').length;
        // "Another request is in progress" does not show whether this update was executed, so it is sent again.
        assert.equal(posts, (afterCommit && fault !== 'busy') || expected === fine ? 1 : 2);
      }, timeoutFor(fault)));
  }
}
