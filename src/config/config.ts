import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { unusableFiles } from './files.ts';
import { defaultBaseUrl, type ProviderAccess, readMerchants, withoutSlash } from './merchants.ts';
import { type FileContent, type ReadFile, readSecret } from './operator-files.ts';
import { type ProxySettings, proxiesOf } from './proxies.ts';
import { contradictions, isInjectedPort } from './rules.ts';
import { Secret } from './secret.ts';
import { Environment, isQuoted, type Limits, type ParsedSettings, settings } from './settings.ts';
import { readTracing, type Tracing } from './tracing.ts';
import { unknownNames } from './unknown-names.ts';

/** The validated settings of one gateway, with defaults applied. */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The full path of the GraphQL endpoint, including the mount path of a framework. */
  readonly endpoint: string;
  readonly keepAliveTimeoutMs: number;
  /** Processes that share the port. More than 1: a supervisor starts them. */
  readonly workers: number;
  /** The port of `/metrics`; `undefined`: off. */
  readonly metricsPort: number | undefined;
  /** The default merchant; `undefined`: every caller's credentials must name a merchant. */
  readonly provider: ProviderAccess | 'sandbox' | undefined;
  /** Whether no credentials are configured, so that the embedded sandbox is the provider. */
  readonly isSandbox: boolean;
  /** The other merchants. */
  readonly merchants: readonly ProviderAccess[];
  readonly juspay: { readonly version: string | undefined; readonly timeoutMs: number; readonly connections: number };
  readonly operationTimeoutMs: number;
  readonly auth: {
    /** Empty: no authentication. */
    readonly modes: readonly ('jwt' | 'api-key')[];
    readonly jwt:
      | {
          readonly issuer: string;
          readonly audience: string;
          readonly keys: { readonly secret: Secret } | { readonly url: string };
          readonly merchantClaim: string;
          readonly customerClaim: string;
          readonly audienceClaim: string;
        }
      | undefined;
    readonly apiKeysFile: string | undefined;
    /** Treat callers without credentials as anonymous. Only set for the embedded sandbox on a loopback address. */
    readonly optional?: boolean;
  };
  readonly limits: Limits;
  /** Operations of one caller per minute; `undefined`: no limit. */
  readonly rateLimit: { readonly perMinute: number; readonly redisUrl: Secret | undefined } | undefined;
  /** Redis, in which instances share counters and kept operations. */
  readonly redisUrl: Secret | undefined;
  readonly persisted: { readonly only: boolean; readonly files: readonly string[] };
  /** Number of proxies in front whose `X-Forwarded-For` entries are trusted. */
  readonly trustedProxies: number;
  readonly shutdownDelayMs: number;
  readonly shutdownGraceMs: number;
  readonly proxies: ProxySettings;
  /** `undefined` if the process registered a tracer provider: it, and not the gateway, exports traces. */
  readonly tracing: Tracing | undefined;
  readonly introspection: boolean;
  readonly graphiql: boolean;
  /** Exact origins; `loopback`: every origin with a loopback host. */
  readonly corsOrigins: readonly string[] | 'loopback';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `undefined`: the audit goes to the log only. */
  readonly auditFile: string | undefined;
  /** The watched files; `undefined` if no setting names a file. */
  readonly sources?: Sources;
}

/** The settings whose files are watched and reloaded. */
export type WatchedSetting = (typeof watchedSettings)[number];

/** The files from which a {@link Config} was loaded. */
export interface Sources {
  readonly files: readonly { readonly setting: WatchedSetting; readonly paths: readonly string[] }[];
  /** Returns the content of a file at the time of loading. */
  readonly contentOf: ReadFile;
  /** Loads and validates all settings again. @throws ConfigError with every problem. */
  readonly reload: (readFile: ReadFile) => Config;
}

const watchedSettings = [
  'JUSPAY_API_KEY_FILE',
  'MERCHANTS_FILE',
  'AUTH_JWT_SECRET_FILE',
  'AUTH_API_KEYS_FILE',
  'PERSISTED_DOCUMENTS_FILE',
] as const;

/** Every problem of the settings. Problems hold names, never values. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

interface LoadOptions {
  /** Contents that replace files, by path. They are not watched. */
  readonly inline?: Readonly<Record<string, string>>;
  /** Skip the validation of API key and document files: during a reload, their appliers validate them. */
  readonly isReload?: boolean;
  /** Whether the environment belongs to a program that mounts the gateway. */
  readonly isMounted?: boolean;
  /** Ignore `OTEL_…`, which then belongs to the program or to the tracer provider that it registered. */
  readonly ignoresTracing?: boolean;
}

/**
 * Loads and validates the settings. Its only side effect is reading files. An empty variable counts as unset.
 *
 * @throws ConfigError with every problem at once.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  readFrom: ReadFile = (path) => readFileSync(path),
  options: LoadOptions = {},
): Config {
  const { inline = {}, isReload = false, isMounted = false } = options;
  // Copy the environment: a reload must not see later changes of `process.env`.
  const atStart = { ...environment };
  const contents = new Map<string, FileContent>();
  const readFile: ReadFile = (path) => {
    const content = inline[path] ?? readFrom(path);
    contents.set(path, content);
    return content;
  };
  const problems = unknownNames(environment, { isMounted });
  const given = readGiven(environment, problems, readFile);
  const parsed = Environment.safeParse(given);
  for (const issue of parsed.error?.issues ?? []) problems.push(`${issue.path.join('.')} ${issue.message}.`);
  // Check the files of valid settings too if another setting is invalid, so that all problems are reported at once.
  const invalid = parsed.error?.issues.map(({ path: [name] }) => name) ?? [];
  const valid = Environment.parse(
    Object.fromEntries(Object.entries(given).filter(([name]) => !invalid.includes(name))),
  );
  const file = valid.MERCHANTS_FILE;
  const production = given['NODE_ENV'] === 'production';
  const fallbackUrl = given['JUSPAY_BASE_URL'] ?? (production ? undefined : defaultBaseUrl);
  const listed = file === undefined ? [] : readMerchants(file, readFile, fallbackUrl, problems);
  problems.push(...contradictions(given, listed));
  if (!isReload) problems.push(...unusableFiles(valid, listed, readFile));
  const tracing = options.ignoresTracing ? undefined : readTracing(valid, problems);
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);

  const set = parsed.data;
  const described = providerOf(set);
  // Prefer the entry of the file for the same merchant: it may hold the older key.
  const own = listed.find(({ merchantId }) => merchantId === described?.merchantId) ?? described;
  const [only, second] = listed;
  const provider = own ?? (only === undefined ? 'sandbox' : second === undefined ? only : undefined);
  const redisUrl = set.REDIS_URL === undefined ? undefined : new Secret(set.REDIS_URL);
  return {
    production,
    host: set.HOST ?? '127.0.0.1',
    port: set.PORT ?? 4000,
    endpoint: set.GRAPHQL_PATH ?? '/graphql',
    keepAliveTimeoutMs: set.KEEP_ALIVE_TIMEOUT_MS ?? 65_000,
    workers: set.WORKERS === 'auto' ? availableParallelism() : (set.WORKERS ?? 1),
    metricsPort: set.METRICS_PORT,
    provider,
    isSandbox: provider === 'sandbox',
    merchants: listed.filter(
      ({ merchantId }) => provider === undefined || (provider !== 'sandbox' && merchantId !== provider.merchantId),
    ),
    juspay: {
      version: set.JUSPAY_VERSION,
      timeoutMs: set.JUSPAY_TIMEOUT_MS ?? 5000,
      connections: set.JUSPAY_CONNECTIONS ?? 64,
    },
    operationTimeoutMs: set.OPERATION_TIMEOUT_MS ?? 20_000,
    auth: {
      modes: set.AUTH_MODE ?? [],
      jwt: jwtOf(set),
      apiKeysFile: set.AUTH_API_KEYS_FILE,
    },
    limits: {
      bodyBytes: set.LIMIT_BODY_BYTES ?? 65_536,
      depth: set.LIMIT_DEPTH ?? 10,
      tokens: set.LIMIT_TOKENS ?? 2000,
      aliases: set.LIMIT_ALIASES ?? 60,
      rootMutations: set.LIMIT_ROOT_MUTATIONS ?? 10,
      items: set.LIMIT_ITEMS ?? 2000,
      responseBytes: set.LIMIT_RESPONSE_BYTES ?? 4_194_304,
      upstreamReads: set.LIMIT_UPSTREAM_READS ?? 100,
    },
    rateLimit: set.RATE_LIMIT_PER_MINUTE === undefined ? undefined : { perMinute: set.RATE_LIMIT_PER_MINUTE, redisUrl },
    redisUrl,
    persisted: { only: set.PERSISTED_ONLY ?? false, files: set.PERSISTED_DOCUMENTS_FILE ?? [] },
    trustedProxies: set.TRUST_PROXY ?? 0,
    shutdownDelayMs: set.SHUTDOWN_DELAY_MS ?? 0,
    shutdownGraceMs: set.SHUTDOWN_GRACE_MS ?? 10_000,
    proxies: proxiesOf(set),
    tracing,
    introspection: set.INTROSPECTION ?? !production,
    graphiql: set.GRAPHIQL ?? !production,
    corsOrigins: set.CORS_ORIGINS ?? (provider === 'sandbox' ? 'loopback' : []),
    logLevel: set.LOG_LEVEL ?? 'info',
    auditFile: set.AUDIT_FILE,
    ...sourcesOf(set, given, contents, inline, (read) => loadConfig(atStart, read, { ...options, isReload: true })),
  };
}

function sourcesOf(
  set: ParsedSettings,
  given: Readonly<Record<string, string | undefined>>,
  contents: ReadonlyMap<string, FileContent>,
  inline: Readonly<Record<string, string>>,
  reload: Sources['reload'],
): { sources?: Sources } {
  const files = watchedSettings.flatMap((setting) => {
    const named = given[setting];
    const paths = setting === 'PERSISTED_DOCUMENTS_FILE' ? set[setting] : named === undefined ? undefined : [named];
    const isUnused = setting === 'AUTH_JWT_SECRET_FILE' && !set.AUTH_MODE?.some((mode) => mode === 'jwt');
    // Files of disabled features are not read, and not watched.
    return !isUnused && paths?.every((path) => contents.has(path) && !Object.hasOwn(inline, path))
      ? [{ setting, paths }]
      : [];
  });
  const contentOf = (path: string): FileContent => {
    const content = contents.get(path);
    if (content === undefined) throw new Error('not read');
    return content;
  };
  return files.length > 0 ? { sources: { files, contentOf, reload } } : {};
}

/**
 * Returns the variables that are set, and reads secrets from the files that `NAME_FILE` variables name.
 *
 * @param problems receives every problem.
 */
export function readGiven(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
  readFile: ReadFile = (path) => readFileSync(path),
): Partial<Record<string, string>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  // The lower-case name takes precedence, as in curl and undici.
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']) {
    const lowerCase = given[name.toLowerCase()];
    if (lowerCase !== undefined) given[name] = lowerCase;
  }
  for (const name of [
    'NODE_ENV',
    ...settings.flatMap((setting) => (setting.secret ? [setting.name, `${setting.name}_FILE`] : [setting.name])),
  ]) {
    const value = given[name];
    if (value === undefined) continue;
    if (isInjectedPort(name, value)) delete given[name];
    if (!isQuoted(value)) continue;
    problems.push(`${name} is in quotes: remove them. \`docker --env-file\` takes quotes as part of a value.`);
    // Validate the unquoted value, so that its other problems are reported at the same time.
    given[name] = value.slice(1, -1) || undefined;
  }
  for (const { name } of settings.filter(({ secret }) => secret)) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) problems.push(`${name} and ${name}_FILE are both set: set one of them.`);
    try {
      given[name] = readSecret(`${name}_FILE`, file, readFile);
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return given;
}

function providerOf(set: ParsedSettings): ProviderAccess | undefined {
  if (set.JUSPAY_API_KEY === undefined || set.JUSPAY_MERCHANT_ID === undefined) return undefined;
  return {
    baseUrl: withoutSlash(set.JUSPAY_BASE_URL ?? defaultBaseUrl),
    merchantId: set.JUSPAY_MERCHANT_ID,
    apiKey: new Secret(set.JUSPAY_API_KEY),
  };
}

function jwtOf(set: ParsedSettings): Config['auth']['jwt'] {
  const { AUTH_JWT_ISSUER: issuer, AUTH_JWT_AUDIENCE: audience, AUTH_JWKS_URL: url, AUTH_JWT_SECRET: secret } = set;
  if (issuer === undefined || audience === undefined || (url === undefined && secret === undefined)) return undefined;
  return {
    issuer,
    audience,
    keys: url === undefined ? { secret: new Secret(secret ?? '') } : { url },
    merchantClaim: set.AUTH_MERCHANT_CLAIM ?? 'merchant_id',
    customerClaim: set.AUTH_CUSTOMER_CLAIM ?? 'customer',
    audienceClaim: set.AUTH_AUDIENCE_CLAIM ?? 'aud',
  };
}
