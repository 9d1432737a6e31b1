import { Secret } from '../config/secret.ts';
import { openGateway } from '../gateway.ts';
import type { Gateway, NodeGateway } from '../http/handler.ts';
import type { Sandbox } from '../sandbox/server.ts';
import { guarded } from '../telemetry/limited.ts';
import type { Log } from '../telemetry/log.ts';
import { type GatewayOptions, readOptions } from './options.ts';

/**
 * The gateway as a function, to mount in a server of your own.
 *
 * Without credentials, and outside production, it runs on a sandbox of its own, which the first call upstream starts on a
 * free loopback port and `dispose` stops; the log says so.
 *
 * @throws ConfigError with everything that is wrong with the options, by name and never by value.
 */
export function createGateway(options: GatewayOptions = {}): Gateway {
  const { schema, fetch, dispose } = createNodeGateway(options);
  return { schema, fetch, dispose };
}

/** The same with a listener for `node:http`, Express and Fastify, and a way to stop without losing what is under way. */
export function createNodeGateway(options: GatewayOptions = {}): NodeGateway {
  const { config, log, translate } = readOptions(options);
  const { provider } = config;
  const sandbox = provider === 'sandbox' ? createStandIn(guarded(log)) : undefined;
  try {
    const access = provider === 'sandbox' ? sandbox?.access : provider;
    const gateway = openGateway({ ...config, provider: access }, { log });
    return {
      ...gateway,
      fetch: async (request, peer) => standard(await gateway.fetch(request, peer)),
      async dispose() {
        await gateway.dispose();
        await sandbox?.close();
      },
    };
  } catch (error) {
    throw translate(error);
  }
}

/** A sandbox that starts when somebody wants its address. It does not keep the process alive. */
function createStandIn(log: Log) {
  let starting: Promise<Sandbox> | undefined;
  const start = async () => {
    const { startSandbox } = await import('../sandbox/server.ts');
    const sandbox = await startSandbox({ background: true });
    log.warn('no credentials: an embedded sandbox stands in for the provider', { url: sandbox.url });
    return sandbox;
  };
  return {
    access: {
      merchantId: 'sandbox_merchant',
      apiKey: new Secret('sandbox_api_key'),
      async baseUrl() {
        starting ??= start();
        return (await starting).url;
      },
    },
    // Where it could not be started there is nothing to close.
    close: async () => (await starting?.catch(() => undefined))?.close(),
  };
}

/** As the platform has it: the server library answers with a class of its own, which some frameworks do not take. */
async function standard(answer: Response): Promise<Response> {
  const { status, statusText, headers, body } = answer;
  return new Response(body === null ? null : await answer.arrayBuffer(), {
    status,
    statusText,
    headers: [...headers],
  });
}
