import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { csrf } from 'hono/csrf';
import { sign } from 'hono/jwt';

type Jwt = { secret: string; iss: string; aud: string };
/** Rejects text that could be a provider id: the gateway binds a caller by reference *or id*. */
const allowed = /^([^\s@A-Z]{1,64}@[^\s@A-Z]{1,63}|fault_\w{1,60})$/;
const scope = 'customer:read customer:write customer:token';

/** Exchanges a session for a token that is bound to one customer. A browser must not hold an API key. */
export function createBackend({ secret, ...issued }: Jwt, { secure = false, now = Date.now } = {}): Hono {
  const sessions = new Map<string, string>();
  const cookie = { path: '/session', httpOnly: true, sameSite: 'Strict', secure, maxAge: 28_800 } as const;
  return new Hono()
    .use(csrf(), bodyLimit({ maxSize: 1024 }))
    .get('/session', (c) => c.json({ reference: sessions.get(getCookie(c, 'session') ?? '') }))
    .post('/session', async (c) => {
      // A real shop verifies a password, a passkey or an e-mailed link here.
      const reference: unknown = (await c.req.json().catch(() => null))?.reference;
      if (typeof reference !== 'string' || !allowed.test(reference)) return c.json({}, 400);
      const id = crypto.randomUUID();
      sessions.set(id, reference);
      setCookie(c, 'session', id, cookie);
      return c.json({ reference });
    })
    .delete('/session', (c) => c.json({ ended: sessions.delete(deleteCookie(c, 'session', cookie) ?? '') }))
    .post('/session/token', async (c) => {
      const customer = sessions.get(getCookie(c, 'session') ?? '');
      if (customer === undefined) return c.json({}, 401);
      const exp = Math.floor(now() / 1000) + 300;
      return c.json({ token: await sign({ ...issued, sub: customer, customer, scope, exp }, secret, 'HS256') });
    });
}
