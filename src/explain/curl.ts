import type { Call } from '../juspay/exchange.ts';

/** The only form field that is not data of a customer. */
const tokenOption = 'options.get_client_auth_token';

/**
 * A call as a command for a POSIX shell, without data: the credentials and the address are variables of the shell, identifiers and
 * values are placeholders in braces.
 *
 * @param hasVersion whether the gateway sends the header `version`.
 * @param nameOf the placeholder of an identifier.
 */
export function curlOf(
  { method, path, routingId, form }: Call,
  hasVersion: boolean,
  nameOf: (identifier: string) => string,
): string {
  const name = nameOf(decodeURIComponent(routingId));
  const [route = '', query] = path.split('?');
  const target = `${route.replace(/^\/customers\/.*/s, `/customers/${name}`)}${query === undefined ? '' : `?${query}`}`;
  const parts = [
    `curl -X ${method} "$JUSPAY_BASE_URL${target}"`,
    '-u "$JUSPAY_API_KEY:"',
    '-H "x-merchantid: $JUSPAY_MERCHANT_ID"',
    ...(hasVersion ? ['-H "version: $JUSPAY_VERSION"'] : []),
    `-H 'x-routing-id: ${name}'`,
    "-H 'Accept: application/json'",
  ];
  for (const [field, value] of new URLSearchParams(form)) {
    const shown = field === tokenOption ? value : field === 'object_reference_id' ? name : `{${field}}`;
    parts.push(`--data-urlencode '${field}=${shown}'`);
  }
  return parts.join(' ');
}
