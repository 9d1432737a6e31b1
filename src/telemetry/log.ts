import type { ErrorCode } from '../errors.ts';
import { quoted } from './json-text.ts';
import { createLineWriter, type LineWriter, type WriteLine } from './line-writer.ts';
import { createClock, createOperationLines, type OperationCounts, type OperationEntry } from './operation.ts';
import { describe, jsonOf } from './values.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * The fields of a log line. There is none for bodies, names, e-mail addresses, phone numbers, references, tokens, keys or variables.
 * {@link fieldNames} lists the same fields and is applied when a line is written.
 */
export interface LogFields {
  requestId?: string;
  /** The trace id of the caller's `traceparent` header. */
  traceId?: string;
  code?: string;
  method?: string;
  /** Method and path template of one of the three provider calls, without the id. */
  call?: string;
  status?: number;
  attempt?: number;
  durationMs?: number;
  /** The request id that the provider sent in its response. */
  providerRequestId?: string;
  field?: string;
  /** A pseudonym. */
  caller?: string;
  /** A pseudonym. */
  customer?: string;
  merchant?: string;
  operationName?: string;
  /** Of the document without literals, aliases and comments. */
  documentHash?: string;
  operationType?: string;
  /** The number of errors by code. */
  codes?: Readonly<Record<string, number>>;
  /** Upstream attempts by kind. */
  gets?: number;
  creates?: number;
  updates?: number;
  mergedReads?: number;
  sharedReads?: number;
  tokensMinted?: number;
  retries?: number;
  /** Names of fields, never values. */
  changed?: readonly string[];
  outcome?: string;
  /** A constant of the gateway that names the cause of a rejection or failure. */
  reason?: string;
  url?: string;
  metricsUrl?: string;
  count?: number;
  /** The number of the process, if several share the port. */
  worker?: number;
  /** The number of processes that share the port. */
  workers?: number;
  /** In a summary: the message of the suppressed lines. */
  event?: string;
  /** The number of failures by error code or by a constant of the gateway. */
  failures?: Readonly<Record<string, number>>;
  /** The name of a setting. */
  setting?: string;
  /** Marks the lines of the audit. */
  audit?: true;
  /** The new level of the log. */
  logLevel?: LogLevel;
  /** A sentence about an invalid setting. It holds names and positions, never a value. */
  problem?: string;
  /** An error. Name, code and stack are printed, also those of its causes; the message never is. */
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
  documentHash: true,
  operationType: true,
  codes: true,
  gets: true,
  creates: true,
  updates: true,
  mergedReads: true,
  sharedReads: true,
  tokensMinted: true,
  retries: true,
  changed: true,
  outcome: true,
  reason: true,
  url: true,
  metricsUrl: true,
  count: true,
  worker: true,
  workers: true,
  event: true,
  failures: true,
  problem: true,
  setting: true,
  logLevel: true,
  audit: true,
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

/** Messages are constants; data goes into fields. */
export interface Log {
  /** `true` if `debug` does nothing, so that its fields need not be built. */
  readonly isDebugDropped?: boolean;
  /** `true` if `info` does nothing. */
  readonly isInfoDropped?: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Receives audit lines, whatever the level. Without this method they go to `info`. */
  audit?(message: string, fields?: LogFields): void;
  /** Receives the line of each operation, for the level `info`. Without this method it goes to `info`. */
  operation?(entry: OperationEntry): void;
}

/** The metrics. No field holds text of a caller: `merchant` is an id from the settings, everything else a constant of the gateway. */
export interface Metrics {
  /**
   * One GraphQL request, rejected or executed. `type` is `undefined` if the operation was not executed; `merchant` and `counts` are
   * missing if the request was refused before its operation. `traceId` becomes the exemplar of the duration.
   */
  operation(entry: {
    type: OperationType | undefined;
    outcome: Outcome;
    durationMs: number;
    merchant?: string | undefined;
    counts?: OperationCounts;
    traceId?: string | undefined;
  }): void;
  /** Number of operations in progress. */
  inFlight(count: number): void;
  /** One mutation field. */
  write(entry: { merchant: string; field: string; outcome: string }): void;
  /** One call to the provider. Every retry is a call of its own. */
  attempt(entry: {
    merchant: string;
    call: string;
    outcome: Outcome;
    isRepeat: boolean;
    durationMs: number;
    traceId?: string | undefined;
  }): void;
  /** The end of a call's wait for a connection, also if it got none. `caller`: the kind of its credentials. */
  queued(entry: { caller: string; waitMs: number }): void;
  /** A merchant whose calls can begin. The gate is read with the metrics, until the merchant is removed or opened again. */
  merchantOpened(merchant: string, gate: GateReadings): void;
  merchantRemoved(merchant: string): void;
  /** Whether the circuit breaker rejects calls of this method. */
  breaker(entry: { merchant: string; method: string; isOpen: boolean }): void;
  /** One attempt to apply a watched file. `file` is the name of its setting. */
  watchedFile(entry: { file: string; isUsable: boolean }): void;
  /** A changed file that was applied. `file` is the name of its setting. */
  configChanged(file: string): void;
  /** One operation that kept writes answered. */
  idempotentReplay(merchant: string): void;
  /** Log lines that were dropped because the buffer was full. */
  logLinesDropped(count: number): void;
  /** One request with missing or invalid credentials. */
  credentialRefused(reason: string): void;
  /** One failed write to `AUDIT_FILE`, or one audit line that is missing in it. */
  auditFailed(): void;
  /** Whether the last fetch of the key set failed. */
  keySetFailing(isFailing: boolean): void;
  /** Whether this instance uses its own rate limit counters because Redis is unavailable. */
  rateLimitFallback(isLocal: boolean): void;
  /** Whether this instance keeps operations with an `Idempotency-Key` by itself because Redis is unavailable. */
  idempotencyFallback(isLocal: boolean): void;
}

/** What holds back the calls of a merchant. */
export interface GateReadings {
  /** Number of reads that may be repeated now. */
  retriesLeft(): number;
  /** The rest of the hold-back after `Retry-After`. */
  heldMs(): number;
}

export type OperationType = 'query' | 'mutation' | 'subscription';
export type Outcome = ErrorCode | 'OK';

const levels = ['debug', 'info', 'warn', 'error'] as const;

/** Opens stdout for log lines, with {@link createLineWriter}. */
export function openOutput(onDropped?: (count: number) => void): LineWriter {
  return createLineWriter({ report: (count) => lineOf('warn', 'log lines dropped', { count }), onDropped });
}

/** Adds audit lines to a file. */
export interface AuditSink {
  /** @param text a line of JSON without its last brace. @returns the complete line, with its number and the hash of the line before. */
  append(text: string): string;
}

/** A log whose level can change. */
export interface LeveledLog extends Log {
  /** Changes the level, and writes a line with the new one. */
  setLevel(level: LogLevel): void;
  readonly level: LogLevel | 'silent';
}

/**
 * Creates a log that passes one JSON line per event to `write`, by default to stdout. Audit lines are written at every level except
 * `silent`. `file` receives them at every level.
 */
export function createLog(initial: LogLevel | 'silent', write?: WriteLine, file?: AuditSink): LeveledLog {
  let level = initial;
  let minRank = rankOf(initial);
  let writeLine = write;
  const output: WriteLine = (text, isAudit) => {
    // A silent log does not open stdout.
    writeLine ??= openOutput().write;
    writeLine(text, isAudit);
  };
  const line = (lineLevel: LogLevel) => {
    const rank = rankOf(lineLevel);
    return (message: string, fields?: LogFields) => {
      if (rank >= minRank) output(lineOf(lineLevel, message, fields));
    };
  };
  const infoRank = rankOf('info');
  const clock = createClock();
  const operationLine = createOperationLines();
  return {
    get level() {
      return level;
    },
    setLevel(next) {
      level = next;
      minRank = rankOf(next);
      output(lineOf('info', 'log level changed', { logLevel: next }));
    },
    get isDebugDropped() {
      return minRank > 0;
    },
    get isInfoDropped() {
      return minRank > infoRank;
    },
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    audit(message, fields) {
      if (level === 'silent' && file === undefined) return;
      const text = textOf('info', message, fields, clock());
      const line = file === undefined ? `${text}}\n` : file.append(text);
      if (level !== 'silent') output(line, true);
    },
    operation(entry) {
      if (minRank <= infoRank) output(operationLine(entry, clock()));
    },
  };
}

function rankOf(level: LogLevel | 'silent'): number {
  return level === 'silent' ? levels.length : levels.indexOf(level);
}

function lineOf(level: LogLevel, message: string, fields?: LogFields): string {
  return `${textOf(level, message, fields)}}\n`;
}

/** A line without its last brace. Applies the allow-list: the type does not exclude an object with further properties. */
export function textOf(level: LogLevel, message: string, fields: LogFields = {}, time?: string): string {
  let text = `{"level":"${level}","time":"${time ?? new Date().toISOString()}"`;
  for (const name of Object.keys(fields) as (keyof LogFields)[]) {
    const value = fields[name];
    if (value === undefined || !Object.hasOwn(fieldNames, name)) continue;
    text += `,"${name}":${name === 'cause' ? JSON.stringify(describe(value)) : jsonOf(value)}`;
  }
  return `${text},"message":${quoted(message)}`;
}
