/** Reasons for refused credentials. Only for log and metrics. Never contains a value from the request. */
export type RefusalReason =
  | 'missing'
  /** A kind of credentials that `AUTH_MODE` does not enable. */
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

/** Missing or invalid credentials. */
export class CredentialRefused extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(`credential refused: ${reason}`);
    this.reason = reason;
  }
}
