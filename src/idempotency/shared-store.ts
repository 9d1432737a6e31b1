import { openRedisLink } from '../redis/link.ts';
import type { Command } from '../redis/session.ts';
import type { Log, Metrics } from '../telemetry/log.ts';

/** Sealed texts and claims in Redis. Each method returns `undefined` while Redis cannot be used, and never rejects. */
export interface SharedStore {
  /** Claims a name unless it is claimed, and reads sealed texts after that. */
  claim(name: string, holder: string, texts: readonly string[]): Promise<Claim | undefined>;
  /** Extends the lease of a claim. */
  extend(name: string): Promise<unknown>;
  /** Stores a sealed text. @param replaces whether it replaces another text of this name. */
  set(name: string, sealed: string, replaces: boolean): Promise<true | undefined>;
  /** Ends a claim that `holder` has. */
  release(name: string, holder: string): Promise<unknown>;
  dispose(): void;
}

export interface Claim {
  /** Who has the claim. `undefined`: another one had it until now. */
  readonly holder: string | undefined;
  /** The text of each name; `undefined` if there is none. */
  readonly texts: readonly (string | undefined)[];
}

export interface SharedStoreOptions {
  readonly url: { reveal(): string };
  /** Of the texts. */
  readonly ttlMs: number;
  /** Of a claim. A process that died has its claims for at most this time. */
  readonly leaseMs: number;
}

/** The hash tag `{…}` maps all keys to one cluster slot, so that one node holds them. */
const keyPrefix = '{customer-gateway}:idempotency:';
const claimKey = (name: string) => `${keyPrefix}claim:${name}`;
const textKey = (name: string) => `${keyPrefix}kept:${name}`;

/** Opens a connection of its own: large texts must not delay the counters of the rate limit. */
export function openSharedStore(
  { url, ttlMs, leaseMs }: SharedStoreOptions,
  log: Log,
  metrics: Pick<Metrics, 'idempotencyFallback'> | undefined,
): SharedStore {
  const link = openRedisLink({
    url,
    probe: ({ run }) =>
      run([
        ['set', textKey('probe'), '0', 'PX', 1_000],
        ['get', textKey('probe')],
        ['pexpire', claimKey('probe'), 1],
        ['del', textKey('probe')],
      ]),
    onFallback(reason) {
      log.warn('kept operations cannot be shared: each instance keeps its own', { reason });
      metrics?.idempotencyFallback(true);
    },
    onStillUnavailable: (reason) => log.debug('kept operations still cannot be shared', { reason }),
    onUsable() {
      log.warn('kept operations are shared again');
      metrics?.idempotencyFallback(false);
    },
  });

  return {
    claim: (name, holder, texts) =>
      link.use(async ({ run }) => {
        const commands: Command[] = [
          ['set', claimKey(name), holder, 'PX', leaseMs, 'NX'],
          ['get', claimKey(name)],
          // After the claim: a holder stores its text before it ends its claim.
          ...texts.map((text) => ['get', textKey(text)]),
        ];
        const [claimed, current, ...found] = await run(commands);
        return {
          holder: claimed === 'OK' ? holder : typeof current === 'string' ? current : undefined,
          texts: found.map((text) => (typeof text === 'string' ? text : undefined)),
        };
      }),
    extend: (name) => link.use(({ run }) => run([['pexpire', claimKey(name), leaseMs]])),
    set: (name, sealed, replaces) =>
      link.use(async ({ run }) => {
        await run([['set', textKey(name), sealed, 'PX', ttlMs, ...(replaces ? [] : ['NX'])]]);
        return true as const;
      }),
    release: (name, holder) =>
      link.use(async ({ run }) => {
        const [current] = await run([['get', claimKey(name)]]);
        if (current === holder) await run([['del', claimKey(name)]]);
      }),
    dispose: link.dispose,
  };
}
