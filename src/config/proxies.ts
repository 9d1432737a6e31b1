import { BlockList, isIP } from 'node:net';
import { Secret } from './secret.ts';
import type { ParsedSettings } from './settings.ts';

/** The HTTP proxy for upstream calls and the key set. */
export interface ProxySettings {
  readonly url: Secret | undefined;
  /** The name of the variable that sets `url`. */
  readonly setting: 'HTTPS_PROXY' | 'HTTP_PROXY';
  readonly exceptions: readonly string[];
}

/** The settings of the HTTP proxy. */
export interface Proxies {
  /** A secret, because the URL may contain credentials. */
  readonly url: { reveal(): string } | undefined;
  /** The entries of `NO_PROXY`. */
  readonly exceptions: readonly string[];
}

/**
 * Selects the proxy for a URL. `exceptions` follows the rules of undici's `EnvHttpProxyAgent`, and supports CIDR ranges as curl does:
 * `name` and `.name` match the host and its subdomains, `*.name` matches only subdomains, `*` matches every host, an IP address matches
 * itself, and `10.0.0.0/8` matches the addresses of that network. An entry may end with a port. Names are not resolved.
 *
 * @returns the URL of the proxy, or `undefined` for a direct call. `http` URLs, which are allowed for loopback hosts only, are always
 *   called directly.
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

/** Splits `host:port`. An IPv6 address with a port is in brackets. */
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
  // Normalize with the URL parser: lower case, punycode, canonical addresses.
  const wanted = URL.parse(`https://${isIP(name) === 6 ? `[${name}]` : name}`)?.hostname;
  if (wanted === undefined || wanted === '') return false;
  if (host === wanted) return prefix !== '*.';
  return isIP(wanted.replace(/^\[|\]$/g, '')) === 0 && host.endsWith(`.${wanted}`);
}

/** The proxy of the settings, `HTTPS_PROXY` before `HTTP_PROXY`. */
export function proxiesOf({
  HTTPS_PROXY: secure,
  HTTP_PROXY: plain,
  NO_PROXY: none = '',
}: ParsedSettings): ProxySettings {
  const url = secure ?? plain;
  return {
    url: url === undefined ? undefined : new Secret(url),
    setting: secure === undefined && plain !== undefined ? 'HTTP_PROXY' : 'HTTPS_PROXY',
    exceptions: none.split(/[\s,]+/).filter(Boolean),
  };
}
