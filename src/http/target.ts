/** Path and query of a request, exactly as the client sent them. */
export interface Target {
  /** Begins with `/`, except for targets that are no address, such as `*`. */
  readonly path: string;
  /** With its `?`; empty without a query. */
  readonly query: string;
}

/**
 * Splits a request target in origin form (`/graphql?a=b`) or absolute form (`http://host/graphql?a=b`).
 *
 * Nothing is decoded and no dot segment is resolved. A proxy in front decides by the same bytes which paths it lets
 * through, so `/static/../graphql` must stay a different address from `/graphql`.
 *
 * @see RFC 9112, section 3.2
 */
export function readTarget(text: string): Target {
  const [authority = ''] = /^https?:\/\/[^/?#]*/i.exec(text) ?? [];
  const address = text.slice(authority.length);
  const mark = address.indexOf('?');
  const path = mark < 0 ? address : address.slice(0, mark);
  return { path: path === '' && authority !== '' ? '/' : path, query: mark < 0 ? '' : address.slice(mark) };
}
