import { BlockList, isIP } from 'node:net';

/** The proxies that calls to other hosts go through, as the standard variables name them. */
export interface Proxies {
  /** May hold credentials. */
  readonly url: { reveal(): string } | undefined;
  /** The entries of `NO_PROXY`. */
  readonly exceptions: readonly string[];
}

/**
 * Same rules as undici's `EnvHttpProxyAgent`, and the networks that curl takes too. `name` and `.name` match the host and its
 * subdomains, `*.name` only the subdomains, `*` every host, an IP address itself, and `10.0.0.0/8` the addresses of that
 * network. An entry may end with a port. Names are not resolved.
 *
 * @returns the proxy for an address, or `undefined` if it is called directly. Plain `http` is allowed for loopback hosts only,
 *   and never proxied.
 */
export function proxyOf(address: string, { url, exceptions }: Proxies): URL | undefined {
  const { protocol, hostname, port } = new URL(address);
  if (url === undefined || protocol !== 'https:') return undefined;
  const host = hostname.replace(/\.$/, '');
  const isDirect = exceptions.some((entry) => {
    const [name, entryPort = port || '443'] = splitPort(entry);
    return entryPort === (port || '443') && (name === '*' || isInNetwork(host, name) || isNamed(host, name));
  });
  return isDirect ? undefined : new URL(url.reveal());
}

/** An IPv6 address has colons too: with a port it stands in brackets. */
function splitPort(entry: string): [name: string, port?: string] {
  const [, name = '', port] = /^(\[[^\]]*\](?:\/\d+)?|[^:]*)(?::(\d+))?$/.exec(entry) ?? [];
  return port === undefined ? [name || entry] : [name, String(Number(port))];
}

function isInNetwork(host: string, entry: string): boolean {
  const [, network = '', prefix = ''] = /^\[?([\da-f.:]+)\]?\/(\d{1,3})$/i.exec(entry) ?? [];
  const address = host.replace(/^\[|\]$/g, '');
  const family = isIP(network);
  if (family === 0 || family !== isIP(address) || Number(prefix) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function isNamed(host: string, entry: string): boolean {
  const [, prefix, name = ''] = /^(\*?\.)?(.*?)\.?$/.exec(entry) ?? [];
  // As a URL spells it: in lower case, in ASCII, addresses in their one form.
  const wanted = URL.parse(`https://${isIP(name) === 6 ? `[${name}]` : name}`)?.hostname;
  if (wanted === undefined || wanted === '') return false;
  if (host === wanted) return prefix !== '*.';
  return isIP(wanted.replace(/^\[|\]$/g, '')) === 0 && host.endsWith(`.${wanted}`);
}
