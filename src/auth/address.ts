import { isIPv4, isIPv6 } from 'node:net';

/** Length limit of an address: enough for IPv6 with brackets, zone and port. */
const maxLength = 100;

/**
 * Normalises an address for the rate limit: IPv4 without a port, IPv4-mapped IPv6 as IPv4, any other IPv6 as its /64, which
 * is the usual network of one subscriber.
 *
 * @returns `undefined` if the text is not an IP address, so that invalid texts create no keys.
 */
export function canonicalAddress(text: string | undefined): string | undefined {
  if (text === undefined || text.length > maxLength) return undefined;
  const host = withoutPort(text.trim());
  if (isIPv4(host)) return host;
  const address = host.replace(/%.*$/, '');
  if (!isIPv6(address)) return undefined;
  // The URL parser expands embedded IPv4 addresses and folds case and leading zeros.
  const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const groups = groupsOf(compressed);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 255])
      .join('.');
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** Some proxies write `1.2.3.4:80` or `[::1]:80`. */
function withoutPort(text: string): string {
  const [, host = text] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? /^([\d.]+):\d+$/.exec(text) ?? [];
  return host;
}

function groupsOf(compressed: string): number[] {
  const [head = [], tail = []] = compressed
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))));
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/**
 * Returns the client's address in canonical form. With trusted proxies, it is the entry of `X-Forwarded-For` that the
 * outermost trusted proxy appended. Without them, it is the address of the socket.
 *
 * @param trustedProxies number of trusted proxies in front of the gateway.
 */
export function addressOf(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  trustedProxies: number,
): string | undefined {
  const own = canonicalAddress(socketAddress);
  if (trustedProxies === 0) return own;
  const chain = (forwardedFor ?? '')
    .split(',')
    .map((address) => address.trim())
    .filter(Boolean);
  // Each proxy appends the address of its client. Earlier entries come from the client and are not trusted.
  return canonicalAddress(chain.at(-trustedProxies) ?? chain[0]) ?? own;
}
