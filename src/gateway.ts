import { fileURLToPath } from 'node:url';
import { addressOf } from './auth/address.ts';
import { type Authenticator, type AuthOptions, createAuthenticator } from './auth/auth.ts';
import type { Caller } from './auth/caller.ts';
import { createSecretHolder } from './auth/jwt-secret.ts';
import { type CountInInstance, createRateLimit } from './auth/rate-limit.ts';
import { type Config, ConfigError } from './config/config.ts';
import { readKeyEntries } from './config/operator-files.ts';
import { proxyOf } from './config/proxies.ts';
import { type Appliers, watchSettings } from './config/reload.ts';
import { unknownMerchant } from './config/rules.ts';
import { createEngine } from './execution/engine.ts';
import { type Manifest, openManifest } from './execution/persisted.ts';
import { createExplainer } from './explain/explainer.ts';
import { createOperations, type OperationsOptions } from './graphql/operations.ts';
import { buildSubgraph } from './graphql/schema.ts';
import { createBodies } from './http/bodies.ts';
import { deferred } from './http/deferred.ts';
import { createDelivery } from './http/delivery.ts';
import type { Examples } from './http/graphiql.ts';
import type { NodeGateway } from './http/handler.ts';
import { isPlainProbe, serveProbe, statusOfProbe } from './http/health.ts';
import { countInFlight } from './http/in-flight.ts';
import { answer, type Message } from './http/listener.ts';
import { MessageOrigin } from './http/origin.ts';
import { createOverload } from './http/overload.ts';
import { isPlain, servePlain } from './http/plain.ts';
import { hasValidHost, refuseRequest } from './http/raw.ts';
import { createReport } from './http/report.ts';
import { ResponseBatch } from './http/response-batch.ts';
import type { HttpRules } from './http/rules.ts';
import { SharedAnswers } from './http/shared-answers.ts';
import { type RequestOrigin, RequestState } from './http/state.ts';
import { readTarget } from './http/target.ts';
import { createIdempotency } from './idempotency/idempotency.ts';
import { type AnnounceWrite, type EndedWrite, type MerchantAccess, openMerchants } from './juspay/merchants.ts';
import { fetchThrough } from './juspay/tunnels.ts';
import { limited } from './telemetry/limited.ts';
import type { Log, Metrics } from './telemetry/log.ts';
import type { Traces } from './telemetry/traces.ts';

/** The configuration with access to a provider: the real one, or a sandbox that starts on first use. */
export type GatewayConfig = Omit<Config, 'provider'> & { readonly provider: MerchantAccess | undefined };

export interface GatewayParts {
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly traces?: Traces | undefined;
  readonly examples?: Examples;
  /** Counters of the rate limit that other processes of this instance share. */
  readonly countInInstance?: CountInInstance | undefined;
  /** The other processes of this instance, which must not share a read that was sent before a write had ended. */
  readonly otherProcesses?: OtherProcesses | undefined;
  /** Limit for each log message, so that a caller cannot flood the log. Default 10. */
  readonly maxLinesPerSecond?: number;
}

export interface OtherProcesses {
  readonly announce: AnnounceWrite;
  /** Calls the listener for each write of another process. */
  onWrite(listener: (write: EndedWrite) => void): void;
}

/** Characters read from the end of `X-Forwarded-For`: enough for 16 entries, the maximum of `TRUST_PROXY`. */
const maxForwardedForLength = 2_048;

/** @throws ConfigError if the file of API keys or a file of persisted documents is unusable. */
export function openGateway(config: GatewayConfig, parts: GatewayParts): NodeGateway {
  const { metrics, traces, maxLinesPerSecond = 10 } = parts;
  const log = limited(parts.log, maxLinesPerSecond);
  const { limits, endpoint } = config;

  const { url: proxy, setting } = config.proxies;
  if (proxy !== undefined) log.info('calls go through a proxy, except to the hosts of NO_PROXY', { setting });
  const findProxy = (address: string) => proxyOf(address, config.proxies);
  const { otherProcesses } = parts;
  const settings = { ...config, proxyOf: findProxy };
  const merchants = openMerchants(config, settings, log, metrics, otherProcesses?.announce);
  otherProcesses?.onWrite(merchants.invalidate);
  const jwtSecret = createSecretHolder(config);
  const auth = {
    ...jwtSecret.auth,
    isSandbox: config.isSandbox,
    fetch: proxy && fetchThrough(findProxy, config.juspay.timeoutMs),
  };
  const authenticator = openAuthenticator({ auth }, merchants, log, metrics);
  const manifest = openManifestOf(config);
  const overload = createOverload(config.juspay);
  const bodies = createBodies();
  const delivery = createDelivery();
  const responses = new ResponseBatch();
  const merchantOf = (caller: Caller) => merchants.of(caller)?.merchantId;
  const rateLimit =
    config.rateLimit && createRateLimit(config.rateLimit, log, metrics, merchantOf, parts.countInInstance);
  const schema = buildSubgraph({ exposesSdl: config.introspection });
  const inFlight = countInFlight(metrics);
  const shared: OperationsOptions = {
    clientOf: merchants.of,
    inFlight,
    timeoutMs: config.operationTimeoutMs,
    maxReads: limits.upstreamReads,
    log,
    metrics,
  };
  const operations = createOperations(shared);
  const sharedAnswers = new SharedAnswers(operations.join);

  const idempotency = createIdempotency({ merchantOf: merchants.of, redisUrl: config.redisUrl }, log, metrics);

  const engineOptions = { limits, introspection: config.introspection, log };
  const engine = createEngine({ ...engineOptions, schema });
  const hasVersion = config.juspay.version !== undefined;
  const explain = createExplainer({ ...engineOptions, operations: shared, hasVersion });

  const rules: HttpRules = {
    endpoint,
    maxBodyBytes: limits.bodyBytes,
    bodies,
    isDraining: inFlight.isDraining,
    authenticate: authenticator.authenticate,
    slotsOf: (caller) => overload.slotsOf(merchantOf(caller) ?? ''),
    admit: rateLimit?.admit,
    countRefused: rateLimit?.countRefused,
    engine,
    openOperation: operations.open,
    explain,
    openRepeatable: idempotency.open,
    deadlineOf: operations.deadlineOf,
    manifest,
    sharedAnswers,
    persistedOnly: config.persisted.only,
    report: createReport({ log, metrics, merchantOf: merchants.of }),
    log,
    traces,
  };

  const isReady = () => inFlight.isReady() && authenticator.isReady();
  // A third of the time to start is that of Yoga's modules. Plain requests and probes do not use them.
  const yoga = deferred(async () => {
    const { openYoga } = await import('./http/yoga.ts');
    const { corsOrigins, graphiql } = config;
    return openYoga({ rules, corsOrigins, graphiql, examples: parts.examples, isReady });
  });

  const replaceMerchants = ({ provider, merchants: others }: Config) => {
    if (provider !== 'sandbox') merchants.replace({ provider, merchants: others });
  };
  const appliers: Appliers = {
    JUSPAY_API_KEY_FILE: replaceMerchants,
    MERCHANTS_FILE: replaceMerchants,
    AUTH_JWT_SECRET_FILE: jwtSecret.replace,
    AUTH_API_KEYS_FILE({ auth }, readFile) {
      const entries = readKeyEntries(auth.apiKeysFile ?? '', readFile);
      // Accept entries of a merchant that was removed: their requests get `FORBIDDEN`, and other changes still apply.
      if (!entries.every(({ merchant }) => merchant === undefined || merchants.wasKnown(merchant))) {
        throw new Error(unknownMerchant);
      }
      authenticator.replaceApiKeys(entries);
    },
    PERSISTED_DOCUMENTS_FILE(_next, readFile) {
      manifest.reload(readFile);
      sharedAnswers.clear();
    },
  };
  const stopWatching = watchSettings(config, appliers, { log, metrics });

  return {
    schema,
    async fetch(request, peer) {
      const state = openState({
        target: readTarget(request.url),
        isEncrypted: () => request.url.startsWith('https:'),
        findAddress: () => findAddress(peer?.clientAddress, request.headers.get('x-forwarded-for')),
      });
      try {
        const opened = yoga.get();
        // Awaited only while it loads. A context manager that does not follow promises would lose the active span of the server.
        const { fetch } = opened instanceof Promise ? await opened : opened;
        return await fetch(request, { state });
      } finally {
        state.end();
      }
    },
    listener: (request: Message, response) => {
      delivery.limit(response);
      if (!hasValidHost(request)) return refuseRequest(response, 400);
      const state = openState(new MessageOrigin(request, bodies, findAddress));
      if (isPlain(request, endpoint)) return servePlain(request, response, { state, rules, responses });
      response.once('close', () => state.end());
      const { path, query } = state.origin.target;
      const status = statusOfProbe(path, isReady);
      if (status !== undefined && isPlainProbe(request)) {
        return serveProbe(request, response, { requestId: state.requestId, status, responses });
      }
      const isKnown = path === endpoint || status !== undefined;
      // Use a fixed host, and only paths that a URL parser does not change.
      const url = `http://localhost${isKnown ? path : '/'}${query}`;
      answer(request, response, { url, state, open: yoga.get }).catch((cause) => {
        log.error('unexpected error', { requestId: state.requestId, cause });
        refuseRequest(response, 500);
      });
    },
    drain: inFlight.drain,
    async dispose() {
      void inFlight.drain();
      yoga.dispose();
      authenticator.dispose();
      overload.dispose();
      await stopWatching();
      await rateLimit?.dispose();
      idempotency.dispose();
      await merchants.close();
      log.flush();
    },
  };

  function findAddress(socketAddress: string | undefined, forwardedFor: string | null | undefined): string | undefined {
    return addressOf(socketAddress, forwardedFor?.slice(-maxForwardedForLength), config.trustedProxies);
  }

  function openState(origin: RequestOrigin): RequestState {
    const state = new RequestState(origin);
    state.use(inFlight);
    return state;
  }
}

/** @throws ConfigError if the file of API keys is unusable or names an unknown merchant. */
function openAuthenticator(
  { auth }: { readonly auth: AuthOptions },
  merchants: { has(merchantId: string): boolean },
  log: Log,
  metrics: Metrics | undefined,
): Authenticator {
  try {
    const authenticator = createAuthenticator(auth, log, metrics);
    if (authenticator.merchants().every(merchants.has)) return authenticator;
    authenticator.dispose();
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : 'AUTH_API_KEYS_FILE is unusable.']);
  }
  throw new ConfigError([unknownMerchant]);
}

/** Opens the configured manifests, by default the one of this package. @throws ConfigError if one is unusable. */
function openManifestOf({ persisted }: GatewayConfig): Manifest {
  const own = fileURLToPath(new URL('../schema/generated/persisted-documents.json', import.meta.url));
  try {
    return openManifest(persisted.files.length > 0 ? persisted.files : [own]);
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : 'PERSISTED_DOCUMENTS_FILE is unusable.']);
  }
}
