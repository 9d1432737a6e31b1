/** What an operation did, by the counters of its record. */
export interface OperationCounts {
  /** Attempts of each upstream call that were sent. */
  readonly gets: number;
  readonly creates: number;
  readonly updates: number;
  /** Those of the attempts that sent their call again. */
  readonly retries: number;
  /** Reads that another read of the same operation served. */
  readonly mergedReads: number;
  /** Reads that an in-flight read of another operation served. */
  readonly sharedReads: number;
  /** Responses that carried a client auth token. */
  readonly tokens: number;
}

/** A finished operation. Its text comes from the caller in one field only, the name. */
export interface OperationEntry {
  readonly requestId: string;
  readonly traceId?: string | undefined;
  /** The name of the operation in its document: a GraphQL name. */
  readonly operationName: string | undefined;
  /** `undefined` if the document cannot be parsed. */
  readonly documentHash: string | undefined;
  /** `undefined` if the operation was not executed. */
  readonly type: 'query' | 'mutation' | 'subscription' | undefined;
  /** The number of errors by code, and of failures that are part of the result. `undefined` if there are none. */
  readonly codes: Readonly<Record<string, number>> | undefined;
  readonly counts: OperationCounts;
  readonly durationMs: number;
  /** A pseudonym, made with the key of the merchant; `undefined` without a merchant. */
  readonly caller: string | undefined;
  readonly merchant: string | undefined;
}

export const operationMessage = 'operation';

/** The fields of the line, for a log that formats its own lines. */
export function operationFields(entry: OperationEntry) {
  const { requestId, traceId, operationName, documentHash, type, codes, counts, caller, merchant } = entry;
  const { gets, creates, updates, retries, mergedReads, sharedReads, tokens } = counts;
  return {
    requestId,
    ...(traceId !== undefined && { traceId }),
    ...(operationName !== undefined && { operationName }),
    ...(documentHash !== undefined && { documentHash }),
    operationType: type ?? 'none',
    outcome: outcomeOf(codes),
    ...(codes !== undefined && { codes }),
    gets,
    creates,
    updates,
    mergedReads,
    sharedReads,
    tokensMinted: tokens,
    retries,
    durationMs: tenths(entry.durationMs),
    ...(caller !== undefined && { caller }),
    ...(merchant !== undefined && { merchant }),
  };
}

/**
 * The same line as text, by concatenation: 1 µs instead of 4 for {@link operationFields} and the general formatter. Only the merchant
 * id needs escapes: the other texts are ids, names, hashes and constants of the gateway.
 */
export function operationLine(entry: OperationEntry, time: string): string {
  const { traceId, operationName, documentHash, codes, counts, caller, merchant } = entry;
  let text = `{"level":"info","time":"${time}","requestId":"${entry.requestId}"`;
  if (traceId !== undefined) text += `,"traceId":"${traceId}"`;
  if (operationName !== undefined) text += `,"operationName":"${operationName}"`;
  if (documentHash !== undefined) text += `,"documentHash":"${documentHash}"`;
  text += `,"operationType":"${entry.type ?? 'none'}","outcome":"${outcomeOf(codes)}"`;
  if (codes !== undefined) text += `,"codes":${JSON.stringify(codes)}`;
  text += `,"gets":${counts.gets},"creates":${counts.creates},"updates":${counts.updates}`;
  text += `,"mergedReads":${counts.mergedReads},"sharedReads":${counts.sharedReads}`;
  text += `,"tokensMinted":${counts.tokens},"retries":${counts.retries},"durationMs":${tenths(entry.durationMs)}`;
  if (caller !== undefined) text += `,"caller":"${caller}"`;
  if (merchant !== undefined) text += `,"merchant":${JSON.stringify(merchant)}`;
  return `${text},"message":"${operationMessage}"}\n`;
}

/** Returns the time as text. Formats it once for each millisecond: the lines of many operations have the same one. */
export function createClock(): () => string {
  let lastMs = 0;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== lastMs) {
      lastMs = nowMs;
      text = new Date(nowMs).toISOString();
    }
    return text;
  };
}

/** `OK`, or the first code. */
function outcomeOf(codes: OperationEntry['codes']): string {
  for (const code in codes) return code;
  return 'OK';
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
