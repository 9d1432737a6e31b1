import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { SignJWT } from 'jose';

export interface BackendOptions {
  /** What the gateway has as `AUTH_JWT_SECRET`, `AUTH_JWT_ISSUER` and `AUTH_JWT_AUDIENCE`. */
  readonly secret: string;
  readonly issuer: string;
  readonly audience: string;
  /** Sends the cookie over https only. Leave it out on a development machine. */
  readonly secure?: boolean;
  readonly now?: () => number;
}

/** Short, since a token cannot be taken back: who signs out is out after this at the latest. */
const lifeSeconds = 300;
/**
 * Who may sign in: e-mail addresses, and the sandbox's references. Never text that could be an id of the provider: the
 * gateway binds a caller to the customer whose reference *or id* the claim is.
 */
const reference = /^([^\s@]{1,64}@[^\s@]{1,63}|fault_\w{1,60})$/;

/**
 * Turns a session into a short-lived token bound to one customer: no API key belongs in a browser. The visitor has no
 * customer yet when they arrive, but they have a name in this shop, and that name becomes the object reference id: the
 * gateway lets the token read, create and change the customer of this reference, and nobody else.
 */
export function createBackend({ secret, issuer, audience, secure = false, now = Date.now }: BackendOptions): Server {
  const key = new TextEncoder().encode(secret);
  /** Session to reference. In memory, as is fit for an example. */
  const sessions = new Map<string, string>();
  const cookie = (value: string, maxAge: number) =>
    `session=${value}; Path=/session; HttpOnly; SameSite=Strict; Max-Age=${maxAge}${secure ? '; Secure' : ''}`;
  const mint = (customer: string) => {
    const issuedAt = Math.floor(now() / 1000);
    return new SignJWT({ customer, scope: 'customer:read customer:write customer:token' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(customer)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifeSeconds)
      .sign(key);
  };

  return createServer(async (request, response) => {
    const reply = (status: number, body: object, headers: Record<string, string> = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
        .end(JSON.stringify(body));
    // The cookie stays away from other sites' requests by itself; this keeps them from signing somebody in as themselves.
    if ((request.headers['sec-fetch-site'] ?? 'same-origin') !== 'same-origin') return reply(403, {});
    const [, session = ''] = /(?:^|; )session=([\w-]+)/.exec(request.headers.cookie ?? '') ?? [];
    const signedIn = sessions.get(session);
    const route = `${request.method} ${request.url}`;
    if (route === 'POST /session') {
      // A real shop checks a password, a passkey or a mailed link here.
      const wanted = String((await readJson(request))?.['reference'] ?? '')
        .trim()
        .toLowerCase();
      if (!reference.test(wanted)) return reply(400, {});
      const id = randomUUID();
      sessions.delete(session);
      sessions.set(id, wanted);
      return reply(200, { reference: wanted }, { 'set-cookie': cookie(id, 28_800) });
    }
    // Not signed in is an answer, no failure: a browser would log one.
    if (route === 'GET /session') return reply(200, { reference: signedIn });
    if (signedIn === undefined) return reply(401, {});
    if (route === 'POST /session/token') return reply(200, { token: await mint(signedIn) });
    if (route !== 'DELETE /session') return reply(404, {});
    sessions.delete(session);
    return reply(200, {}, { 'set-cookie': cookie('', 0) });
  });
}

async function readJson(request: IncomingMessage): Promise<Partial<Record<string, unknown>> | null> {
  let text = '';
  try {
    for await (const chunk of request) {
      text += String(chunk);
      if (text.length > 1024) return null;
    }
    return JSON.parse(text) as Partial<Record<string, unknown>> | null;
  } catch {
    return null;
  }
}
