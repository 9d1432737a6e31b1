import { existsSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { isLoopback } from '../config/settings.ts';
import type { LineWriter } from '../telemetry/line-writer.ts';
import type { Log } from '../telemetry/log.ts';
import type { Embedded } from './embedded.ts';

export const unreachable = 'listening on a loopback address in a container: not reachable from outside';

/** Prints the banner of the sandbox, or writes the line `listening`. */
export function announce({ config, environment, log, output, embedded, url, metricsUrl }: Announcement): void {
  if (embedded && config.logLevel !== 'silent')
    output.write(textOf(embedded.banner(`${url}${config.endpoint}`, metricsUrl, config.graphiql)));
  else
    log.info('listening', {
      url,
      ...(metricsUrl !== undefined && { metricsUrl }),
      ...(config.workers > 1 && { workers: config.workers }),
    });
  if (isLoopback(config.host) && isInContainer(environment)) {
    log.warn(unreachable, { setting: 'HOST' });
  }
}

interface Announcement {
  readonly config: Config;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly output: LineWriter;
  readonly embedded: Embedded | undefined;
  readonly url: string;
  readonly metricsUrl: string | undefined;
}

/** Detects Kubernetes, Docker and Podman. */
export function isInContainer(environment: NodeJS.ProcessEnv): boolean {
  return Boolean(environment['KUBERNETES_SERVICE_HOST']) || ['/.dockerenv', '/run/.containerenv'].some(existsSync);
}

export function textOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
