import type { Count } from '../../auth/local-counters.ts';
import type { DrainPhase } from '../../http/server.ts';
import type { Snapshot } from '../../telemetry/aggregate.ts';
import type { LogLevel } from '../../telemetry/log.ts';

/** The sandbox that the supervisor runs for all workers. */
export interface SharedSandbox {
  readonly baseUrl: string;
  readonly merchantId: string;
  readonly apiKey: string;
  readonly examples: { readonly id: string; readonly reference: string } | undefined;
  /** The key and the tokens of the example roles; `undefined` if there are none. */
  readonly roles: { readonly secret: string; readonly tokens: Readonly<Record<string, string>> } | undefined;
}

/** The first message to a worker. */
export interface StartMessage {
  readonly type: 'start';
  /** 0: any free port, which the worker reports. */
  readonly port: number;
  /** Whether each worker has a listener of its own on the port. Otherwise `node:cluster` shares one. */
  readonly reusePort: boolean;
  readonly sandbox: SharedSandbox | undefined;
  /** The level of the supervisor's log. */
  readonly logLevel: LogLevel | 'silent';
}

/** A write that has ended. Without identifiers: of any customer. */
export interface Write {
  readonly merchantId: string;
  readonly identifiers: readonly string[] | undefined;
}

export type ToWorker =
  | StartMessage
  /** The supervisor's log has another level. */
  | { readonly type: 'log-level'; readonly level: LogLevel }
  /** Asks for `alive`. */
  | { readonly type: 'ping' }
  | { readonly type: 'read-metrics'; readonly id: number }
  | { readonly type: 'counts'; readonly id: number; readonly counts: readonly (readonly Count[])[] }
  /** Writes of another worker, to be answered with `invalidated`. */
  | { readonly type: 'invalidate'; readonly id: number; readonly writes: readonly Write[] }
  /** All other workers know the writes. */
  | { readonly type: 'announced'; readonly id: number }
  /** All workers that drain have reached the phase. */
  | { readonly type: 'all-reached'; readonly phase: DrainPhase };

export type FromWorker =
  | { readonly type: 'listening'; readonly port: number; readonly url: string }
  /** The event loop runs. */
  | { readonly type: 'alive' }
  /** Without an id: the last one before the worker exits. */
  | { readonly type: 'metrics'; readonly id?: number; readonly snapshot: Snapshot }
  /** The counters of several operations. */
  | { readonly type: 'count'; readonly id: number; readonly keys: readonly (readonly string[])[] }
  /** Writes that have ended, to be answered with `announced`. */
  | { readonly type: 'announce'; readonly id: number; readonly writes: readonly Write[] }
  | { readonly type: 'invalidated'; readonly id: number }
  /** The worker has reached a phase of its drain, to be answered with `all-reached`. */
  | { readonly type: 'reached'; readonly phase: DrainPhase };
