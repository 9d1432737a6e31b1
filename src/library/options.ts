import { type Config, ConfigError, loadConfig } from '../config/config.ts';
import { auditFileProblem } from '../config/rules.ts';
import { nearest } from '../config/unknown-names.ts';
import { withAuditFile } from '../telemetry/audit.ts';
import { AuditFile } from '../telemetry/audit-file/file.ts';
import { createLog, type Log, type LogLevel } from '../telemetry/log.ts';

/**
 * The settings of a mounted gateway. Meaning, units, defaults and rules are those of the environment variables; see
 * `docs/settings.md`. `undefined` and `''` count as unset.
 */
export interface GatewayOptions {
  /** The default merchant. Without `apiKey`, the gateway uses the embedded sandbox, which production rejects. */
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
  /** Further merchants by id. `apiKey` may be `[new, old]` during a rotation. */
  readonly merchants?:
    | Readonly<
        Record<string, { readonly apiKey: string | readonly [string, string]; readonly baseUrl?: string | undefined }>
      >
    | undefined;
  readonly operationTimeoutMs?: number | undefined;
  readonly auth?:
    | {
        /** Required with real credentials. */
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
        /** Execute only documents of the manifests. */
        readonly only?: boolean | undefined;
        /** Paths of manifests. Default: the manifest of this package. */
        readonly documentsFiles?: readonly string[] | undefined;
      }
    | undefined;
  readonly proxy?:
    | {
        readonly httpsUrl?: string | undefined;
        readonly httpUrl?: string | undefined;
        /** Hosts that are called without the proxy, as in `NO_PROXY`. */
        readonly exceptions?: readonly string[] | undefined;
      }
    | undefined;
  readonly introspection?: boolean | undefined;
  readonly graphiql?: boolean | undefined;
  /** Exact origins. Leave it unset if the surrounding server handles CORS. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Number of proxies in front whose `X-Forwarded-For` entries are trusted. */
  readonly trustProxy?: number | undefined;
  readonly logLevel?: LogLevel | 'silent' | undefined;
  /** File that receives the audit lines too. Each gateway needs a file of its own. */
  readonly auditFile?: string | undefined;
  /** Receives log entries instead of stdout. Audit entries go to `audit`, or to `info` without that method. */
  readonly log?: Log | undefined;
  /** The full path of the endpoint, including mount paths. Default: `/graphql`. */
  readonly endpoint?: string | undefined;
  /** Rejects the sandbox and disables introspection and GraphiQL. Default: `NODE_ENV === 'production'`. */
  readonly production?: boolean | undefined;
  /**
   * Settings by variable name, such as `process.env`. Options take precedence. Without it, the gateway reads only `NODE_ENV` and
   * `NODE_TLS_REJECT_UNAUTHORIZED` from the environment.
   */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** The setting that each option corresponds to. `merchants` holds the content of the file. */
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
  auditFile: 'AUDIT_FILE',
} as const;

/** The path under which the content of the option `merchants` is passed to `loadConfig`. */
const inlineMerchants = 'option:merchants';

/** Options without a setting. */
const optionsOnly = ['log', 'production', 'environment'];

export interface MountSettings {
  readonly config: Config;
  readonly log: Log;
  readonly audit: AuditFile | undefined;
  /** Replaces the names of settings in a `ConfigError` with the names of options. */
  readonly translate: (error: unknown) => unknown;
}

/** @throws ConfigError with every problem, by the option's name and never by its value. */
export function readOptions(options: GatewayOptions): MountSettings {
  const { log, merchants, environment = {} } = options;
  const problems: string[] = [];
  const given = flatten(options, problems);
  if (log !== undefined && !isLog(log)) problems.push('log must have the methods debug, info, warn and error.');

  // Read these two from `process.env` in any case: a forgotten option must not disable the rules of production.
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
    // A lower-case variable such as `https_proxy` would take precedence over the option.
    delete record[setting.toLowerCase()];
  }
  if (merchants !== undefined) record['MERCHANTS_FILE'] = inlineMerchants;
  const inline = merchants === undefined ? {} : { [inlineMerchants]: JSON.stringify(merchants) };

  const translate = (error: unknown) =>
    error instanceof ConfigError ? new ConfigError(error.problems.map((text) => inOptions(text, environment))) : error;
  try {
    const config = loadConfig(record, undefined, { inline, isMounted: true, ignoresTracing: true });
    if (problems.length === 0) return { config, ...openLog(log, config), translate };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems.map((text) => inOptions(text, environment)));
  }
  throw new ConfigError(problems);
}

/** @throws ConfigError if the audit file cannot be used. */
function openLog(log: Log | undefined, { logLevel, auditFile }: Config) {
  if (auditFile === undefined) return { log: log ?? createLog(logLevel), audit: undefined };
  try {
    const audit = new AuditFile(auditFile);
    return { log: log ? withAuditFile(log, audit) : createLog(logLevel, undefined, audit), audit };
  } catch (error) {
    throw new ConfigError([auditFileProblem((error as NodeJS.ErrnoException).code)]);
  }
}

/** Converts options to settings, with values as strings. */
function flatten(options: object, problems: string[]): Map<string, string> {
  const settings = new Map<string, string>(Object.entries(settingsByOption));
  const known = [...settings.keys(), ...optionsOnly];
  const given = new Map<string, string>();
  const visit = (path: string, value: unknown) => {
    if (value === undefined || path === 'merchants' || optionsOnly.includes(path)) return;
    const setting = settings.get(path);
    if (setting !== undefined) {
      const text = textOf(value);
      if (text === undefined) problems.push(`${path} must be a string, a number, a boolean or an array of strings.`);
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

/** Replaces setting names with option names, except for settings that come from `environment`. */
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
