/** Path and query of a request, exactly as the client sent them. */
export interface Target {
  /** Begins with `/`, except for targets such as `*`. */
  readonly path: string;
  /** Includes the leading `?`. Empty if there is no query. */
  readonly query: string;
}

/**
 * Splits a request target in origin form (`/graphql?a=b`) or absolute form (`http://host/graphql?a=b`).
 *
 * Does not decode the path and does not resolve dot segments. A proxy in front applies its path rules to the same bytes, so
 * `/static/../graphql` must not match `/graphql`.
 *
 * @see RFC 9112, section 3.2
 */
export function readTarget(text: string): Target {
  const authority = text.startsWith('/') ? '' : (/^https?:\/\/[^/?#]*/i.exec(text)?.[0] ?? '');
  const address = text.slice(authority.length);
  const mark = address.indexOf('?');
  const path = mark < 0 ? address : address.slice(0, mark);
  return { path: path === '' && authority !== '' ? '/' : path, query: mark < 0 ? '' : address.slice(mark) };
}
