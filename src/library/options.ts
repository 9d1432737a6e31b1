import { type Config, ConfigError, loadConfig } from '../config/config.ts';
import { nearest } from '../config/nearest.ts';
import { createLog, type Log, type LogLevel } from '../telemetry/log.ts';

/**
 * The settings of a mounted gateway. Names, units, defaults and rules are those of the environment variables; README
 * has the table. What is `undefined` or empty counts as not given. Secrets are plain texts here, and wrapped at once.
 */
export interface GatewayOptions {
  /** The default merchant. Without a key the embedded sandbox stands in for the provider, and production refuses. */
  readonly juspay?:
    | {
        readonly apiKey?: string | undefined;
        readonly merchantId?: string | undefined;
        /** `https://sandbox.juspay.in` by default; required in production. */
        readonly baseUrl?: string | undefined;
        /** `YYYY-MM-DD`. */
        readonly version?: string | undefined;
        readonly timeoutMs?: number | undefined;
        readonly connections?: number | undefined;
      }
    | undefined;
  /** Further merchants by their ids; two keys (new, old) while one rotates. */
  readonly merchants?:
    | Readonly<
        Record<string, { readonly apiKey: string | readonly [string, string]; readonly baseUrl?: string | undefined }>
      >
    | undefined;
  readonly operationTimeoutMs?: number | undefined;
  readonly auth?:
    | {
        /** Must be said with real credentials. */
        readonly mode?: 'none' | 'jwt' | 'api-key' | readonly ('jwt' | 'api-key')[] | undefined;
        readonly jwksUrl?: string | undefined;
        readonly jwtSecret?: string | undefined;
        readonly jwtIssuer?: string | undefined;
        readonly jwtAudience?: string | undefined;
        readonly apiKeysFile?: string | undefined;
        readonly merchantClaim?: string | undefined;
        readonly customerClaim?: string | undefined;
        readonly audienceClaim?: string | undefined;
      }
    | undefined;
  readonly limits?:
    | {
        readonly bodyBytes?: number | undefined;
        readonly depth?: number | undefined;
        readonly tokens?: number | undefined;
        readonly aliases?: number | undefined;
        readonly rootMutations?: number | undefined;
        readonly items?: number | undefined;
        readonly responseBytes?: number | undefined;
        readonly upstreamReads?: number | undefined;
      }
    | undefined;
  readonly rateLimit?: { readonly perMinute?: number | undefined; readonly redisUrl?: string | undefined } | undefined;
  readonly persisted?:
    | {
        /** Run only documents of the manifests. */
        readonly only?: boolean | undefined;
        /** Paths of manifests; the package's own by default. */
        readonly documentsFiles?: readonly string[] | undefined;
      }
    | undefined;
  readonly proxy?:
    | {
        readonly httpsUrl?: string | undefined;
        readonly httpUrl?: string | undefined;
        /** What is called directly, as in `NO_PROXY`. */
        readonly exceptions?: readonly string[] | undefined;
      }
    | undefined;
  readonly introspection?: boolean | undefined;
  readonly graphiql?: boolean | undefined;
  /** Exact origins. Leave CORS to one of the two: this gateway, or the server around it. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** How many proxies in front are believed in `X-Forwarded-For`. */
  readonly trustProxy?: number | undefined;
  readonly logLevel?: LogLevel | 'silent' | undefined;
  /** Receives log entries instead of JSON lines on stdout. The audit goes to `audit`, or to `info` without that method. */
  readonly log?: Log | undefined;
  /** The whole path that requests are sent to, mount paths included. `/graphql` by default. */
  readonly endpoint?: string | undefined;
  /** Refuses the sandbox and turns introspection and GraphiQL off. `NODE_ENV === 'production'` by default. */
  readonly production?: boolean | undefined;
  /** Settings by their variables' names, such as `process.env`; options win. Nothing is read from the environment otherwise. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Each option and the setting that it is: one set of rules for both. `merchants` is what a file holds otherwise. */
export const settingsByOption = {
  'juspay.apiKey': 'JUSPAY_API_KEY',
  'juspay.merchantId': 'JUSPAY_MERCHANT_ID',
  'juspay.baseUrl': 'JUSPAY_BASE_URL',
  'juspay.version': 'JUSPAY_VERSION',
  'juspay.timeoutMs': 'JUSPAY_TIMEOUT_MS',
  'juspay.connections': 'JUSPAY_CONNECTIONS',
  operationTimeoutMs: 'OPERATION_TIMEOUT_MS',
  merchants: 'MERCHANTS_FILE',
  'auth.mode': 'AUTH_MODE',
  'auth.jwksUrl': 'AUTH_JWKS_URL',
  'auth.jwtSecret': 'AUTH_JWT_SECRET',
  'auth.jwtIssuer': 'AUTH_JWT_ISSUER',
  'auth.jwtAudience': 'AUTH_JWT_AUDIENCE',
  'auth.apiKeysFile': 'AUTH_API_KEYS_FILE',
  'auth.merchantClaim': 'AUTH_MERCHANT_CLAIM',
  'auth.customerClaim': 'AUTH_CUSTOMER_CLAIM',
  'auth.audienceClaim': 'AUTH_AUDIENCE_CLAIM',
  'limits.bodyBytes': 'LIMIT_BODY_BYTES',
  'limits.depth': 'LIMIT_DEPTH',
  'limits.tokens': 'LIMIT_TOKENS',
  'limits.aliases': 'LIMIT_ALIASES',
  'limits.rootMutations': 'LIMIT_ROOT_MUTATIONS',
  'limits.items': 'LIMIT_ITEMS',
  'limits.responseBytes': 'LIMIT_RESPONSE_BYTES',
  'limits.upstreamReads': 'LIMIT_UPSTREAM_READS',
  'rateLimit.perMinute': 'RATE_LIMIT_PER_MINUTE',
  'rateLimit.redisUrl': 'REDIS_URL',
  'persisted.only': 'PERSISTED_ONLY',
  'persisted.documentsFiles': 'PERSISTED_DOCUMENTS_FILE',
  'proxy.httpsUrl': 'HTTPS_PROXY',
  'proxy.httpUrl': 'HTTP_PROXY',
  'proxy.exceptions': 'NO_PROXY',
  introspection: 'INTROSPECTION',
  graphiql: 'GRAPHIQL',
  corsOrigins: 'CORS_ORIGINS',
  endpoint: 'GRAPHQL_PATH',
  trustProxy: 'TRUST_PROXY',
  logLevel: 'LOG_LEVEL',
} as const;

/** Stands for a file that the option `merchants` is in the place of. */
const inlineMerchants = 'option:merchants';

/** Options that no setting stands behind. */
const own = ['log', 'production', 'environment'];

export interface MountSettings {
  readonly config: Config;
  readonly log: Log;
  /** The same problems, in the words of whoever gave the options. */
  readonly translate: (error: unknown) => unknown;
}

/** @throws ConfigError with every problem at once, by the option's name and never by its value. */
export function readOptions(options: GatewayOptions): MountSettings {
  const { log, merchants, environment = {} } = options;
  const problems: string[] = [];
  const given = flatten(options, problems);
  if (log !== undefined && !isLog(log)) problems.push('log must have debug, info, warn and error.');

  // Read although nobody passed them: a forgotten option must not turn the rules of production off.
  const nodeEnv = environment['NODE_ENV'] ?? process.env['NODE_ENV'];
  const record: Record<string, string | undefined> = {
    ...environment,
    NODE_ENV: options.production === undefined ? nodeEnv : options.production ? 'production' : undefined,
    NODE_TLS_REJECT_UNAUTHORIZED:
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] ?? environment['NODE_TLS_REJECT_UNAUTHORIZED'],
  };
  for (const [setting, value] of given) {
    record[setting] = value;
    delete record[`${setting}_FILE`];
    // The lower-case names of the proxies would win.
    delete record[setting.toLowerCase()];
  }
  if (merchants !== undefined) record['MERCHANTS_FILE'] = inlineMerchants;
  const inline = merchants === undefined ? {} : { [inlineMerchants]: JSON.stringify(merchants) };

  const translate = (error: unknown) =>
    error instanceof ConfigError ? new ConfigError(error.problems.map((text) => inOptions(text, environment))) : error;
  try {
    const config = loadConfig(record, undefined, { inline, isMounted: true });
    if (problems.length === 0) return { config, log: log ?? createLog(config.logLevel), translate };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems.map((text) => inOptions(text, environment)));
  }
  throw new ConfigError(problems);
}

/** The settings that the options give, as the environment would spell them. */
function flatten(options: object, problems: string[]): Map<string, string> {
  const settings = new Map<string, string>(Object.entries(settingsByOption));
  const known = [...settings.keys(), ...own];
  const given = new Map<string, string>();
  const visit = (path: string, value: unknown) => {
    if (value === undefined || path === 'merchants' || own.includes(path)) return;
    const setting = settings.get(path);
    if (setting !== undefined) {
      const text = textOf(value);
      if (text === undefined) problems.push(`${path} must be a text, a number, a boolean or a list of texts.`);
      else if (text !== '') given.set(setting, text);
    } else if (!known.some((name) => name.startsWith(`${path}.`))) {
      problems.push(`${path} is not an option. Did you mean ${nearest(path, known)}?`);
    } else if (typeof value !== 'object' || value === null) {
      problems.push(`${path} must be an object.`);
    } else {
      for (const [name, inner] of Object.entries(value)) visit(`${path}.${name}`, inner);
    }
  };
  for (const [name, value] of Object.entries(options)) visit(name, value);
  return given;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join(',') : undefined;
}

/** A problem in the words of the options, but for settings that came from the environment. */
function inOptions(problem: string, environment: Readonly<Record<string, string | undefined>>): string {
  if (environment[problem.split(' ', 1)[0] ?? '']) return problem;
  let text = problem.replace(/ \(or \w+_FILE\)/, '').replace('JUSPAY_*', 'juspay');
  for (const [option, setting] of Object.entries(settingsByOption)) {
    if (environment[setting] || environment[`${setting}_FILE`]) continue;
    text = text.replace(new RegExp(`\\b${setting}=`, 'g'), `${option}: `);
    text = text.replace(new RegExp(`\\b${setting}\\b`, 'g'), option);
  }
  return text.replace('must be `on` or `off`', 'must be true or false');
}

function isLog(log: unknown): boolean {
  if (typeof log !== 'object' || log === null) return false;
  const isMethod = (name: string) => typeof Reflect.get(log, name) === 'function';
  return (
    ['debug', 'info', 'warn', 'error'].every(isMethod) &&
    (!('audit' in log) || log.audit === undefined || isMethod('audit'))
  );
}
