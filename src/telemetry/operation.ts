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
 * Writes the same line as text, by concatenation: 1 µs instead of 4 for {@link operationFields} and the general formatter. Most
 * operations did what the one before them did, so the parts of the last line are kept: 0.3 µs and 3 kB less. Only the merchant id needs escapes: the other
 * texts are ids, names, hashes and constants of the gateway.
 */
export function createOperationLines(): (entry: OperationEntry, time: string) => string {
  let done = doneBy(noOperation);
  let end = endFor(undefined);
  return (entry, time) => {
    const { traceId, caller, merchant } = entry;
    if (!done.isOf(entry)) done = doneBy(entry);
    if (end.merchant !== merchant) end = endFor(merchant);
    const trace = traceId === undefined ? '' : `,"traceId":"${traceId}"`;
    const start = `{"level":"info","time":"${time}","requestId":"${entry.requestId}"${trace}`;
    const by = caller === undefined ? '' : `,"caller":"${caller}"`;
    return `${start}${done.text}${tenths(entry.durationMs)}${by}${end.text}`;
  };
}

type Done = Pick<OperationEntry, 'operationName' | 'documentHash' | 'type' | 'codes' | 'counts'>;

/** The part of a line that says what the operation did. */
function doneBy({ operationName, documentHash, type, codes, counts }: Done) {
  // A copy: the counters of an operation can change after its line.
  const { gets, creates, updates, mergedReads, sharedReads, tokens, retries } = counts;
  let text = '';
  if (operationName !== undefined) text += `,"operationName":"${operationName}"`;
  if (documentHash !== undefined) text += `,"documentHash":"${documentHash}"`;
  text += `,"operationType":"${type ?? 'none'}","outcome":"${outcomeOf(codes)}"`;
  if (codes !== undefined) text += `,"codes":${JSON.stringify(codes)}`;
  text += `,"gets":${gets},"creates":${creates},"updates":${updates}`;
  text += `,"mergedReads":${mergedReads},"sharedReads":${sharedReads}`;
  text += `,"tokensMinted":${tokens},"retries":${retries},"durationMs":`;
  return {
    text,
    isOf: (other: Done) =>
      codes === undefined &&
      other.codes === undefined &&
      other.documentHash === documentHash &&
      other.operationName === operationName &&
      other.type === type &&
      other.counts.gets === gets &&
      other.counts.creates === creates &&
      other.counts.updates === updates &&
      other.counts.mergedReads === mergedReads &&
      other.counts.sharedReads === sharedReads &&
      other.counts.tokens === tokens &&
      other.counts.retries === retries,
  };
}

function endFor(merchant: string | undefined) {
  const of = merchant === undefined ? '' : `,"merchant":${JSON.stringify(merchant)}`;
  return { merchant, text: `${of},"message":"${operationMessage}"}\n` };
}

const noOperation: Done = {
  operationName: undefined,
  documentHash: undefined,
  type: undefined,
  codes: undefined,
  counts: { gets: 0, creates: 0, updates: 0, retries: 0, mergedReads: 0, sharedReads: 0, tokens: 0 },
};

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
