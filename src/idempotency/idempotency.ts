import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Caller } from '../auth/caller.ts';
import type { CustomerApi } from '../customers/customer.ts';
import { RequestError } from '../errors.ts';
import { type Correlation, correlationOf, type Log, type Metrics } from '../telemetry/log.ts';
import { readKey } from './header.ts';
import { createLocalStore } from './local-store.ts';
import { digestOf, type Kept, keptOf, Recording, sorted } from './recording.ts';
import { createKeyring, type KeyedMerchant, type Seals } from './seal.ts';
import { openSharedStore, type SharedStore } from './shared-store.ts';
import { type Patience, waitFor } from './waiting.ts';

/** A mutation with its coerced variables. */
export interface MutationRequest {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** One operation with an `Idempotency-Key`. Queries never begin. */
export interface Repeatable {
  /**
   * Waits for other operations with this key. Call it right before a mutation is executed.
   *
   * @throws RequestError `BAD_USER_INPUT`: 400 for an invalid key, 422 if the key was used for another operation.
   *   `OUTCOME_UNKNOWN` (409) if another operation is in progress until the deadline.
   */
  begin(mutation: MutationRequest): Promise<void>;
  /** Records the writes of the operation, and answers those that were recorded before. */
  over(api: CustomerApi, onReplay: () => void): CustomerApi;
  /**
   * Keeps the settled writes. Call it before the answer is sent. Resolves at the latest 150 ms after the deadline; a repeat still waits
   * until the writes are kept. Never rejects.
   *
   * @returns whether kept writes answered the operation.
   */
  end(): Promise<boolean>;
}

export interface Idempotency {
  /** @param key the value of the header. @returns `undefined` for a caller without a merchant, who can write nothing. */
  open(key: string, request: RepeatableRequest): Repeatable | undefined;
  dispose(): void;
}

export interface RepeatableRequest extends Patience {
  readonly caller: Caller;
  readonly correlation: Correlation;
}

export interface IdempotencyOptions {
  readonly merchantOf: (caller: Caller) => KeyedMerchant | undefined;
  /** Redis, in which instances share kept operations. Without it, each process keeps its own. */
  readonly redisUrl: { reveal(): string } | undefined;
  /** For tests. */
  readonly leaseMs?: number;
}

const ttlMs = 24 * 60 * 60 * 1000;
/** Of the plain text. A larger operation is not kept. */
const maxKeptLength = 256 * 1024;
/** How long after its deadline an operation waits for Redis: a response arrives within 250 ms after the deadline. */
const maxLateMs = 150;
const minPollMs = 20;
const maxPollMs = 250;

/** An operation of this process that uses a key. */
interface InProgress {
  readonly digest: string;
  /** Set when the key belongs to this operation. */
  hasKey: boolean;
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/** Makes repeated operations answer what the first one answered. */
export function createIdempotency(
  { merchantOf, redisUrl, leaseMs = 5_000 }: IdempotencyOptions,
  log: Log,
  metrics: Pick<Metrics, 'idempotentReplay' | 'idempotencyFallback'> | undefined,
): Idempotency {
  const local = createLocalStore({ ttlMs });
  const shared = redisUrl && openSharedStore({ url: redisUrl, ttlMs, leaseMs }, log, metrics);
  const sealsOf = createKeyring();
  /** By claim. Bounded by the operations in progress. */
  const inProgress = new Map<string, InProgress>();

  return {
    open(key, request) {
      const merchant = merchantOf(request.caller);
      if (merchant === undefined) return undefined;
      const onReplay = () => {
        log.info('operation replayed', { ...correlationOf(request.correlation), merchant: merchant.merchantId });
        metrics?.idempotentReplay(merchant.merchantId);
      };
      return new Operation(key, request, { seals: sealsOf(merchant), local, shared, inProgress, leaseMs, onReplay });
    },
    dispose: () => shared?.dispose(),
  };
}

interface Parts {
  readonly seals: readonly Seals[];
  readonly local: ReturnType<typeof createLocalStore>;
  readonly shared: SharedStore | undefined;
  readonly inProgress: Map<string, InProgress>;
  readonly leaseMs: number;
  readonly onReplay: () => void;
}

class Operation implements Repeatable {
  readonly #key: string;
  readonly #request: RepeatableRequest;
  readonly #parts: Parts;
  #digest = '';
  /** The name under which the operation is kept, with its seals, for each API key. The current one is first. */
  #names: readonly { readonly name: string; readonly seals: Seals }[] = [];
  #claim = '';
  #holder = '';
  #entry: InProgress | undefined;
  #lease: NodeJS.Timeout | undefined;
  #recording: Recording | undefined;

  constructor(key: string, request: RepeatableRequest, parts: Parts) {
    this.#key = key;
    this.#request = request;
    this.#parts = parts;
  }

  async begin({ query, operationName, variables }: MutationRequest): Promise<void> {
    const { inProgress } = this.#parts;
    this.#name(readKey(this.#key));
    const digest = digestOf([query, operationName ?? null, sorted(variables)]);
    this.#digest = digest;
    for (let other = inProgress.get(this.#claim); other !== undefined; other = inProgress.get(this.#claim)) {
      if (other.hasKey && other.digest !== digest) throw reused();
      await waitFor(other.ended, this.#request);
    }
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const entry = { digest, hasKey: false, ended, end: resolve };
    this.#entry = entry;
    inProgress.set(this.#claim, entry);
    try {
      this.#recording = new Recording(await this.#acquire());
      entry.hasKey = true;
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  over(api: CustomerApi, onReplay: () => void): CustomerApi {
    return this.#recording?.over(api, onReplay) ?? api;
  }

  async end(): Promise<boolean> {
    const { shared, onReplay } = this.#parts;
    const entry = this.#entry;
    if (entry === undefined) return false;
    this.#entry = undefined;
    const ending = this.#end(entry);
    await (shared === undefined ? ending : this.#waitForEnd(ending));
    const isReplay = this.#recording?.isReplay ?? false;
    if (isReplay) onReplay();
    return isReplay;
  }

  /** Keeps the writes, and then lets other operations have the key. Never rejects. */
  async #end(entry: InProgress): Promise<void> {
    const { shared, inProgress } = this.#parts;
    await this.#keep();
    clearInterval(this.#lease);
    if (this.#lease !== undefined) await shared?.release(this.#claim, this.#holder);
    inProgress.delete(this.#claim);
    entry.end();
  }

  async #waitForEnd(ending: Promise<void>): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const leftMs = this.#request.deadlineAtMs - performance.now();
    const timer = setTimeout(resolve, Math.max(0, leftMs) + maxLateMs);
    await Promise.race([ending, late]);
    clearTimeout(timer);
  }

  /**
   * Sets the names. They depend on everything that the key is bound to. A caller whose rights have changed uses other names, so
   * that a kept answer never shows more than the present rights.
   */
  #name(key: string): void {
    const { credentialKeys, scopes, customers } = this.#request.caller;
    // Anonymous callers have no credentials and equal rights. An address is no identity: a client may repeat from another one.
    const parts = ['name', credentialKeys, [...scopes].toSorted(), customers, key];
    this.#names = this.#parts.seals.map((seals) => ({ name: seals.hash(parts), seals }));
    // While an API key rotates, all instances know the older one.
    const oldest = this.#names.at(-1);
    this.#claim = oldest?.name ?? '';
  }

  /** Claims the key for this operation, in Redis for all instances. @returns the writes that an earlier execution has kept. */
  async #acquire(): Promise<Kept | undefined> {
    const { shared, leaseMs } = this.#parts;
    const { seals } = this.#names.at(-1) ?? {};
    const fingerprint = seals?.hash(['operation', this.#digest]) ?? '';
    this.#holder = `${fingerprint}.${randomUUID()}`;
    const names = this.#names.map(({ name }) => name);
    for (let pauseMs = minPollMs; ; pauseMs = Math.min(2 * pauseMs, maxPollMs)) {
      const claim = await shared?.claim(this.#claim, this.#holder, names);
      const isFree = claim === undefined || claim.holder === this.#holder;
      if (claim !== undefined && isFree) {
        this.#lease = setInterval(() => void shared?.extend(this.#claim), leaseMs / 3).unref();
      }
      if (isFree) {
        const kept = this.#open(claim?.texts ?? []);
        if (kept !== undefined && kept.digest !== this.#digest) throw reused();
        return kept;
      }
      if (claim.holder !== undefined && !claim.holder.startsWith(`${fingerprint}.`)) throw reused();
      await waitFor(undefined, this.#request, pauseMs);
    }
  }

  /** The first text that opens. The memory of the process has what was kept while Redis could not be used. */
  #open(texts: readonly (string | undefined)[]): Kept | undefined {
    for (const [index, { name, seals }] of this.#names.entries()) {
      for (const text of [texts[index], this.#parts.local.get(name)]) {
        const json = text === undefined ? undefined : seals.open(text, name);
        if (json !== undefined) return keptOf(json);
      }
    }
    return undefined;
  }

  async #keep(): Promise<void> {
    const { shared, local } = this.#parts;
    const kept = this.#recording?.keep(this.#digest);
    const [current] = this.#names;
    if (kept === undefined || current === undefined) return;
    const json = JSON.stringify(kept);
    if (json.length > maxKeptLength) return;
    const sealed = current.seals.seal(json, current.name);
    const isShared = await shared?.set(current.name, sealed, this.#recording?.hasKept ?? false);
    if (!isShared) local.set(current.name, sealed);
  }
}

/** The key was used for another operation. Nothing was executed. */
function reused(): RequestError {
  const message = 'This Idempotency-Key was used for another operation. Send a new key with each operation.';
  return new RequestError('BAD_USER_INPUT', { status: 422, message });
}
