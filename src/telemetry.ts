import pino from 'pino';
import type { ErrorCode } from './errors.ts';
import { marks } from './privacy.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a line may hold: no field for bodies, names, e-mail, phone, references, tokens, keys or variables exists. */
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
  url?: string;
  metricsUrl?: string;
  count?: number;
  /** The name of a setting. */
  setting?: string;
  /** A sentence of our own about a setting: names and places, never a value. */
  problem?: string;
  /** Its name, code and stack are printed, and those of its causes; never its message. */
  cause?: unknown;
}

/** How the lines of one operation are found: under its own id, and under that of the trace which it belongs to. */
export interface Trail {
  readonly requestId: string;
  /** 32 hexadecimal digits; `undefined` where the caller named none. */
  readonly traceId?: string | undefined;
}

export function trailOf({ requestId, traceId }: Trail): LogFields {
  return traceId === undefined ? { requestId } : { requestId, traceId };
}

/** Messages are constants; data goes into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
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
}

export type OperationType = 'query' | 'mutation' | 'subscription';
export type Outcome = ErrorCode | 'OK';

/** JSON lines on `write` (stdout by default), one per event. */
export function createLog(level: LogLevel | 'silent', write?: (line: string) => void): Log {
  const target = write === undefined ? stdout() : { write };
  const logger = pino(
    {
      level,
      base: null,
      redact: { paths: Object.keys(marks).flatMap((name) => [name, `*.${name}`]), censor: '[hidden]' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    target,
  );
  const line =
    (of: LogLevel) =>
    (message: string, { cause, ...fields }: LogFields = {}) =>
      logger[of](cause === undefined ? fields : { ...fields, cause: describe(cause) }, message);
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}

/** A reader that goes away (a closed pipe, say) must not take the gateway with it: its lines are lost. */
function stdout() {
  const destination = pino.destination({ dest: 1, sync: true });
  destination.on('error', () => undefined);
  return destination;
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
