import { get } from 'node:http';
import { isInjectedPort } from '../config/rules.ts';

/** Below the timeout of health checks in the Dockerfile, so that the message is seen. */
const timeoutMs = 2_000;

/** A wildcard is an address to listen on, not one to connect to. */
const addresses: Partial<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * Asks the gateway that runs with the same `HOST` and `PORT` for `path`.
 *
 * @returns the problem as a sentence without values; `undefined` if the answer is 200.
 */
export async function problemOfHealth(
  path: '/health' | '/ready',
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const { HOST: host = '', PORT: given = '' } = environment;
  const text = given === '' || isInjectedPort('PORT', given) ? '4000' : given;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port === 0 || port > 65_535) return 'PORT must be the port of the running gateway, an integer from 1 to 65535.';
  const status = await new Promise<number | undefined>((resolve) => {
    const request = get(
      {
        host: addresses[host] ?? (host || '127.0.0.1'),
        port,
        path,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', () => resolve(undefined));
  });
  if (status === 200) return undefined;
  return status === undefined
    ? `No gateway answers ${path} on HOST and PORT within ${timeoutMs / 1_000} s.`
    : `${path} answers ${status}.`;
}
