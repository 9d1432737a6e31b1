import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Check, Finding } from './finding.ts';

interface Server {
  readonly url: URL;
  /** The name of the setting that holds the URL. */
  readonly setting: string;
  /** The words for the setting in a sentence, such as `entry 2 of MERCHANTS_FILE`. */
  readonly words: string;
}

/** A server to connect to. */
export interface Target extends Server {
  /** Connect through this proxy. */
  readonly proxy?: Server | undefined;
  /** Timeout in ms of each step. */
  readonly timeoutMs: number;
}

/** Stops at the first step that fails. */
class StepFailure extends Error {
  readonly finding: Finding;

  constructor(check: Check, setting: string, message: string) {
    super(message);
    this.finding = { check, status: 'problem', setting, message };
  }
}

/** Resolves the name, connects, opens the tunnel of a proxy and checks the certificate. Sends no request to the server. */
export async function open(target: Target): Promise<{ findings: Finding[]; socket?: Socket }> {
  const findings: Finding[] = [];
  const { url, setting, words, proxy, timeoutMs } = target;
  let socket: Socket | undefined;
  try {
    socket = await openTcp(proxy ?? target, timeoutMs, proxy && 'proxy', findings);
    if (proxy) {
      if (proxy.url.protocol === 'https:') socket = await openTls(socket, proxy, timeoutMs, 'proxy');
      socket = await openTunnel(socket, target, proxy);
      findings.push({
        check: 'proxy',
        status: 'ok',
        setting: proxy.setting,
        message: `The proxy of ${proxy.setting} opens a tunnel to the host of ${words}.`,
      });
    }
    if (url.protocol === 'https:') {
      socket = await openTls(socket, target, timeoutMs, 'tls');
      findings.push({ check: 'tls', status: 'ok', setting, message: `The certificate of ${words} is valid.` });
    }
    return { findings, socket };
  } catch (error) {
    socket?.destroy();
    if (!(error instanceof StepFailure)) throw error;
    return { findings: [...findings, error.finding] };
  }
}

async function openTcp(
  { url, setting, words }: Server,
  timeoutMs: number,
  as: 'proxy' | undefined,
  findings: Finding[],
): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) === 0) {
    await inTime(lookup(host, { all: true }), timeoutMs).catch((error: unknown) => {
      const sentence =
        codeOf(error) === 'ENOTFOUND'
          ? `The host of ${words} has no address: correct the name, or the name servers of this machine.`
          : `No name server answers for the host of ${words}: allow DNS (port 53) and check /etc/resolv.conf.`;
      throw new StepFailure(as ?? 'name-resolution', setting, sentence);
    });
    if (as === undefined) {
      const message = `The host of ${words} has an address.`;
      findings.push({ check: 'name-resolution', status: 'ok', setting, message });
    }
  }
  const socket = connect({ host, port: portOf(url) });
  socket.on('error', () => undefined);
  await happens(socket, 'connect', timeoutMs).catch((error: unknown) => {
    socket.destroy();
    const code = codeOf(error);
    const sentence =
      code === 'ECONNREFUSED'
        ? `Nothing listens at the host and port of ${words} (${code}): correct the address, or start the server.`
        : `The host of ${words} cannot be reached (${code}): allow outbound connections to its port in firewalls and network policies.`;
    throw new StepFailure(as ?? 'tcp', setting, sentence);
  });
  if (as === undefined) {
    const message = `The host of ${words} accepts connections.`;
    findings.push({ check: 'tcp', status: 'ok', setting, message });
  }
  return socket;
}

async function openTunnel(socket: Socket, { url, words, timeoutMs }: Target, proxy: Server): Promise<Socket> {
  const authority = `${url.hostname}:${portOf(url)}`;
  const { username, password } = proxy.url;
  const credentials = Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64');
  const request = httpRequest({
    createConnection: () => socket,
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...(username + password !== '' && { 'proxy-authorization': `Basic ${credentials}` }) },
  });
  request.on('error', () => undefined).end();
  const failure = (sentence: string) => new StepFailure('proxy', proxy.setting, sentence);
  const [response, tunnel] = (await happens(request, 'connect', timeoutMs).catch((error: unknown) => {
    throw failure(
      `The proxy of ${proxy.setting} does not answer CONNECT (${codeOf(error)}): check that its address and port are those of an HTTP proxy.`,
    );
  })) as [{ statusCode: number }, Socket];
  const { statusCode: status } = response;
  if (status >= 200 && status <= 299) return tunnel;
  tunnel.destroy();
  throw failure(
    status === 407
      ? `The proxy of ${proxy.setting} rejects the credentials (407): set the user name and password in its URL.`
      : `The proxy of ${proxy.setting} rejects a tunnel to the host of ${words} (${status}): allow the host in the proxy, or list it in NO_PROXY.`,
  );
}

const untrusted =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/;

async function openTls(
  socket: Socket,
  { url, setting, words }: Server,
  timeoutMs: number,
  check: 'tls' | 'proxy',
): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = connectTls({
    socket,
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ALPNProtocols: ['http/1.1'],
    // Report an invalid certificate even if NODE_TLS_REJECT_UNAUTHORIZED=0.
    rejectUnauthorized: true,
  });
  secure.on('error', () => undefined);
  await happens(secure, 'secureConnect', timeoutMs).catch((error: unknown) => {
    secure.destroy();
    throw new StepFailure(check, setting, tlsSentence(codeOf(error), words));
  });
  return secure;
}

function tlsSentence(code: string, words: string): string {
  const certificate = `The certificate of ${words}`;
  if (code === 'CERT_HAS_EXPIRED') return `${certificate} has expired: renew it, or correct the clock of this machine.`;
  if (code === 'CERT_NOT_YET_VALID') return `${certificate} is not valid yet: correct the clock of this machine.`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return `${certificate} is for another host: correct the host name.`;
  if (untrusted.test(code))
    return `${certificate} is from an authority that Node does not trust (${code}): set NODE_EXTRA_CA_CERTS to a file with the authority's certificate.`;
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return `The port of ${words} does not speak TLS, or no version that Node supports (${code}): correct the port or the scheme.`;
  if (/CERT|CRL|CA$/.test(code)) return `${certificate} is not acceptable (${code}): replace it.`;
  return `The TLS handshake with the host of ${words} does not finish (${code}): check the port, and firewalls that inspect TLS.`;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly sentAtMs: number;
  readonly receivedAtMs: number;
}

/** Enough for each valid response. The rest of a longer body is not read. */
const maxBodyBytes = 1024 * 1024;

/** Sends one GET and closes the connection. Does not follow redirects. @throws the system's error, or one with the code `ETIMEDOUT`. */
export async function get(
  socket: Socket,
  { url, timeoutMs }: Pick<Target, 'url' | 'timeoutMs'>,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const request = httpRequest({
    createConnection: () => socket,
    method: 'GET',
    path: url.pathname + url.search,
    headers: { host: url.host, ...headers },
  });
  try {
    const sentAtMs = Date.now();
    request.on('error', () => undefined).end();
    const read = async (): Promise<Answer> => {
      const [response] = await once(request, 'response');
      const receivedAtMs = Date.now();
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > maxBodyBytes) break;
      }
      const { statusCode, headers: received } = response;
      return { status: statusCode, headers: received, body: Buffer.concat(chunks), sentAtMs, receivedAtMs };
    };
    return await inTime(read(), timeoutMs);
  } finally {
    socket.destroy();
  }
}

/** The code of an error; never its message, which can hold host names. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'no code';
}

/** Rejects with the code `ETIMEDOUT` if the work takes longer. */
export async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })), timeoutMs);
  // The work may still reject after the timeout.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function happens(emitter: NodeJS.EventEmitter, event: string, timeoutMs: number): Promise<unknown[]> {
  return inTime(once(emitter, event), timeoutMs);
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
