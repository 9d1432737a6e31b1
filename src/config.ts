import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Secret } from './secret.ts';

/** Where the provider is and who we are to it. */
export interface ProviderAccess {
  /** Origin and path prefix, without a slash at the end. */
  readonly baseUrl: string;
  readonly merchantId: string;
  readonly apiKey: Secret;
}

/** The settings of one gateway, checked and complete. */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  /** 0 stands for a free one. */
  readonly port: number;
  readonly provider: ProviderAccess | 'sandbox';
  readonly juspay: { readonly version: string | undefined; readonly timeoutMs: number; readonly connections: number };
  readonly operationTimeoutMs: number;
  readonly authMode: 'none';
  readonly limits: {
    readonly bodyBytes: number;
    readonly depth: number;
    readonly tokens: number;
    readonly aliases: number;
    readonly rootMutations: number;
    readonly upstreamReads: number;
  };
  readonly shutdownGraceMs: number;
  readonly introspection: boolean;
  readonly graphiql: boolean;
  /** Exact origins; `loopback` stands for all of this machine. */
  readonly corsOrigins: readonly string[] | 'loopback';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

/** All that is wrong with the settings, by name and never by value. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

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
const headerText = z.string().regex(/^[!-+\--~]{1,512}$/, 'must be printable ASCII without spaces and commas');
const milliseconds = (min: number) => integer(min, 600_000);

const host = z.string().regex(/^[\w.:-]{1,253}$/, 'must be a host name or an IP address');
const baseUrl = z.string().check((context) => {
  const url = URL.parse(context.value);
  const report = (message: string): void => {
    context.issues.push({ code: 'custom', message, input: context.value });
  };
  if (url === null) return report('must be a URL such as https://sandbox.juspay.in');
  if (url.username || url.password || url.search || url.hash) report('must be an origin, with a path at most');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  report('must begin with https:// (http:// only for a loopback host)');
});
const origins = z
  .string()
  .transform((list) => list.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every((origin) => /^https?:\/\//.test(origin) && URL.parse(origin)?.origin === origin), {
    error: 'must be a comma list of exact origins such as https://shop.example',
  });

/** Every setting, in the order in which README and `--help` show them. A new one is a row here and a line in `Config`. */
const table = {
  HOST: [host, '127.0.0.1', 'where GraphQL listens: `/graphql`, `/health`, `/ready`'],
  PORT: [integer(0, 65_535), '4000', 'the port of `HOST`; 0 is any free one'],
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
  AUTH_MODE: [
    z.literal('none', { error: 'must be `none`: this version has no caller authentication yet' }),
    'none with the sandbox; else required',
    'who may call: `none` lets anybody who reaches the port do everything',
  ],
  LIMIT_BODY_BYTES: [integer(1, 10_000_000), '65536', 'larger request bodies: 413 before parsing'],
  LIMIT_DEPTH: [integer(1, 1_000), '10', 'levels of fields in a document'],
  LIMIT_TOKENS: [integer(1, 100_000), '2000', 'tokens in a document'],
  LIMIT_ALIASES: [integer(0, 10_000), '60', 'aliases in a document, `__typename` included'],
  LIMIT_ROOT_MUTATIONS: [integer(1, 1_000), '10', 'mutation fields in one operation'],
  LIMIT_UPSTREAM_READS: [integer(1, 10_000), '100', 'distinct upstream calls that one operation may cost'],
  SHUTDOWN_GRACE_MS: [milliseconds(0), '10000', 'how long in-flight operations may still run after SIGTERM'],
  INTROSPECTION: [toggle, '`on`; `off` in production', 'whether the schema can be asked for'],
  GRAPHIQL: [toggle, '`on`; `off` in production', 'whether `/graphql` shows GraphiQL to browsers'],
  CORS_ORIGINS: [
    origins,
    'none; with the embedded sandbox any loopback origin',
    'comma list of the exact origins whose pages may read answers',
  ],
  LOG_LEVEL: [
    z.enum(['debug', 'info', 'warn', 'error', 'silent'], { error: 'must be debug, info, warn, error or silent' }),
    'info',
    'JSON lines on stdout: `debug`, `info`, `warn`, `error` or `silent`',
  ],
} as const satisfies Record<string, readonly [z.ZodType, string, string, 'secret'?]>;

type Name = keyof typeof table;
const names = Object.keys(table) as Name[];

export const settings: readonly Setting[] = names.map((name) => {
  const [, byDefault, meaning, secret] = table[name] as readonly [z.ZodType, string, string, 'secret'?];
  return { name, default: byDefault, meaning, secret: secret === 'secret' };
});

const Environment = z.object(
  Object.fromEntries(names.map((name) => [name, table[name][0].optional()])) as {
    [Each in Name]: z.ZodOptional<(typeof table)[Each][0]>;
  },
);

/** Controls that the design names and this version does not have: whoever sets one must not believe it is on. */
const notYet = (
  'METRICS_PORT MERCHANTS_FILE AUTH_JWKS_URL AUTH_JWT_SECRET AUTH_JWT_SECRET_FILE AUTH_JWT_ISSUER AUTH_JWT_AUDIENCE ' +
  'AUTH_API_KEYS_FILE AUTH_MERCHANT_CLAIM AUTH_CUSTOMER_CLAIM RATE_LIMIT_PER_MINUTE REDIS_URL PERSISTED_ONLY ' +
  'PERSISTED_DOCUMENTS_FILE TRUST_PROXY'
).split(' ');

/**
 * Reads the settings. Pure but for secret files. An empty variable counts as unset.
 *
 * @throws ConfigError with every problem at once.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const problems = unknownNames(Object.keys(given));
  for (const { name } of settings.filter(({ secret }) => secret)) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) problems.push(`${name} and ${name}_FILE are both set: set one of them.`);
    try {
      given[name] = readFile(file).replace(/\r?\n$/, '');
      if (given[name] === '') problems.push(`${name}_FILE names an empty file.`);
    } catch {
      problems.push(`${name}_FILE names a file that cannot be read.`);
    }
  }

  const parsed = Environment.safeParse(given);
  for (const issue of parsed.error?.issues ?? []) problems.push(`${issue.path.join('.')} ${issue.message}.`);
  problems.push(...contradictions(given));
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);

  const set = parsed.data;
  const production = given['NODE_ENV'] === 'production';
  const provider = providerOf(set);
  return {
    production,
    host: set.HOST ?? '127.0.0.1',
    port: set.PORT ?? 4000,
    provider,
    juspay: {
      version: set.JUSPAY_VERSION,
      timeoutMs: set.JUSPAY_TIMEOUT_MS ?? 5000,
      connections: set.JUSPAY_CONNECTIONS ?? 64,
    },
    operationTimeoutMs: set.OPERATION_TIMEOUT_MS ?? 20_000,
    authMode: 'none',
    limits: {
      bodyBytes: set.LIMIT_BODY_BYTES ?? 65_536,
      depth: set.LIMIT_DEPTH ?? 10,
      tokens: set.LIMIT_TOKENS ?? 2000,
      aliases: set.LIMIT_ALIASES ?? 60,
      rootMutations: set.LIMIT_ROOT_MUTATIONS ?? 10,
      upstreamReads: set.LIMIT_UPSTREAM_READS ?? 100,
    },
    shutdownGraceMs: set.SHUTDOWN_GRACE_MS ?? 10_000,
    introspection: set.INTROSPECTION ?? !production,
    graphiql: set.GRAPHIQL ?? !production,
    corsOrigins: set.CORS_ORIGINS ?? (provider === 'sandbox' ? 'loopback' : []),
    logLevel: set.LOG_LEVEL ?? 'info',
  };
}

function providerOf(set: z.output<typeof Environment>): ProviderAccess | 'sandbox' {
  if (set.JUSPAY_API_KEY === undefined || set.JUSPAY_MERCHANT_ID === undefined) return 'sandbox';
  return {
    baseUrl: (set.JUSPAY_BASE_URL ?? 'https://sandbox.juspay.in').replace(/\/+$/, ''),
    merchantId: set.JUSPAY_MERCHANT_ID,
    apiKey: new Secret(set.JUSPAY_API_KEY),
  };
}

/** What single settings cannot tell: which ones belong together. */
function contradictions(given: Readonly<Record<string, string | undefined>>): string[] {
  const problems: string[] = [];
  const production = given['NODE_ENV'] === 'production';
  const key = given['JUSPAY_API_KEY'] !== undefined || given['JUSPAY_API_KEY_FILE'] !== undefined;
  const merchant = given['JUSPAY_MERCHANT_ID'] !== undefined;
  if (key && !merchant) problems.push('JUSPAY_MERCHANT_ID must be set together with JUSPAY_API_KEY.');
  if (merchant && !key)
    problems.push('JUSPAY_API_KEY (or JUSPAY_API_KEY_FILE) must be set together with JUSPAY_MERCHANT_ID.');
  if (production && !key && !merchant) {
    problems.push(
      'JUSPAY_API_KEY and JUSPAY_MERCHANT_ID must be set in production: the sandbox is for development only.',
    );
  }
  if (production && given['JUSPAY_BASE_URL'] === undefined) {
    problems.push("JUSPAY_BASE_URL must be set in production: the provider's address, such as https://api.juspay.in.");
  }
  if (!production && !key && !merchant && given['JUSPAY_BASE_URL'] !== undefined) {
    problems.push(
      'JUSPAY_BASE_URL needs JUSPAY_API_KEY and JUSPAY_MERCHANT_ID; without them the embedded sandbox is used.',
    );
  }
  if (key && merchant && given['AUTH_MODE'] === undefined) {
    problems.push(
      'AUTH_MODE must be set with real credentials: `none`, if anybody who reaches the port may do everything.',
    );
  }
  return problems;
}

function unknownNames(given: readonly string[]): string[] {
  const known: string[] = settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name]));
  const problems: string[] = [];
  for (const name of given) {
    if (notYet.includes(name)) {
      problems.push(`${name} is set, and this version does not have it yet: unset it.`);
    } else if (/^(JUSPAY|AUTH|LIMIT)_/.test(name) && !known.includes(name) && !isInjected(name)) {
      const nearest = known.toSorted((a, b) => distance(a, name) - distance(b, name))[0] ?? '';
      problems.push(`${name} is not a setting. Did you mean ${nearest}?`);
    }
  }
  return problems;
}

/** Kubernetes sets these for every service, one that is called `juspay` included. */
function isInjected(name: string): boolean {
  return /_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_(TCP|UDP)(_|$)/.test(name);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

/** How many single-character edits lie between two names. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
