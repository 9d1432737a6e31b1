import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { unusableFiles } from './files.ts';
import { defaultBaseUrl, type ProviderAccess, readMerchants, withoutSlash } from './merchants.ts';
import { type FileContent, type ReadFile, readSecret } from './operator-files.ts';
import { contradictions } from './rules.ts';
import { Secret } from './secret.ts';
import { Environment, isInjectedPort, isQuoted, type Limits, settings, unknownNames } from './settings.ts';

/** The settings of one gateway, checked and complete. */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  /** 0 stands for a free one. */
  readonly port: number;
  /** The path that operations are sent to, the mount path of a framework included. */
  readonly endpoint: string;
  readonly keepAliveTimeoutMs: number;
  /** Of the gateway's numbers; `undefined`: nobody can ask for them. */
  readonly metricsPort: number | undefined;
  /** The default merchant; `undefined` where callers must name theirs. */
  readonly provider: ProviderAccess | 'sandbox' | undefined;
  /** The other merchants. */
  readonly merchants: readonly ProviderAccess[];
  readonly juspay: { readonly version: string | undefined; readonly timeoutMs: number; readonly connections: number };
  readonly operationTimeoutMs: number;
  readonly auth: {
    /** Empty: nobody is asked who they are. */
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
    /** Callers without credentials are anonymous: the embedded sandbox on a loopback address, and nowhere else. */
    readonly optional?: boolean;
  };
  readonly limits: Limits;
  /** Operations of one caller in a minute; `undefined`: as many as come. */
  readonly rateLimit: { readonly perMinute: number; readonly redisUrl: Secret | undefined } | undefined;
  readonly persisted: { readonly only: boolean; readonly files: readonly string[] };
  /** How many proxies stand in front. */
  readonly trustedProxies: number;
  readonly shutdownDelayMs: number;
  readonly shutdownGraceMs: number;
  /** The proxy for upstream calls and the key set, and the setting that it comes from. */
  readonly proxies: {
    readonly url: Secret | undefined;
    readonly setting: 'HTTPS_PROXY' | 'HTTP_PROXY';
    readonly exceptions: readonly string[];
  };
  readonly introspection: boolean;
  readonly graphiql: boolean;
  /** Exact origins; `loopback` stands for all of this machine. */
  readonly corsOrigins: readonly string[] | 'loopback';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Absent where no file is in use. */
  readonly sources?: Sources;
}

/** The settings whose files are applied again when they change. */
export type WatchedSetting = (typeof watchedSettings)[number];

/** The files that a {@link Config} was read from. */
export interface Sources {
  readonly files: readonly { readonly setting: WatchedSetting; readonly paths: readonly string[] }[];
  /** Each file's content as it was read. */
  readonly contentOf: ReadFile;
  /** @throws ConfigError for content that is unusable together with all other settings. */
  readonly reload: (readFile: ReadFile) => Config;
}

const watchedSettings = [
  'JUSPAY_API_KEY_FILE',
  'MERCHANTS_FILE',
  'AUTH_JWT_SECRET_FILE',
  'AUTH_API_KEYS_FILE',
  'PERSISTED_DOCUMENTS_FILE',
] as const;

/** All that is wrong with the settings, by name and never by value. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** How the settings are read. */
interface LoadOptions {
  /** Contents that come from somebody else than a file, by the path that stands for them; they never change. */
  readonly inline?: Readonly<Record<string, string>>;
  /** Whether the files of callers and of documents are left to those who apply them. */
  readonly isReload?: boolean;
  /** Whether the environment is that of another program, which mounts the gateway. */
  readonly isMounted?: boolean;
}

/**
 * Reads the settings. Pure but for files. An empty variable counts as unset.
 *
 * @throws ConfigError with every problem at once.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  readFrom: ReadFile = (path) => readFileSync(path),
  options: LoadOptions = {},
): Config {
  const { inline = {}, isReload = false, isMounted = false } = options;
  // The environment of a process may be changed while it runs; a reload must not see that.
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
  const file = parsed.data?.MERCHANTS_FILE;
  const production = given['NODE_ENV'] === 'production';
  const fallbackUrl = parsed.data?.JUSPAY_BASE_URL ?? (production ? undefined : defaultBaseUrl);
  const listed = file === undefined ? [] : readMerchants(file, readFile, fallbackUrl, problems);
  problems.push(...contradictions(given, listed));
  if (parsed.success && !isReload) problems.push(...unusableFiles(parsed.data, listed, readFile));
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);

  const set = parsed.data;
  const described = providerOf(set);
  // The same merchant in the file may bring the older key along.
  const own = listed.find(({ merchantId }) => merchantId === described?.merchantId) ?? described;
  const [only, second] = listed;
  const provider = own ?? (only === undefined ? 'sandbox' : second === undefined ? only : undefined);
  return {
    production,
    host: set.HOST ?? '127.0.0.1',
    port: set.PORT ?? 4000,
    endpoint: set.GRAPHQL_PATH ?? '/graphql',
    keepAliveTimeoutMs: set.KEEP_ALIVE_TIMEOUT_MS ?? 65_000,
    metricsPort: set.METRICS_PORT,
    provider,
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
    rateLimit:
      set.RATE_LIMIT_PER_MINUTE === undefined
        ? undefined
        : {
            perMinute: set.RATE_LIMIT_PER_MINUTE,
            redisUrl: set.REDIS_URL === undefined ? undefined : new Secret(set.REDIS_URL),
          },
    persisted: { only: set.PERSISTED_ONLY ?? false, files: set.PERSISTED_DOCUMENTS_FILE ?? [] },
    trustedProxies: set.TRUST_PROXY ?? 0,
    shutdownDelayMs: set.SHUTDOWN_DELAY_MS ?? 0,
    shutdownGraceMs: set.SHUTDOWN_GRACE_MS ?? 10_000,
    proxies: proxiesOf(set),
    introspection: set.INTROSPECTION ?? !production,
    graphiql: set.GRAPHIQL ?? !production,
    corsOrigins: set.CORS_ORIGINS ?? (provider === 'sandbox' ? 'loopback' : []),
    logLevel: set.LOG_LEVEL ?? 'info',
    ...sourcesOf(set, given, contents, inline, (read) => loadConfig(atStart, read, { ...options, isReload: true })),
  };
}

function sourcesOf(
  set: Set,
  given: Readonly<Record<string, string | undefined>>,
  contents: ReadonlyMap<string, FileContent>,
  inline: Readonly<Record<string, string>>,
  reload: Sources['reload'],
): { sources?: Sources } {
  const files = watchedSettings.flatMap((setting) => {
    const named = given[setting];
    const paths = setting === 'PERSISTED_DOCUMENTS_FILE' ? set[setting] : named === undefined ? undefined : [named];
    const isUnused = setting === 'AUTH_JWT_SECRET_FILE' && !set.AUTH_MODE?.some((mode) => mode === 'jwt');
    // A file of keys that is not in use was not read.
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
 * The variables that are set, with each secret that a `NAME_FILE` names read from its file. What is wrong goes to
 * `problems`.
 */
export function readGiven(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
  readFile: ReadFile = (path) => readFileSync(path),
): Partial<Record<string, string>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  // Like in curl and undici, the lower-case name wins.
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
    // What was meant is checked all the same.
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

type Set = z.output<typeof Environment>;

function providerOf(set: Set): ProviderAccess | undefined {
  if (set.JUSPAY_API_KEY === undefined || set.JUSPAY_MERCHANT_ID === undefined) return undefined;
  return {
    baseUrl: withoutSlash(set.JUSPAY_BASE_URL ?? defaultBaseUrl),
    merchantId: set.JUSPAY_MERCHANT_ID,
    apiKey: new Secret(set.JUSPAY_API_KEY),
  };
}

function proxiesOf({ HTTPS_PROXY: secure, HTTP_PROXY: plain, NO_PROXY: none = '' }: Set): Config['proxies'] {
  const url = secure ?? plain;
  return {
    url: url === undefined ? undefined : new Secret(url),
    setting: secure === undefined && plain !== undefined ? 'HTTP_PROXY' : 'HTTPS_PROXY',
    exceptions: none.split(/[\s,]+/).filter(Boolean),
  };
}

function jwtOf(set: Set): Config['auth']['jwt'] {
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
