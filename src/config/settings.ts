import { z } from 'zod';
import { integer } from './integer.ts';
import { tracingTable } from './tracing.ts';

/** One environment variable. */
export interface Setting {
  readonly name: string;
  /** The text that the documentation and `--help` print. */
  readonly default: string;
  readonly meaning: string;
  /** A secret can also be read from the file that `NAME_FILE` names, and is never printed. */
  readonly secret: boolean;
}

const toggle = z.enum(['on', 'off'], { error: 'must be `on` or `off`' }).transform((value) => value === 'on');
/** A value for an HTTP header. Commas are excluded because they separate header values. */
export const headerText = z.string().regex(/^[!-+\--~]{1,512}$/, 'must be printable ASCII without spaces and commas');
const milliseconds = (min: number) => integer(min, 600_000);

const host = z.string().regex(/^[\w.:-]{1,253}$/, 'must be a host name or an IP address');
const filePath = z.string().min(1).max(4096);
/** An `https` URL, or an `http` URL with a loopback host. `meta` describes it in `schema/settings.schema.json`. */
const publicUrl = z
  .string()
  .meta({ pattern: '^\\s*[Hh][Tt][Tt][Pp][Ss]?:' })
  .check((context) => {
    const url = URL.parse(context.value);
    const report = (message: string): void => {
      context.issues.push({ code: 'custom', message, input: context.value });
    };
    if (url === null) return report('must be a URL such as https://sandbox.juspay.in');
    if (url.username || url.password || url.hash) report('must not contain a user name, password or fragment');
    if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
    report('must begin with https:// (http:// only for a loopback host)');
  });
/** An origin with an optional path. */
export const baseUrl = publicUrl.refine((url) => !url.includes('?'), {
  error: 'must be an origin with an optional path, without a query',
});
/** `http://` is the default scheme, as in other programs. */
const proxyUrl = z
  .string()
  .transform((text) => (/^[a-z][\w+.-]*:\/\//i.test(text) ? text : `http://${text}`))
  .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), {
    error: 'must be the address of an HTTP proxy such as http://proxy.example:3128',
  });
const authMode = z
  .string()
  .meta({ pattern: '^\\s*none\\s*$|^\\s*(jwt|api-key)\\s*(,\\s*(jwt|api-key)\\s*)*$' })
  .transform((list) => list.split(',').map((mode) => mode.trim()))
  .pipe(
    z.union([z.tuple([z.literal('none')]).transform(() => []), z.array(z.enum(['jwt', 'api-key'])).min(1)], {
      error: 'must be `none`, or a comma-separated list of `jwt` and `api-key`',
    }),
  );
const workers = z
  .string()
  .regex(/^(auto|0*[1-9]\d{0,2})$/, 'must be `auto` or a whole number from 1 to 999')
  .transform((text) => (text === 'auto' ? text : Number(text)));
/** The segments `.` and `..` are rejected because clients resolve them before they send a request. */
const endpointPath = z
  .string()
  .regex(/^\/$|^(\/(?!\.{1,2}(\/|$))[\w.~-]+)+$/, 'must be a path such as /graphql')
  .refine((path) => path !== '/health' && path !== '/ready', {
    error: 'must not be /health or /ready, which the gateway serves itself',
  });
const origins = z
  .string()
  .transform((list) => list.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every(isOrigin), {
    error: 'must be a comma-separated list of exact origins such as https://shop.example or capacitor://localhost',
  });

/** Every setting, in the order of the documentation and `--help`. A new setting also needs a property in `Config`. */
const table = {
  HOST: [host, '127.0.0.1', 'address on which the gateway listens; a loopback address in a container logs a warning'],
  PORT: [integer(0, 65_535), '4000', 'port on which the gateway listens; 0: any free port'],
  GRAPHQL_PATH: [endpointPath, '/graphql', 'path of the GraphQL endpoint'],
  KEEP_ALIVE_TIMEOUT_MS: [
    milliseconds(1),
    '65000',
    'how long an idle client connection stays open; set it higher than the idle timeout of the load balancer (often 60 s)',
  ],
  WORKERS: [
    workers,
    '1',
    'processes that share the port, with one supervisor; `auto`: one for each core. `JUSPAY_CONNECTIONS` is divided among them',
  ],
  METRICS_PORT: [
    integer(0, 65_535),
    'unset: off',
    'separate port on `HOST` that serves Prometheus metrics at `/metrics`; 0: any free port',
  ],
  JUSPAY_API_KEY: [
    headerText,
    'unset: sandbox',
    'API key of the default merchant; requires `JUSPAY_MERCHANT_ID`',
    'secret',
  ],
  JUSPAY_MERCHANT_ID: [
    headerText,
    'unset: sandbox',
    'id of the default merchant, sent as `x-merchantid`; requires `JUSPAY_API_KEY`',
  ],
  JUSPAY_BASE_URL: [
    baseUrl,
    'https://sandbox.juspay.in; required in production',
    "base URL of Juspay's API; `http` is allowed only for loopback hosts",
  ],
  JUSPAY_VERSION: [
    z.iso.date('must be a date, YYYY-MM-DD'),
    'unset: not sent',
    'value of the `version` header of upstream calls, `YYYY-MM-DD`',
  ],
  JUSPAY_TIMEOUT_MS: [milliseconds(1), '5000', 'timeout of one upstream attempt, from connecting to the last byte'],
  JUSPAY_CONNECTIONS: [
    integer(1, 10_000),
    '64',
    'size of the connection pool and maximum of concurrent calls, for each merchant',
  ],
  OPERATION_TIMEOUT_MS: [
    milliseconds(1),
    '20000',
    'deadline of a GraphQL operation, including all upstream attempts and retries',
  ],
  MERCHANTS_FILE: [
    filePath,
    'unset',
    'JSON file with several merchants: `{ "<merchant id>": { "apiKey", "baseUrl"? } }`; `JUSPAY_*` sets the default merchant; `apiKey` is a string, or `[new, old]` during a key rotation; reloaded when it changes',
  ],
  AUTH_MODE: [
    authMode,
    '`none` with the sandbox; otherwise required',
    '`none`: no authentication, every client has full access; or a comma-separated list of `jwt` and `api-key`',
  ],
  AUTH_JWKS_URL: [
    publicUrl,
    'unset',
    'URL of the JSON Web Key Set that verifies tokens of `jwt`; alternative to `AUTH_JWT_SECRET`',
  ],
  AUTH_JWT_SECRET: [
    z.string().min(1),
    'unset',
    'shared secret that verifies tokens of `jwt` (HS256, HS384, HS512); at least 32 bytes in production; alternative to `AUTH_JWKS_URL`',
    'secret',
  ],
  AUTH_JWT_ISSUER: [z.string().min(1), 'required with `jwt`', 'required value of the `iss` claim'],
  AUTH_JWT_AUDIENCE: [
    z.string().min(1),
    'required with `jwt`',
    'required audience, in the claim that `AUTH_AUDIENCE_CLAIM` names',
  ],
  AUTH_API_KEYS_FILE: [
    filePath,
    'required with `api-key`',
    'JSON file with the keys that callers send as `x-api-key`: `[{ "name", "sha256", "scopes", "merchant"?, "customer"?, "documents"? }]`; reloaded when it changes',
  ],
  AUTH_MERCHANT_CLAIM: [z.string().min(1), 'merchant_id', 'claim that binds a caller to a merchant'],
  AUTH_CUSTOMER_CLAIM: [
    z.string().min(1),
    'customer',
    'claim that binds a caller to one customer, by id or object reference id',
  ],
  AUTH_AUDIENCE_CLAIM: [
    z.string().min(1),
    'aud',
    'claim that must contain `AUTH_JWT_AUDIENCE`; set it to `client_id` for access tokens of Amazon Cognito',
  ],
  LIMIT_BODY_BYTES: [
    integer(1, 10_000_000),
    '65536',
    'maximum size of a request body in bytes; a larger body receives status 413',
  ],
  LIMIT_DEPTH: [integer(1, 1_000), '10', 'maximum depth of fields in a document'],
  LIMIT_TOKENS: [integer(1, 100_000), '2000', 'maximum number of tokens in a document'],
  LIMIT_ALIASES: [integer(0, 10_000), '60', 'maximum number of aliases in a document; `__typename` counts as one'],
  LIMIT_ROOT_MUTATIONS: [integer(1, 1_000), '10', 'maximum number of mutation fields in one operation'],
  LIMIT_ITEMS: [
    integer(1, 100_000),
    '2000',
    'maximum number of customers in `ids` and `representations` of one operation',
  ],
  LIMIT_RESPONSE_BYTES: [
    integer(1, 1_000_000_000),
    '4194304',
    'maximum size of a response in bytes; a larger result is replaced by an error before it is serialized',
  ],
  LIMIT_UPSTREAM_READS: [integer(1, 10_000), '100', 'maximum number of distinct upstream reads of one operation'],
  RATE_LIMIT_PER_MINUTE: [
    integer(1, 1_000_000),
    'unset: off',
    'maximum number of operations per caller and minute; anonymous callers are counted by address; rejected documents count',
  ],
  REDIS_URL: [
    z.string().regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://'),
    'unset',
    'Redis in which all instances share the counters of `RATE_LIMIT_PER_MINUTE`, and what they keep for `Idempotency-Key`',
    'secret',
  ],
  SHUTDOWN_DELAY_MS: [
    milliseconds(0),
    '0',
    'time after SIGTERM in which the gateway still accepts operations while `/ready` returns 503, so that load balancers can remove it',
  ],
  SHUTDOWN_GRACE_MS: [
    milliseconds(0),
    '10000',
    'maximum time for in-flight operations to finish after `SHUTDOWN_DELAY_MS`',
  ],
  HTTPS_PROXY: [
    proxyUrl,
    'unset',
    'URL of the HTTP proxy for upstream calls and the key set; `https_proxy` takes precedence',
    'secret',
  ],
  HTTP_PROXY: [proxyUrl, 'unset', 'proxy if `HTTPS_PROXY` is unset; `http_proxy` takes precedence', 'secret'],
  NO_PROXY: [
    z.string().max(65_536),
    'unset',
    'comma-separated list of hosts that are called without the proxy: host names including their subdomains, IP addresses, CIDR ranges or `*`; `no_proxy` takes precedence',
  ],
  INTROSPECTION: [toggle, '`on`; `off` in production', 'whether introspection queries are allowed'],
  GRAPHIQL: [toggle, '`on`; `off` in production', 'whether `GRAPHQL_PATH` serves GraphiQL to browsers'],
  PERSISTED_ONLY: [toggle, '`off`', '`on`: execute only documents of the manifests, by id'],
  PERSISTED_DOCUMENTS_FILE: [
    z.string().transform((list) => list.split(',').map((path) => path.trim())),
    "the package's own manifest",
    'comma-separated list of manifest files from Apollo (`apollo-persisted-query-manifest`), Relay or GraphQL Code Generator (`{ "<id>": "<document>" }`); reloaded when they change',
  ],
  TRUST_PROXY: [
    integer(0, 16),
    '0',
    'number of proxies in front of the gateway whose `X-Forwarded-For` entries are trusted',
  ],
  CORS_ORIGINS: [
    origins,
    'none; any loopback origin with the embedded sandbox',
    'comma-separated list of exact origins, of any scheme, that may read responses',
  ],
  ...tracingTable,
  LOG_LEVEL: [
    z.enum(['debug', 'info', 'warn', 'error', 'silent'], { error: 'must be debug, info, warn, error or silent' }),
    'info',
    'minimum level of log lines on stdout: `debug`, `info`, `warn`, `error` or `silent`; audit lines are written at every level except `silent`; SIGUSR2 changes it while the gateway runs',
  ],
  AUDIT_FILE: [
    filePath,
    'unset: off',
    'file that receives the audit lines too, each with the hash of the line before it; worker n of several appends `-n` to the name, before the extension',
  ],
} as const satisfies Record<string, readonly [z.ZodType, string, string, 'secret'?]>;

/** Limits of one request. */
export type Limits = Readonly<
  Record<
    'bodyBytes' | 'depth' | 'tokens' | 'aliases' | 'rootMutations' | 'items' | 'responseBytes' | 'upstreamReads',
    number
  >
>;

export type SettingName = keyof typeof table;
const names = Object.keys(table) as SettingName[];

export const settings: readonly Setting[] = names.map((name) => {
  const [, byDefault, meaning, secret] = table[name] as readonly [z.ZodType, string, string, 'secret'?];
  return { name, default: byDefault, meaning, secret: secret === 'secret' };
});

/** The schema of all settings. Every setting is optional here; `config.ts` applies the defaults. */
export const Environment = z.object(
  Object.fromEntries(names.map((name) => [name, table[name][0].optional()])) as {
    [Each in SettingName]: z.ZodOptional<(typeof table)[Each][0]>;
  },
);

export type ParsedSettings = z.output<typeof Environment>;

/** Whether a value is in quotes: `docker --env-file` does not remove them. */
export function isQuoted(value: string): boolean {
  return value.length > 1 && /^["']/.test(value) && value.endsWith(value.charAt(0));
}

/** Whether the text is an origin as browsers and web views send it: scheme, host and port. `file:` has no host. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^[a-z][a-z\d+.-]*:\/\/[\w.:[\]-]*$/.test(text)) return false;
  if (url.host === '' && url.protocol !== 'file:') return false;
  // `URL.origin` is `null` for schemes such as `capacitor:`.
  const origin = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
  return origin === text;
}

/** Whether the name, or the address with or without brackets, is one of this machine's loopback interface. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|\[::1\])$/.test(host);
}
