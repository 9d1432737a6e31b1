import { existsSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { isLoopback } from '../config/settings.ts';
import { createLog, openOutput } from '../telemetry/log.ts';
import { version } from './help.ts';
import { onLevelSignal } from './log-level.ts';
import { onStop } from './process-end.ts';
import { openTracing } from './tracing.ts';

export const unreachable = 'listening on a loopback address in a container: not reachable from outside';

/** Starts the gateway. Resolves when it listens. @throws the system error if an address cannot be used. */
export async function serve(config: Config, environment: NodeJS.ProcessEnv): Promise<undefined> {
  // Import lazily so that an invalid configuration fails fast.
  const [{ openGateway }, { startMetricsServer, startServer }] = await Promise.all([
    import('../gateway.ts'),
    import('../http/server.ts'),
  ]);
  const { provider, metricsPort } = config;
  const metrics =
    metricsPort === undefined ? undefined : (await import('../telemetry/metrics.ts')).createMetrics(version());
  const output = openOutput(metrics?.logLinesDropped);
  const log = createLog(config.logLevel, output.write);
  onLevelSignal(log);
  const embedded = provider === 'sandbox' ? await startEmbedded(config) : undefined;
  const access = provider === 'sandbox' ? embedded?.access : provider;
  const [first] = embedded?.sandbox.customers ?? [];
  const stops: (() => Promise<void> | undefined)[] = [() => embedded?.sandbox.close()];
  const tracing = await openTracing(config, version(), log);
  try {
    const gateway = openGateway(
      { ...config, provider: access, ...(embedded?.auth && { auth: embedded.auth }) },
      {
        log,
        metrics,
        traces: tracing?.traces,
        ...(first && { examples: { id: first.id, reference: first.objectReferenceId, ...embedded?.roles } }),
      },
    );
    stops.push(() => gateway.dispose());
    const numbers = metrics && (await startMetricsServer(metrics, { host: config.host, port: metricsPort ?? 0 }));
    if (numbers) stops.push(() => numbers.close());
    const server = await startServer(gateway, config);
    const metricsUrl = numbers && `${numbers.url}/metrics`;
    if (embedded && config.logLevel !== 'silent')
      output.write(textOf(embedded.banner(`${server.url}${config.endpoint}`, metricsUrl, config.graphiql)));
    else log.info('listening', { url: server.url, ...(metricsUrl !== undefined && { metricsUrl }) });
    if (isLoopback(config.host) && isInContainer(environment)) {
      log.warn(unreachable, { setting: 'HOST' });
    }

    onStop({ log, output }, async () => {
      await server.stop(config.shutdownGraceMs, config.shutdownDelayMs);
      await stopAll();
      await tracing?.close();
      if (!embedded) log.info('stopped');
    });
  } catch (error) {
    // Close the servers that did start: they would keep the process alive.
    await stopAll();
    throw error;
  }
  return undefined;

  function stopAll() {
    return Promise.all(stops.map((stop) => stop()));
  }
}

async function startEmbedded({ auth, host }: Config) {
  const [{ startSandbox }, { gatewayBanner }, { Secret }, { createRoles }] = await Promise.all([
    import('../sandbox/server.ts'),
    import('../sandbox/banner.ts'),
    import('../config/secret.ts'),
    import('./tokens.ts'),
  ]);
  const started = await startSandbox();
  const { url: baseUrl, merchantId, apiKey, customers } = started;
  const roles = auth.modes.length === 0 && isLoopback(host) ? await createRoles(customers[0]?.id ?? '') : undefined;
  return {
    sandbox: started,
    access: { baseUrl, merchantId, apiKey: new Secret(apiKey) },
    auth: roles?.auth,
    roles: roles && { tokens: roles.tokens },
    banner: (url: string, metricsUrl: string | undefined, graphiql: boolean) =>
      gatewayBanner(started, { url, metricsUrl, graphiql }),
  };
}

/** Detects Kubernetes, Docker and Podman. */
export function isInContainer(environment: NodeJS.ProcessEnv): boolean {
  return Boolean(environment['KUBERNETES_SERVICE_HOST']) || ['/.dockerenv', '/run/.containerenv'].some(existsSync);
}

export function textOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
