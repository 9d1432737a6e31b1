import { performance } from 'node:perf_hooks';
import type { Caller } from '../auth/caller.ts';
import { correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
import type { Pseudonyms } from '../telemetry/pseudonyms.ts';
import type { RequestState } from './state.ts';

/** Reports the requests of GraphQL to the log and the metrics, and ends their spans. Requests such as `/health` are none. */
export interface Report {
  /** An operation whose answer is known: all its fields have ended, also those that outlasted the connection of the client. */
  answered(state: RequestState): void;
  /** A request that was refused before its operation was known. Only counted: other lines report why, within their limit. */
  refused(state: RequestState): void;
}

/** The merchant of a caller. */
interface CallerMerchant {
  readonly merchantId: string;
  readonly pseudonyms: Pseudonyms;
}

export function createReport(options: {
  readonly log: Required<Log>;
  readonly metrics: Metrics | undefined;
  readonly merchantOf: (caller: Caller) => CallerMerchant | undefined;
}): Report {
  const { log, metrics, merchantOf } = options;

  return {
    answered(state) {
      try {
        reportOperation(state);
      } catch (cause) {
        // The operation has ended, and its writes may have been executed. A fault of the report must not replace its answer.
        log.error('unexpected error', { ...correlationOf(state), cause });
      }
    },
    refused: (state) => end(state, performance.now() - state.startedAtMs, undefined),
  };

  function reportOperation(state: RequestState): void {
    const durationMs = performance.now() - state.startedAtMs;
    const merchant = state.caller && merchantOf(state.caller);
    const { answer, caller, record, traceId } = state;
    end(state, durationMs, merchant?.merchantId);
    if (answer === undefined || log.isInfoDropped) return;
    log.operation({
      requestId: state.requestId,
      traceId,
      operationName: answer.operationName,
      documentHash: answer.document?.hash(),
      type: answer.operationType,
      codes: sumOf(answer.codes, record.failures),
      counts: record,
      durationMs,
      caller: caller && merchant && pseudonymOf(caller, merchant),
      merchant: merchant?.merchantId,
    });
  }

  function end(state: RequestState, durationMs: number, merchant: string | undefined): void {
    const { answer, span, record, sampledTraceId: traceId } = state;
    if (answer === undefined) return;
    const { status, operationType: type, outcome } = answer;
    span?.end({ status, outcome, operationType: type, record });
    metrics?.operation({ type, outcome, durationMs, merchant, counts: record, traceId });
  }
}

/** `undefined` if the key of the merchant cannot be read. The calls of the operation report that. */
function pseudonymOf({ name }: Caller, merchant: CallerMerchant): string | undefined {
  try {
    return merchant.pseudonyms.ofCaller(name);
  } catch {
    return undefined;
  }
}

type Codes = Readonly<Record<string, number>> | undefined;

function sumOf(one: Codes, other: Codes): Codes {
  if (one === undefined || other === undefined) return one ?? other;
  const sum = { ...one };
  for (const code in other) sum[code] = (sum[code] ?? 0) + (other[code] ?? 0);
  return sum;
}
