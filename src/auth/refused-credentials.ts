import { performance } from 'node:perf_hooks';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';

/** Why credentials are refused, for the operator only. Never derived from a value that the caller sent. */
export type RefusalReason =
  | 'missing'
  /** Of a kind that `AUTH_MODE` does not name. */
  | 'unsupported'
  | 'malformed'
  | 'algorithm'
  | 'unknown_key'
  | 'signature'
  | 'type'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not_yet_valid'
  | 'claim';

/** Credentials that are not accepted. */
export class CredentialRefused extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(`credential refused: ${reason}`);
    this.reason = reason;
  }
}

const maxLinesPerSecond = 10;

/** Logs refused credentials, at most 10 lines a second. The metric counts all of them. */
export function createRefusalLog(
  log: Log,
  metrics: Metrics | undefined,
  monotonicMs = () => performance.now(),
): (reason: RefusalReason, correlation: Correlation | undefined) => void {
  let windowStartMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  return (reason, correlation) => {
    metrics?.credentialRefused(reason);
    if (monotonicMs() - windowStartMs >= 1000) {
      windowStartMs = monotonicMs();
      lines = 0;
    }
    if (lines >= maxLinesPerSecond) return;
    lines += 1;
    log.warn('credential refused', { ...(correlation && correlationOf(correlation)), reason });
  };
}
