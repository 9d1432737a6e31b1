import { extname } from 'node:path';
import { type Config, ConfigError } from '../config/config.ts';
import { auditFileProblem } from '../config/rules.ts';
import { AuditFile } from '../telemetry/audit-file/file.ts';
import type { WriteLine } from '../telemetry/line-writer.ts';
import { createLog, openOutput } from '../telemetry/log.ts';
import { announce } from './announcement.ts';
import { openShared, startEmbedded } from './embedded.ts';
import { version } from './help.ts';
import { onLevelSignal } from './log-level.ts';
import { onStop } from './process-end.ts';
import { openTracing } from './tracing.ts';

/**
 * Starts the gateway, or a supervisor with several of them. Resolves when it listens.
 *
 * @returns the exit code if a worker cannot start; `undefined` if the gateway runs.
 * @throws the system error if an address cannot be used; ConfigError if the audit file cannot be used.
 */
export async function serve(config: Config, environment: NodeJS.ProcessEnv): Promise<number | undefined> {
  // The supervisor sets the variable. It may also be set by hand.
  const isStarted = environment['CUSTOMER_GATEWAY_WORKER'] !== undefined;
  const link = isStarted ? await (await import('./workers/link.ts')).joinSupervisor(environment) : undefined;
  if (link === undefined && config.workers > 1) {
    return (await import('./workers/supervisor.ts')).supervise(config, environment);
  }
  // Import lazily so that an invalid configuration fails fast.
  const [{ openGateway }, { startMetricsServer, startServer }] = await Promise.all([
    import('../gateway.ts'),
    import('../http/server.ts'),
  ]);
  const { provider, metricsPort } = config;
  const metrics =
    metricsPort === undefined ? undefined : (await import('../telemetry/metrics.ts')).createMetrics(version());
  const output = openOutput(metrics?.logLinesDropped);
  const level = link?.start.logLevel ?? config.logLevel;
  const write = link ? labelled(output.write, link.worker) : output.write;
  const audit = config.auditFile === undefined ? undefined : openAuditFile(config.auditFile, link?.worker);
  const log = createLog(level, write, audit);
  if (link) link.followLevel(log);
  else onLevelSignal(log);
  const writeAudit: WriteLine = (line, isAudit) => {
    if (log.level !== 'silent') write(line, isAudit);
  };
  audit?.start({ log, metrics, write: writeAudit });
  const embedded = provider === 'sandbox' && link === undefined ? await startEmbedded(config) : undefined;
  const shared = embedded?.shared ?? link?.start.sandbox;
  const sandbox = shared && (await openShared(shared));
  const stops: (() => Promise<void> | undefined)[] = [() => embedded?.sandbox.close()];
  const tracing = await openTracing(config, version(), log);
  try {
    const gateway = openGateway(
      {
        ...config,
        ...(link && { juspay: shareOf(config) }),
        provider: provider === 'sandbox' ? sandbox?.access : provider,
        ...(sandbox?.auth && { auth: sandbox.auth }),
      },
      {
        log,
        metrics,
        traces: tracing?.traces,
        ...(sandbox?.examples && { examples: sandbox.examples }),
        countInInstance: link?.count,
        otherProcesses: link,
      },
    );
    stops.push(() => gateway.dispose());
    if (link && metrics) link.serveMetrics(metrics);
    const numbers =
      metrics && !link && (await startMetricsServer(metrics, { host: config.host, port: metricsPort ?? 0 }));
    if (numbers) stops.push(() => numbers.close());
    link?.hold();
    const server = await startServer(gateway, { ...config, ...link?.start });
    const metricsUrl = numbers ? `${numbers.url}/metrics` : undefined;
    if (!link) announce({ config, environment, log, output, embedded, url: server.url, metricsUrl });

    onStop({ log, output, isWorker: link !== undefined }, async () => {
      await server.stop(config.shutdownGraceMs, config.shutdownDelayMs, link);
      await stopAll();
      await tracing?.close();
      await audit?.close();
      await link?.finish();
      if (!embedded && !link) log.info('stopped');
    });
    link?.listening(server);
  } catch (error) {
    // Close the servers that did start: they would keep the process alive.
    link?.release();
    await stopAll();
    await audit?.close();
    throw error;
  }
  return undefined;

  function stopAll() {
    return Promise.all(stops.map((stop) => stop()));
  }
}

/** The part of `JUSPAY_CONNECTIONS` for one worker: the setting limits the concurrent calls of the instance. */
function shareOf({ juspay, workers }: Config): Config['juspay'] {
  return { ...juspay, connections: Math.max(1, Math.floor(juspay.connections / workers)) };
}

/** @throws ConfigError if the file cannot be used. */
function openAuditFile(path: string, worker: number | undefined): AuditFile {
  // One process writes to a file. The number is not the last part of the name, so that a pattern for log rotation can exclude rotated files.
  const extension = extname(path);
  const own = worker === undefined ? path : `${path.slice(0, path.length - extension.length)}-${worker}${extension}`;
  try {
    return new AuditFile(own);
  } catch (error) {
    throw new ConfigError([auditFileProblem((error as NodeJS.ErrnoException).code)]);
  }
}

/** Adds the number of the worker to each line. */
function labelled(write: WriteLine, worker: number): WriteLine {
  const start = `{"worker":${worker},`;
  return (line, isAudit) => write(start + line.slice(1), isAudit);
}
