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
