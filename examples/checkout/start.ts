import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import { createNodeGateway, startServer } from 'juspay-customer-gateway/node';
import { type Sandbox, startSandbox } from 'juspay-customer-gateway/sandbox';
import { build, createServer, type ProxyOptions, preview } from 'vite';
import { createBackend } from './backend.ts';

export interface Example {
  readonly url: string;
  readonly sandbox: Sandbox;
  close(): Promise<void>;
}

export interface ExampleOptions {
  readonly port?: number;
  /** The folder of the built app. Without it, Vite's development server serves the sources. */
  readonly built?: string;
  /** The clock of the backend. */
  readonly now?: () => number;
  /** Time limit of one upstream attempt, a quarter of the operation's. The default makes faults visible quickly. */
  readonly timeoutMs?: number;
}

const configFile = fileURLToPath(new URL('vite.config.ts', import.meta.url));

/** Builds the app into a folder. */
export async function buildApp(outDir: string): Promise<void> {
  await build({ configFile, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
}

/** Starts the sandbox, the gateway, the shop's backend, and one origin in front of them that also serves the app. */
export async function startExample({ port = 0, built, now, timeoutMs = 1500 }: ExampleOptions = {}): Promise<Example> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const stop of stops.toReversed()) await stop();
  };
  try {
    const sandbox = await startSandbox();
    stops.push(() => sandbox.close());

    // The gateway and the backend share this secret. In production, use an issuer that publishes its keys.
    const jwt = { secret: randomBytes(32).toString('base64url'), iss: 'fern-and-frame', aud: 'customer-gateway' };
    const { url: baseUrl, merchantId, apiKey } = sandbox;
    const gateway = createNodeGateway({
      juspay: { apiKey, merchantId, baseUrl, timeoutMs },
      operationTimeoutMs: 4 * timeoutMs,
      auth: { mode: 'jwt', jwtSecret: jwt.secret, jwtIssuer: jwt.iss, jwtAudience: jwt.aud },
      // The page uses six operations. Visitors cannot send others.
      persisted: { only: true },
      logLevel: 'silent',
    });
    stops.push(() => gateway.dispose());
    const gatewayServer = await startServer(gateway, { host: '127.0.0.1', port: 0 });
    stops.push(() => gatewayServer.stop(0));

    const backend = createHttpServer(getRequestListener(createBackend(jwt, now && { now }).fetch)).listen(
      0,
      '127.0.0.1',
    );
    stops.push(() => closeServer(backend));
    await once(backend, 'listening');
    const backendUrl = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;

    // A single origin needs no preflight requests and allows a strict content security policy.
    const proxy: Record<string, ProxyOptions> = {
      '/graphql': { target: gatewayServer.url },
      '/session': { target: backendUrl },
      // For the fault panel of this example only.
      '/__admin': { target: sandbox.url, changeOrigin: true },
    };
    // If the port is in use, Vite takes the next one. The address is printed.
    const where = { host: '127.0.0.1', port, proxy };
    const common = { configFile, logLevel: 'error', clearScreen: false } as const;
    const app = built
      ? await preview({ ...common, build: { outDir: built }, preview: where })
      : await (await createServer({ ...common, server: where })).listen();
    stops.push(() => app.close());
    const [url = ''] = app.resolvedUrls?.local ?? [];
    return { url, sandbox, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function closeServer(server: HttpServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

if (import.meta.main) {
  const example = await startExample({ port: Number(process.env['PORT'] || 5173) });
  console.log(`
  Fern & Frame, an example of a checkout, runs on a sandbox: no account, no real customers.

  Checkout  ${example.url}
  Sandbox   ${example.sandbox.url}/__admin   (what the provider was asked: ${example.sandbox.url}/__admin/calls)

  Ctrl-C stops.
`);
  let isStopping = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      example.close().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}
