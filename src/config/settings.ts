import { z } from 'zod';
import { distance, nearest } from './nearest.ts';

/** One environment variable. */
export interface Setting {
  readonly name: string;
  /** As README and `--help` print it. */
  readonly default: string;
  readonly meaning: string;
  /** A secret can also be read from the file that `NAME_FILE` names, and is never printed. */
  readonly secret: boolean;
}

const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,10}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));
const toggle = z.enum(['on', 'off'], { error: 'must be `on` or `off`' }).transform((value) => value === 'on');
/** What may stand in a header: printable ASCII without spaces, and without the comma that would make two of one. */
export const headerText = z.string().regex(/^[!-+\--~]{1,512}$/, 'must be printable ASCII without spaces and commas');
const milliseconds = (min: number) => integer(min, 600_000);

const host = z.string().regex(/^[\w.:-]{1,253}$/, 'must be a host name or an IP address');
const filePath = z.string().min(1).max(4096);
/** `https` anywhere, `http` on this machine only. */
const publicUrl = z.string().check((context) => {
  const url = URL.parse(context.value);
  const report = (message: string): void => {
    context.issues.push({ code: 'custom', message, input: context.value });
  };
  if (url === null) return report('must be a URL such as https://sandbox.juspay.in');
  if (url.username || url.password || url.hash) report('must hold no password and no fragment');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  report('must begin with https:// (http:// only for a loopback host)');
});
/** An origin, with a path at most. */
export const baseUrl = publicUrl.refine((url) => !url.includes('?'), {
  error: 'must be an origin, with a path at most',
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
  .transform((list) => list.split(',').map((mode) => mode.trim()))
  .pipe(
    z.union([z.tuple([z.literal('none')]).transform(() => []), z.array(z.enum(['jwt', 'api-key'])).min(1)], {
      error: 'must be `none`, or a comma list of `jwt` and `api-key`',
    }),
  );
/** Names that a client would change before it sends them (`.`, `..`) are no path of an address. */
const endpointPath = z
  .string()
  .regex(/^\/$|^(\/(?!\.{1,2}(\/|$))[\w.~-]+)+$/, 'must be a path such as /graphql')
  .refine((path) => path !== '/health' && path !== '/ready', {
    error: 'must be a path such as /graphql: /health and /ready are taken',
  });
const origins = z
  .string()
  .transform((list) => list.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every(isOrigin), {
    error: 'must be a comma list of exact origins such as https://shop.example or capacitor://localhost',
  });

/** Every setting, in the order in which README and `--help` show them. A new one is a row here and a line in `Config`. */
const table = {
  HOST: [
    host,
    '127.0.0.1',
    'where GraphQL listens: `/graphql`, `/health`, `/ready`; a loopback address in a container leaves a warning in the log',
  ],
  PORT: [integer(0, 65_535), '4000', 'the port of `HOST`; 0 is any free one'],
  GRAPHQL_PATH: [endpointPath, '/graphql', 'the path of the endpoint, for gateways behind a path prefix'],
  KEEP_ALIVE_TIMEOUT_MS: [
    milliseconds(1),
    '65000',
    'how long an idle client connection stays open: longer than the 60 s of common load balancers',
  ],
  METRICS_PORT: [
    integer(0, 65_535),
    'unset: off',
    'Prometheus text at `/metrics` of `HOST`, on a port of its own; 0 is any free one',
  ],
  JUSPAY_API_KEY: [
    headerText,
    'unset: sandbox',
    "the merchant's key; comes together with `JUSPAY_MERCHANT_ID`",
    'secret',
  ],
  JUSPAY_MERCHANT_ID: [headerText, 'unset: sandbox', 'the merchant, sent as `x-merchantid`'],
  JUSPAY_BASE_URL: [
    baseUrl,
    'https://sandbox.juspay.in; in production none: required',
    "the provider's address; plain `http` only for loopback hosts",
  ],
  JUSPAY_VERSION: [z.iso.date('must be a date, YYYY-MM-DD'), 'unset: not sent', 'the `version` header, a date'],
  JUSPAY_TIMEOUT_MS: [milliseconds(1), '5000', 'one upstream attempt, connect to last byte'],
  JUSPAY_CONNECTIONS: [integer(1, 10_000), '64', 'pool size per upstream host, and the cap on concurrent calls'],
  OPERATION_TIMEOUT_MS: [
    milliseconds(1),
    '20000',
    'deadline of a whole GraphQL operation; attempts and retries fit inside it',
  ],
  MERCHANTS_FILE: [
    filePath,
    'unset',
    'several merchants: `{ "<merchant id>": { "apiKey", "baseUrl"? } }`, merged with `JUSPAY_*`, which names the default one; `apiKey` is a text, or a list of two (new, old) while a key rotates',
  ],
  AUTH_MODE: [
    authMode,
    '`none` with the sandbox; else required',
    '`none` lets anybody who reaches the port do everything; or a comma list of `jwt`, `api-key`',
  ],
  AUTH_JWKS_URL: [publicUrl, 'unset', 'where the keys of `jwt` are published; or `AUTH_JWT_SECRET`'],
  AUTH_JWT_SECRET: [
    z.string().min(1),
    'unset',
    'the shared secret of `jwt` (HS256, HS384, HS512), in production at least 32 bytes; or `AUTH_JWKS_URL`',
    'secret',
  ],
  AUTH_JWT_ISSUER: [z.string().min(1), 'required with `jwt`', 'the `iss` that a token must have'],
  AUTH_JWT_AUDIENCE: [
    z.string().min(1),
    'required with `jwt`',
    'the audience that a token must have, in the claim that `AUTH_AUDIENCE_CLAIM` names',
  ],
  AUTH_API_KEYS_FILE: [
    filePath,
    'required with `api-key`',
    '`[{ "name", "sha256", "scopes", "merchant"?, "customer"?, "documents"? }]`; callers send `x-api-key`; read anew when it changes',
  ],
  AUTH_MERCHANT_CLAIM: [z.string().min(1), 'merchant_id', 'the claim that binds a caller to a merchant'],
  AUTH_CUSTOMER_CLAIM: [
    z.string().min(1),
    'customer',
    'the claim that binds a caller to one customer, by id or reference',
  ],
  AUTH_AUDIENCE_CLAIM: [
    z.string().min(1),
    'aud',
    'the claim that must hold `AUTH_JWT_AUDIENCE`; `client_id` for access tokens of Amazon Cognito',
  ],
  LIMIT_BODY_BYTES: [integer(1, 10_000_000), '65536', 'larger request bodies: 413 before parsing'],
  LIMIT_DEPTH: [integer(1, 1_000), '10', 'levels of fields in a document'],
  LIMIT_TOKENS: [integer(1, 100_000), '2000', 'tokens in a document'],
  LIMIT_ALIASES: [integer(0, 10_000), '60', 'aliases in a document, `__typename` included'],
  LIMIT_ROOT_MUTATIONS: [integer(1, 1_000), '10', 'mutation fields in one operation'],
  LIMIT_ITEMS: [
    integer(1, 100_000),
    '2000',
    'customers that one operation may name in `ids` and `representations` together',
  ],
  LIMIT_RESPONSE_BYTES: [
    integer(1, 1_000_000_000),
    '4194304',
    'size of one answer; a larger one is replaced by an error before it is built',
  ],
  LIMIT_UPSTREAM_READS: [integer(1, 10_000), '100', 'distinct upstream calls that one operation may cost'],
  RATE_LIMIT_PER_MINUTE: [
    integer(1, 1_000_000),
    'unset: off',
    'operations per caller and minute (anonymous ones by address; refused documents count); shared by all instances when `REDIS_URL` is set',
  ],
  REDIS_URL: [
    z.string().regex(/^rediss?:\/\//, 'must begin with redis:// or rediss://'),
    'unset',
    'where instances share their counters',
    'secret',
  ],
  SHUTDOWN_DELAY_MS: [
    milliseconds(0),
    '0',
    'after SIGTERM: how long new operations are still served while `/ready` already answers 503, so that endpoints can be withdrawn',
  ],
  SHUTDOWN_GRACE_MS: [milliseconds(0), '10000', 'how long in-flight operations may still run after that'],
  HTTPS_PROXY: [
    proxyUrl,
    'unset',
    'the HTTP proxy for upstream calls and the key set; `https_proxy` is the same, and wins',
    'secret',
  ],
  HTTP_PROXY: [proxyUrl, 'unset', 'used if `HTTPS_PROXY` is unset; `http_proxy` is the same, and wins', 'secret'],
  NO_PROXY: [
    z.string().max(65_536),
    'unset',
    'comma list of hosts that are called directly: names with their subdomains, addresses, networks, `*`; `no_proxy` is the same, and wins',
  ],
  INTROSPECTION: [toggle, '`on`; `off` in production', 'whether the schema can be asked for'],
  GRAPHIQL: [toggle, '`on`; `off` in production', 'whether `GRAPHQL_PATH` shows GraphiQL to browsers'],
  PERSISTED_ONLY: [toggle, '`off`', '`on`: run only documents of the manifests, by their ids'],
  PERSISTED_DOCUMENTS_FILE: [
    z.string().transform((list) => list.split(',').map((path) => path.trim())),
    "the package's own manifest",
    'comma list of manifests: of Apollo (`apollo-persisted-query-manifest`), Relay, or GraphQL Code Generator (`{ "<id>": "<document>" }`)',
  ],
  TRUST_PROXY: [integer(0, 16), '0', 'number of proxies in front whose `X-Forwarded-For` is believed'],
  CORS_ORIGINS: [
    origins,
    'none; with the embedded sandbox any loopback origin',
    'comma list of the exact origins, of any scheme, whose pages may read answers',
  ],
  LOG_LEVEL: [
    z.enum(['debug', 'info', 'warn', 'error', 'silent'], { error: 'must be debug, info, warn, error or silent' }),
    'info',
    'JSON lines on stdout: `debug`, `info`, `warn`, `error` or `silent`',
  ],
} as const satisfies Record<string, readonly [z.ZodType, string, string, 'secret'?]>;

/** What one request may cost. Units stand in the names. */
export type Limits = Readonly<
  Record<
    'bodyBytes' | 'depth' | 'tokens' | 'aliases' | 'rootMutations' | 'items' | 'responseBytes' | 'upstreamReads',
    number
  >
>;

type Name = keyof typeof table;
const names = Object.keys(table) as Name[];

export const settings: readonly Setting[] = names.map((name) => {
  const [, byDefault, meaning, secret] = table[name] as readonly [z.ZodType, string, string, 'secret'?];
  return { name, default: byDefault, meaning, secret: secret === 'secret' };
});

/** All of them at once, still optional: what a setting is when it is unset is for `config.ts` to say. */
export const Environment = z.object(
  Object.fromEntries(names.map((name) => [name, table[name][0].optional()])) as {
    [Each in Name]: z.ZodOptional<(typeof table)[Each][0]>;
  },
);

export type ParsedSettings = z.output<typeof Environment>;

/**
 * Names that look like settings and are none, as sentences with a suggestion.
 *
 * @param isMounted whether the environment is another program's: Auth.js uses the prefix `AUTH_` too, so that only what is
 *   likely misspelt counts.
 */
export function unknownNames(
  environment: Readonly<Record<string, string | undefined>>,
  { isMounted = false }: { readonly isMounted?: boolean } = {},
): string[] {
  const known: string[] = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!value || !/^(JUSPAY|AUTH|LIMIT)_/.test(name) || known.includes(name) || isInjected(name)) continue;
    const meant = nearest(name, known);
    if (isMounted && name.startsWith('AUTH_') && distance(name, meant) > 2) continue;
    problems.push(`${name} is not a setting. Did you mean ${meant}?`);
  }
  return problems;
}

/** Whether Kubernetes set this for a Service: `METRICS_PORT=tcp://10.0.0.1:9090` for one that is called `metrics`. */
export function isInjectedPort(name: string, value: string): boolean {
  return /(^|_)PORT$/.test(name) && /^(tcp|udp|sctp):\/\/\S+:\d+$/i.test(value);
}

/** Whether a value is in quotes, as `docker --env-file` keeps them. */
export function isQuoted(value: string): boolean {
  return value.length > 1 && /^["']/.test(value) && value.endsWith(value.charAt(0));
}

/** Kubernetes sets these for every service, one that is called `juspay` included. */
function isInjected(name: string): boolean {
  return /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(name);
}

/** As browsers and web views send it: scheme, host and port. `file:` has no host. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^[a-z][a-z\d+.-]*:\/\/[\w.:[\]-]*$/.test(text)) return false;
  if (url.host === '' && url.protocol !== 'file:') return false;
  // The standard gives an origin to the schemes of the web only.
  const origin = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
  return origin === text;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}
