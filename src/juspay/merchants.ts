import { coalescing } from '../customers/coalescing.ts';
import type { JoinableRead, Operation, ReadingApi } from '../customers/customer.ts';
import { createDeadlines } from '../customers/deadlines.ts';
import { InFlightReads, type WrittenIdentifiers } from '../customers/in-flight-reads.ts';
import type { Log, Metrics } from '../telemetry/log.ts';
import { createPseudonyms, type Pseudonyms } from '../telemetry/pseudonyms.ts';
import { createClient } from './client.ts';
import type { Key, Transport } from './exchange.ts';
import { resilient } from './resilience.ts';
import { createTransport, lazyTransport } from './transport.ts';

/** A merchant's credentials and the provider's address. If `baseUrl` is a function, the first call to the provider runs it. */
export interface MerchantAccess {
  readonly merchantId: string;
  readonly baseUrl: string | (() => Promise<string>);
  readonly apiKey: Key;
  /** The previous key, valid during a key rotation. */
  readonly olderApiKey?: Key;
}

/** The default merchant, `undefined` if every caller must name one, and all other merchants. */
export interface MerchantSet {
  readonly provider: MerchantAccess | undefined;
  readonly merchants: readonly MerchantAccess[];
}

export interface Merchant {
  readonly merchantId: string;
  /** The provider's address, for spans; `undefined` until the first call to the provider has found it. */
  readonly server: { readonly host: string; readonly port: number } | undefined;
  readonly open: (operation: Operation) => ReadingApi;
  /** Whether operations that start now may join an in-flight read. */
  readonly hasRead: (read: JoinableRead) => boolean;
  /** The current API key, and the older one while it rotates. Keeps the object of a key that does not change. */
  readonly keys: () => readonly Key[];
  /** Made with the current key. Reading it throws if the key cannot be read. */
  readonly pseudonyms: Pseudonyms;
  /** Keeps the connections of this merchant open until `release`, even if the merchant is removed. */
  readonly acquire: () => void;
  readonly release: () => void;
}

export interface Merchants {
  has(merchantId: string): boolean;
  /** Whether this merchant exists, or existed at any time since the start. */
  wasKnown(merchantId: string): boolean;
  /** The caller's merchant, or the default one; `undefined` if there is none. */
  of(caller: { readonly merchant: string | undefined }): Merchant | undefined;
  /**
   * Replaces all merchants. A merchant keeps its connections if only its keys change. The connections of a merchant that is
   * removed, or opened again, are closed after their in-flight operations have finished.
   */
  replace(next: MerchantSet): void;
  /** Invalidates the in-flight reads of a customer that another process has written. */
  invalidate(write: EndedWrite): void;
  /** Closes all connections, including those in use. */
  close(): Promise<unknown>;
}

/** A write that has ended. */
export interface EndedWrite {
  readonly merchantId: string;
  readonly identifiers: WrittenIdentifiers;
}

/** Tells the other processes of the instance about a write. Resolves when they know, or after a time limit. Never rejects. */
export type AnnounceWrite = (write: EndedWrite) => Promise<unknown>;

/** The settings of calls to the provider. */
interface ClientSettings {
  readonly juspay: { readonly version: string | undefined; readonly timeoutMs: number; readonly connections: number };
  readonly operationTimeoutMs: number;
  /** The proxy of an address; `undefined` for a direct connection. */
  readonly proxyOf?: (address: string) => URL | undefined;
}

/** Each merchant has its own pool, client and in-flight reads, so that no data is shared between merchants. */
export function openMerchants(
  initial: MerchantSet,
  settings: ClientSettings,
  log: Log,
  metrics?: Metrics | undefined,
  announce?: AnnounceWrite,
): Merchants {
  const known = new Map<string, OpenMerchant>();
  const everKnown = new Set<string>();
  const open = new Set<OpenMerchant>();
  let defaultId: string | undefined;

  const replace = ({ provider, merchants }: MerchantSet): void => {
    const next = provider === undefined ? merchants : [provider, ...merchants];
    const removed = new Set(known.keys());
    for (const access of next) {
      const { merchantId } = access;
      removed.delete(merchantId);
      const current = known.get(merchantId);
      if (current?.replaceKeys(access)) continue;
      if (current !== undefined) retire(current);
      const opened = openMerchant(access, settings, log, metrics, announce);
      open.add(opened);
      known.set(merchantId, opened);
      everKnown.add(merchantId);
    }
    for (const merchantId of removed) {
      const current = known.get(merchantId);
      known.delete(merchantId);
      if (current !== undefined) retire(current);
      metrics?.merchantRemoved(merchantId);
    }
    defaultId = provider?.merchantId;
  };
  const retire = (merchant: OpenMerchant): void => {
    const remove = () => open.delete(merchant);
    merchant.closeWhenIdle().then(remove, remove);
  };
  replace(initial);

  return {
    has: (merchantId) => known.has(merchantId),
    wasKnown: (merchantId) => everKnown.has(merchantId),
    of: ({ merchant }) => known.get(merchant ?? defaultId ?? ''),
    replace,
    invalidate: ({ merchantId, identifiers }) => known.get(merchantId)?.invalidate(identifiers),
    close: () => Promise.all([...open].map((merchant) => merchant.close())),
  };
}

interface OpenMerchant extends Merchant {
  /** @returns `false` if the base URL differs. The keys are then unchanged, and the merchant must be opened again. */
  replaceKeys(access: MerchantAccess): boolean;
  invalidate(identifiers: WrittenIdentifiers): void;
  closeWhenIdle(): Promise<void>;
  close(): Promise<void>;
}

function openMerchant(
  access: MerchantAccess,
  { juspay, operationTimeoutMs, proxyOf }: ClientSettings,
  log: Log,
  metrics: Metrics | undefined,
  announce: AnnounceWrite | undefined,
): OpenMerchant {
  const { merchantId, baseUrl } = access;
  let { apiKey, olderApiKey } = access;
  const deadlines = createDeadlines();
  const keys = (): readonly [Key, ...Key[]] => (olderApiKey === undefined ? [apiKey] : [apiKey, olderApiKey]);
  let server: Merchant['server'];
  const openTransport = (address: string): Transport => {
    server = serverOf(address);
    return createTransport({
      baseUrl: address,
      merchantId,
      keys,
      version: juspay.version,
      connections: juspay.connections,
      connectTimeoutMs: juspay.timeoutMs,
      deadlines,
      proxy: proxyOf?.(address),
    });
  };
  const transport =
    typeof baseUrl === 'string' ? openTransport(baseUrl) : lazyTransport(async () => openTransport(await baseUrl()));
  const timeoutMs = Math.min(juspay.timeoutMs, operationTimeoutMs);
  const client = createClient(resilient(transport, { merchantId, timeoutMs, log, metrics }), log);

  /** `undefined` until the first use of the present key. */
  let pseudonyms: Pseudonyms | undefined;

  const reads = new InFlightReads(client, deadlines);

  let inUse = 0;
  const { promise: idle, resolve: resolveIdle } = Promise.withResolvers<void>();
  let isRetired = false;
  const settle = () => {
    if (isRetired && inUse === 0) resolveIdle();
  };
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= transport.close().catch((cause: unknown) => log.warn('connections cannot be closed', { cause }));
    return closing;
  };

  return {
    merchantId,
    get server() {
      return server;
    },
    open: coalescing(reads, announce && ((identifiers) => announce({ merchantId, identifiers }))),
    hasRead: (read) => reads.has(read),
    invalidate: (identifiers) => reads.invalidate(identifiers),
    keys,
    get pseudonyms() {
      pseudonyms ??= createPseudonyms(apiKey.reveal());
      return pseudonyms;
    },
    acquire() {
      inUse += 1;
    },
    release() {
      inUse -= 1;
      settle();
    },
    replaceKeys(next) {
      if (next.baseUrl !== baseUrl) return false;
      // Keep the object of an unchanged key: the transport compares keys by identity when it repeats a call after a 401.
      const kept = <K extends Key | undefined>(key: K) =>
        [apiKey, olderApiKey].find((current) => key !== undefined && current?.reveal() === key.reveal()) ?? key;
      [apiKey, olderApiKey] = [kept(next.apiKey) ?? next.apiKey, kept(next.olderApiKey)];
      pseudonyms = undefined;
      return true;
    },
    closeWhenIdle() {
      isRetired = true;
      settle();
      return idle.then(close);
    },
    close,
  };
}

function serverOf(address: string): Merchant['server'] {
  const { hostname: host, port, protocol } = new URL(address);
  return { host, port: Number(port || (protocol === 'https:' ? 443 : 80)) };
}
