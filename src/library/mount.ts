import { Secret } from '../config/secret.ts';
import { openGateway } from '../gateway.ts';
import type { Gateway, NodeGateway } from '../http/handler.ts';
import type { Sandbox } from '../sandbox/server.ts';
import { guarded } from '../telemetry/limited.ts';
import type { Log } from '../telemetry/log.ts';
import { createTraces, registeredTracer, type Traces } from '../telemetry/traces.ts';
import { type GatewayOptions, readOptions } from './options.ts';

/**
 * Creates a gateway to mount in a server with the `fetch` API.
 *
 * Without credentials and outside production, the gateway uses an embedded sandbox. The first upstream call starts it on a free loopback
 * port and logs a warning. `dispose` stops it.
 *
 * @throws ConfigError with every problem of the options. Problems hold names, never values.
 */
export function createGateway(options: GatewayOptions = {}): Gateway {
  const { schema, fetch, dispose } = createNodeGateway(options);
  return { schema, fetch, dispose };
}

/** Like {@link createGateway}, with a listener for `node:http`, Express and Fastify, and with `drain`. */
export function createNodeGateway(options: GatewayOptions = {}): NodeGateway {
  const { config, log, audit, translate } = readOptions(options);
  const { provider } = config;
  const sandbox = provider === 'sandbox' ? createLazySandbox(guarded(log)) : undefined;
  try {
    const access = provider === 'sandbox' ? sandbox?.access : provider;
    audit?.start({ log });
    const gateway = openGateway({ ...config, provider: access }, { log, traces: registeredTraces() });
    return {
      ...gateway,
      fetch: async (request, peer) => toPlatformResponse(await gateway.fetch(request, peer)),
      async dispose() {
        await gateway.dispose();
        await sandbox?.close();
        await audit?.close();
      },
    };
  } catch (error) {
    audit?.close().catch(() => undefined);
    throw translate(error);
  }
}

/** The traces of the server's own OpenTelemetry SDK. `undefined` if it has not registered one. */
function registeredTraces(): Traces | undefined {
  const tracer = registeredTracer();
  return tracer && createTraces(tracer);
}

/** Creates a sandbox that starts on the first upstream call. It does not keep the process alive. */
function createLazySandbox(log: Log) {
  let starting: Promise<Sandbox> | undefined;
  const start = async () => {
    const { startSandbox } = await import('../sandbox/server.ts');
    const sandbox = await startSandbox({ background: true });
    log.warn('no credentials: using an embedded sandbox instead of the provider', { url: sandbox.url });
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
    // If it failed to start, there is nothing to close.
    close: async () => (await starting?.catch(() => undefined))?.close(),
  };
}

/** Converts to the platform's `Response`. The server library returns its own class, which some frameworks reject. */
async function toPlatformResponse(response: Response): Promise<Response> {
  const { status, statusText, headers, body } = response;
  return new Response(body === null ? null : await response.arrayBuffer(), {
    status,
    statusText,
    headers: [...headers],
  });
}
