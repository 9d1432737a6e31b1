import type { CallKind } from '../customers/record.ts';
import type { ExplainedCall, ReasonKind } from './calls.ts';
import { curlOf } from './curl.ts';
import {
  type ConditionalCall,
  type ConditionalReason,
  type ExplainedReason,
  type Plan,
  type PlannedCall,
  type RefusedField,
  reasonText,
} from './explanation.ts';
import type { Placeholders } from './placeholders.ts';
import type { Course, RehearsedCall } from './rehearsal.ts';

/** A call of the client with the calls that it would send, in order. */
export interface PlannedStep {
  readonly call: ExplainedCall;
  readonly sent: RehearsedCall[];
}

/** The calls of one operation in each course. Queries have the course `success` only. */
export type Steps = Readonly<Record<Course, readonly PlannedStep[]>>;

/** The plan of an operation: the calls of the course `success`, with those of the other courses as conditional ones. */
export function planOf(
  { success, exists, unknown }: Steps,
  refused: readonly RefusedField[],
  { placeholders, hasVersion }: { readonly placeholders: Placeholders; readonly hasVersion: boolean },
): Plan {
  const nameOf = (identifier: string) => placeholders.nameOf(identifier);
  return { mode: 'plan', calls: success.flatMap(planned), refused };

  function planned({ call, sent: [first] }: PlannedStep, index: number): PlannedCall[] {
    if (first === undefined) return [];
    return [
      {
        call: call.number,
        ...common(call, first),
        reasons: call.reasons.map(reasonOf),
        after: call.after ?? null,
        curl: curlOf(first.call, hasVersion, nameOf),
        conditional: call.kind === 'get' ? [] : [...readsOfExisting(call), ...settlementOf(call, unknown[index])],
      },
    ];
  }

  /** The reads of a create that is refused because its reference exists. */
  function readsOfExisting({ kind, root }: ExplainedCall): ConditionalCall[] {
    if (kind !== 'create') return [];
    return exists
      .filter(({ call }) => call.root === root && call.kind === 'get')
      .flatMap(({ call, sent: [first] }) => (first === undefined ? [] : [readOfExisting(call, first)]));
  }

  function readOfExisting(call: ExplainedCall, sent: RehearsedCall): ConditionalCall {
    const reasons = call.reasons.map(({ kind, fields }) =>
      reasonOf({ kind: kind === 'READ' ? 'EXISTING' : kind, fields }),
    );
    return { condition: 'ALREADY_EXISTS', ...common(call, sent), reasons, curl: curlOf(sent.call, hasVersion, nameOf) };
  }

  /** The calls that settle a write whose outcome is unknown. */
  function settlementOf(call: ExplainedCall, step: PlannedStep | undefined): ConditionalCall[] {
    const [, ...further] = step?.sent ?? [];
    return further.map((sent) => {
      const isLookup = sent.settles === 'lookup';
      return {
        condition: isLookup ? 'OUTCOME_UNKNOWN' : 'NOT_APPLIED',
        ...common(call, sent),
        reads: 0,
        reasons: [reasonOf({ kind: isLookup ? 'LOOKUP' : 'REPEAT', fields: call.reasons[0]?.fields ?? [] })],
        curl: curlOf(sent.call, hasVersion, nameOf),
      };
    });
  }

  function common({ reads }: ExplainedCall, { call }: RehearsedCall) {
    const { method, path, routingId, withToken } = call;
    return {
      method,
      path: pathTemplateOf(path === '/customers' ? 'create' : 'get'),
      customer: nameOf(decodeURIComponent(routingId)),
      token: withToken,
      reads,
    };
  }
}

/** The path of a call without the id. */
export function pathTemplateOf(kind: CallKind): '/customers' | '/customers/{customer_id}' {
  return kind === 'create' ? '/customers' : '/customers/{customer_id}';
}

export function reasonOf({
  kind,
  fields,
}: {
  readonly kind: ReasonKind | ConditionalReason;
  readonly fields: readonly string[];
}): ExplainedReason {
  return { kind, fields, text: reasonText(kind, fields) };
}
