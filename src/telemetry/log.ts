import type { ErrorCode } from '../errors.ts';
import { createLineWriter, type LineWriter, type WriteLine } from './line-writer.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * What a line may hold: no field for bodies, names, e-mail, phone, references, tokens, keys or variables exists. Each field also
 * stands in {@link fieldNames}, which is checked when a line is written.
 */
export interface LogFields {
  requestId?: string;
  /** Of the caller's trace, where it sent one. */
  traceId?: string;
  code?: string;
  method?: string;
  /** One of the three calls, with the path id left out. */
  call?: string;
  status?: number;
  attempt?: number;
  durationMs?: number;
  /** The provider's own id of the request, where it sent one. */
  providerRequestId?: string;
  field?: string;
  /** Pseudonyms. */
  caller?: string;
  customer?: string;
  merchant?: string;
  operationName?: string;
  /** Names of fields, never values. */
  changed?: readonly string[];
  outcome?: string;
  /** A name of our own for why something was refused or failed. */
  reason?: string;
  url?: string;
  metricsUrl?: string;
  count?: number;
  /** The message of the lines that a line sums up. */
  event?: string;
  /** How often each failure happened, by its code or a name of our own. */
  failures?: Readonly<Record<string, number>>;
  /** The name of a setting. */
  setting?: string;
  /** A sentence of our own about a setting: names and places, never a value. */
  problem?: string;
  /** Its name, code and stack are printed, and those of its causes; never its message. */
  cause?: unknown;
}

/** The allow-list at run time. The compiler reports a field that is missing here. */
export const fieldNames: Readonly<Record<keyof LogFields, true>> = {
  requestId: true,
  traceId: true,
  code: true,
  method: true,
  call: true,
  status: true,
  attempt: true,
  durationMs: true,
  providerRequestId: true,
  field: true,
  caller: true,
  customer: true,
  merchant: true,
  operationName: true,
  changed: true,
  outcome: true,
  reason: true,
  url: true,
  metricsUrl: true,
  count: true,
  event: true,
  failures: true,
  problem: true,
  setting: true,
  cause: true,
};

/** Correlation fields: they identify the log lines of one operation. */
export interface Correlation {
  readonly requestId: string;
  /** The W3C trace id, 32 hexadecimal digits; `undefined` without a `traceparent` header. */
  readonly traceId?: string | undefined;
}

/** The log fields for {@link Correlation}. Drops the other properties of the argument. */
export function correlationOf({ requestId, traceId }: Correlation): LogFields {
  return traceId === undefined ? { requestId } : { requestId, traceId };
}

/**
 * Counts the upstream failures of one operation: the first of each name has a line of its own, the rest share one, which is
 * written when all work that was passed to `during` is settled.
 */
export function createFailureCount(log: Log, correlation: Correlation) {
  const counts = new Map<string, number>();
  let inProgress = 0;
  const settle = () => {
    inProgress -= 1;
    if (inProgress === 0) report();
  };
  return {
    /** @returns whether it is the first of this name. */
    add(name: string): boolean {
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      return count === 1;
    },
    /** The operation is not over before `work` is: a write may outlast its caller. */
    during<T>(work: Promise<T>): Promise<T> {
      inProgress += 1;
      work.then(settle, settle);
      return work;
    },
  };

  function report(): void {
    const isRepeated = [...counts.values()].some((count) => count > 1);
    if (isRepeated)
      log.warn('repeated upstream failures', { ...correlationOf(correlation), failures: Object.fromEntries(counts) });
    counts.clear();
  }
}

/** Messages are constants; data goes into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Takes the audit, which is kept at every level. Without this method it goes to `info`. */
  audit?(message: string, fields?: LogFields): void;
}

/** What is counted. No field takes a text of a caller's: `merchant` is an id of the settings, all else a name of our own. */
export interface Metrics {
  /** One request that asked for an operation, refused or executed. `type` where it was executed. */
  operation(entry: { type: OperationType | undefined; outcome: Outcome; durationMs: number }): void;
  /** How many are under way. */
  inFlight(count: number): void;
  /** One field of a mutation. */
  write(entry: { merchant: string; field: string; outcome: string }): void;
  /** One call to the provider; a repeat is a call too. */
  attempt(entry: { merchant: string; call: string; outcome: Outcome; isRepeat: boolean; durationMs: number }): void;
  /** Whether calls of this method are stopped. */
  breaker(entry: { merchant: string; method: string; isOpen: boolean }): void;
  /** One attempt to apply a watched file, by its setting's name: whether its content is usable. */
  watchedFile(entry: { file: string; isUsable: boolean }): void;
  /** Log lines that were not written, because the output took none and the buffer was full. */
  logLinesDropped(count: number): void;
  /** One refused credential. */
  credentialRefused(reason: string): void;
  /** Whether the last fetch of the key set failed. */
  keySetFailing(isFailing: boolean): void;
  /** Whether this instance counts for itself because the shared counters cannot be used. */
  rateLimitFallback(isLocal: boolean): void;
}

export type OperationType = 'query' | 'mutation' | 'subscription';
export type Outcome = ErrorCode | 'OK';

const levels = ['debug', 'info', 'warn', 'error'] as const;

/** JSON lines on stdout, as {@link createLineWriter} writes them. */
export function openOutput(onDropped?: (count: number) => void): LineWriter {
  return createLineWriter({ report: (count) => lineOf('warn', 'log lines dropped', { count }), onDropped });
}

/**
 * One JSON line per event, on `write` (stdout by default). Audit lines are written at every level but `silent`.
 */
export function createLog(level: LogLevel | 'silent', write?: WriteLine): Log {
  if (level === 'silent') return { debug: ignore, info: ignore, warn: ignore, error: ignore, audit: ignore };
  const writeLine = write ?? openOutput().write;
  const line = (of: LogLevel) =>
    levels.indexOf(of) < levels.indexOf(level)
      ? ignore
      : (message: string, fields?: LogFields) => writeLine(lineOf(of, message, fields));
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    audit: (message, fields) => writeLine(lineOf('info', message, fields), true),
  };
}

function ignore(): void {}

/** Writes the fields of the allow-list and no others, whatever object was passed. */
function lineOf(level: LogLevel, message: string, fields: LogFields = {}): string {
  let text = `{"level":"${level}","time":"${new Date().toISOString()}"`;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || !Object.hasOwn(fieldNames, name)) continue;
    text += `,"${name}":${JSON.stringify(name === 'cause' ? describe(value) : plain(value)) ?? 'null'}`;
  }
  return `${text},"message":${JSON.stringify(message)}}\n`;
}

/** A nested object could hold anything: none is written, but for lists of texts and tables of counts. */
function plain(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? item : '[hidden]'));
  if (typeof value !== 'object' || value === null) return '[hidden]';
  return Object.values(value).every((count) => typeof count === 'number') ? value : '[hidden]';
}

/** An error without its message: a message may quote what a person typed or what the provider said. */
function describe(cause: unknown, depth = 0): unknown {
  if (!(cause instanceof Error)) return typeof cause;
  const { code } = cause as { code?: unknown };
  return {
    name: cause.name,
    ...(typeof code === 'string' && { code }),
    stack: (cause.stack ?? '')
      .split('\n')
      .filter((text) => /^\s+at /.test(text))
      .slice(0, 8),
    ...(cause.cause !== undefined && depth < 3 && { cause: describe(cause.cause, depth + 1) }),
  };
}
