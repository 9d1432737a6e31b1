import { RequestError } from '../errors.ts';

/** The request header. Its value is the key: a string of Structured Fields, as in draft-ietf-httpapi-idempotency-key-header. */
export const keyHeader = 'idempotency-key';

/** The response header of a repeated operation that answers from kept writes: `true`. */
export const replayedHeader = 'idempotency-replayed';

const maxLength = 255;

/** A string of Structured Fields (RFC 9651): printable ASCII in quotes, with `\"` and `\\`. */
const quoted = /^ *"((?:[ !#-[\]-~]|\\["\\])*)" *$/;
/** Without quotes: many clients send a UUID like this. */
const bare = /^[\w.:~+/=-]+$/;

/** @returns the key: 1 to 255 characters. @throws RequestError `BAD_USER_INPUT` (400) for any other value. */
export function readKey(value: string): string {
  const [, text] = quoted.exec(value) ?? [];
  const key = text?.replace(/\\(.)/g, '$1') ?? (bare.test(value.trim()) ? value.trim() : '');
  if (key !== '' && key.length <= maxLength) return key;
  const message = `Idempotency-Key must be one string of 1 to ${maxLength} characters in quotes, such as "8e03978e-40d5-43dd-bc93-6894a57f9324".`;
  throw new RequestError('BAD_USER_INPUT', { message });
}
