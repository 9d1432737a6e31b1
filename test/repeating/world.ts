import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startServer } from '../../src/http/server.ts';
import type { ArmedFault } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createRandom } from '../fault-injection.ts';
import { bearer, jwtSettings } from '../support.ts';
import { type Network, type NetworkFault, openNetwork } from './network.ts';

export interface WorldOptions {
  readonly seed: number;
  /** The share of the provider's answers that are lost, half of them before the commit. */
  readonly providerLoss: number;
  readonly networkLoss: number;
  readonly networkFaults?: readonly NetworkFault[] | undefined;
  readonly uniqueReferences: boolean;
  /** Instances of the gateway. Several share `redisUrl`. */
  readonly instances?: number;
  readonly redisUrl?: string | undefined;
}

/** A provider that loses answers, instances of the gateway, and a network in front of each. */
export interface World {
  readonly sandbox: Sandbox;
  readonly networks: readonly Network[];
  /** From now on, nothing fails. Resolves when nothing is in progress. */
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** Faults by their moment. None reports a false result. */
const before = ['reset', 'close', 'truncated', '503'] as const;
/** Rare, because each one takes the time limit of an attempt. */
const timeoutShare = 0.05;
const after = ['reset', 'close', 'truncated', '500', '502', 'html', 'empty'] as const;

const slowShare = 0.1;
const maxSlowMs = 20;

export async function openWorld(options: WorldOptions): Promise<World> {
  const { seed, providerLoss, networkLoss, uniqueReferences, instances = 1, redisUrl } = options;
  const random = createRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  let loss = providerLoss;
  const faultOf = (): ArmedFault | undefined => {
    // A delay is no loss. It lets repeats arrive while the first request is executed.
    if (random() >= loss) return random() < slowShare ? { fault: 'slow', delayMs: random() * maxSlowMs } : undefined;
    const afterCommit = random() < 0.5;
    const fault = random() < timeoutShare ? 'timeout' : pick<ArmedFault['fault']>(afterCommit ? after : before);
    return { fault, afterCommit };
  };
  const sandbox = await startSandbox({ uniqueReferences, faultOf });
  const closing: (() => Promise<unknown>)[] = [() => sandbox.close()];
  const networks: Network[] = [];
  let inFlight = 0;
  const idle = new Set<() => void>();

  for (let instance = 0; instance < instances; instance += 1) {
    let own = 0;
    const metrics = {
      ...createMetrics('test'),
      inFlight(count: number) {
        inFlight += count - own;
        own = count;
        if (inFlight > 0) return;
        for (const resolve of idle) resolve();
        idle.clear();
      },
    };
    const config = {
      ...loadConfig({
        ...jwtSettings,
        // Short, because the provider does not answer some calls at all. A provider that answers each call has time on a busy machine too.
        ...(providerLoss > 0 && { JUSPAY_TIMEOUT_MS: '1500', OPERATION_TIMEOUT_MS: '6000' }),
        ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
      }),
      provider: { baseUrl: sandbox.url, merchantId: sandbox.merchantId, apiKey: new Secret(sandbox.apiKey) },
    };
    const gateway = openGateway(config, { log: createLog('silent'), metrics });
    const server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
    const network = await openNetwork(server.port, { random, share: networkLoss, faults: options.networkFaults });
    networks.push(network);
    closing.push(async () => {
      await network.close();
      await server.stop(0);
      await gateway.dispose();
    });
  }

  return {
    sandbox,
    networks,
    async heal() {
      loss = 0;
      for (const network of networks) network.heal();
      await Promise.all(networks.map((network) => network.settled()));
      if (inFlight > 0) await new Promise<void>((resolve) => idle.add(resolve));
    },
    async close() {
      for (const close of closing.toReversed()) await close();
    },
  };
}

const scopes = 'customer:any customer:read customer:write';

/** The credentials of a person. */
export const headersOf = (person: number) => ({
  authorization: `Bearer ${bearer({ sub: `person-${person}`, scope: scopes })}`,
});
