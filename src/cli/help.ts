import { readFileSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import { isInjectedPort } from '../config/rules.ts';
import { type SettingName, settings } from '../config/settings.ts';
import { tracingTexts } from './tracing.ts';

export const commands = {
  serve: 'start the gateway (default command); without credentials, it uses an embedded sandbox',
  sandbox: 'start only the sandbox, a local replacement for the Juspay API',
  config: 'print the effective settings, with secrets hidden; --check: only report all problems, by name',
  doctor: 'check the settings against this machine, the provider, the key set and Redis; --json: as JSON',
  health: 'exit with 0 if the gateway on HOST and PORT answers /health; --ready: if it answers /ready',
  explain: 'print which upstream calls an operation would make, without a network: see docs/explain.md',
  audit: 'verify FILE...: find changed, missing or inserted lines of audit files; --json, --expect HASH',
  schema: 'print the schema: --for plain (the default), federation, federation-scopes, composite or stitching',
  token: 'create a JWT signed with AUTH_JWT_SECRET, for development',
  help: 'print this text',
} as const;

/** The lines of `--help`: the commands and every setting. */
export function helpText(): string[] {
  return [
    'customer-gateway: a typed GraphQL gateway in front of the Juspay customer API',
    '',
    'Usage: customer-gateway [command]',
    '',
    ...Object.entries(commands).map(([name, does]) => `  ${name.padEnd(9)}${does}`),
    '',
    'Options of sandbox:',
    '  --host, --port (4010), --dialect real|seed|both, --dates utc|offset|micros, --strict, --json, --tidy',
    '  JUSPAY_API_KEY and JUSPAY_MERCHANT_ID set the credentials that the sandbox requires.',
    '',
    'Options of explain:',
    '  FILE (a GraphQL document), --variables JSON|@FILE, --operation NAME, --scopes a,b, --customer ID, --json',
    '',
    'Exit codes of doctor: 0 if nothing is wrong, 1 with a problem, 3 with warnings only, 2 for wrong usage.',
    'Exit codes of audit: 0 if the files are sound, 1 if not, 3 if the gateway could not write lines, 2 for wrong usage.',
    '',
    'Settings are environment variables. An empty variable counts as unset.',
    '',
    ...settings.flatMap(({ name, default: byDefault, meaning, secret }) => [
      `  ${name}${secret ? ` (or ${name}_FILE, the path of a file with the value)` : ''}`,
      `      ${meaning.replaceAll('`', '')}`,
      `      default: ${byDefault.replaceAll('`', '')}`,
    ]),
    '  NODE_ENV',
    '      production: disables the sandbox, introspection and GraphiQL',
    '      default: unset',
  ];
}

/** The lines of `config`: each setting with its effective value and its source. Secrets print as `[secret]`. */
export function configText(config: Config, environment: NodeJS.ProcessEnv): string[] {
  const { provider, juspay, limits, auth, proxies } = config;
  const access = provider === 'sandbox' ? undefined : provider;
  const unset = provider === 'sandbox' ? 'unset: sandbox' : 'unset: no default merchant';
  const unused = 'not used';
  const jwt = auth.modes.includes('jwt') ? auth.jwt : undefined;
  const toggle = (on: boolean) => (on ? 'on' : 'off');
  const effective: Record<SettingName, unknown> = {
    HOST: config.host,
    PORT: config.port,
    GRAPHQL_PATH: config.endpoint,
    KEEP_ALIVE_TIMEOUT_MS: config.keepAliveTimeoutMs,
    WORKERS: config.workers,
    METRICS_PORT: config.metricsPort ?? 'unset: off',
    JUSPAY_API_KEY: access?.apiKey ?? unset,
    JUSPAY_MERCHANT_ID: access?.merchantId ?? unset,
    JUSPAY_BASE_URL: access?.baseUrl ?? unset,
    JUSPAY_VERSION: juspay.version ?? 'unset: not sent',
    JUSPAY_TIMEOUT_MS: juspay.timeoutMs,
    JUSPAY_CONNECTIONS: juspay.connections,
    OPERATION_TIMEOUT_MS: config.operationTimeoutMs,
    MERCHANTS_FILE:
      config.merchants.length > 0
        ? `${config.merchants.length} merchants besides the default`
        : 'none besides the default',
    AUTH_MODE: auth.modes.join(',') || 'none',
    AUTH_JWKS_URL: jwt && 'url' in jwt.keys ? jwt.keys.url : unused,
    AUTH_JWT_SECRET: jwt && 'secret' in jwt.keys ? jwt.keys.secret : unused,
    AUTH_JWT_ISSUER: jwt?.issuer ?? unused,
    AUTH_JWT_AUDIENCE: jwt?.audience ?? unused,
    AUTH_API_KEYS_FILE: (auth.modes.includes('api-key') && auth.apiKeysFile) || unused,
    AUTH_MERCHANT_CLAIM: jwt?.merchantClaim ?? unused,
    AUTH_CUSTOMER_CLAIM: jwt?.customerClaim ?? unused,
    AUTH_AUDIENCE_CLAIM: jwt?.audienceClaim ?? unused,
    LIMIT_BODY_BYTES: limits.bodyBytes,
    LIMIT_DEPTH: limits.depth,
    LIMIT_TOKENS: limits.tokens,
    LIMIT_ALIASES: limits.aliases,
    LIMIT_ROOT_MUTATIONS: limits.rootMutations,
    LIMIT_ITEMS: limits.items,
    LIMIT_RESPONSE_BYTES: limits.responseBytes,
    LIMIT_UPSTREAM_READS: limits.upstreamReads,
    RATE_LIMIT_PER_MINUTE: config.rateLimit?.perMinute ?? 'unset: off',
    REDIS_URL: config.redisUrl ?? 'unset',
    SHUTDOWN_DELAY_MS: config.shutdownDelayMs,
    SHUTDOWN_GRACE_MS: config.shutdownGraceMs,
    HTTPS_PROXY: (proxies.setting === 'HTTPS_PROXY' && proxies.url) || 'unset',
    HTTP_PROXY: proxies.setting === 'HTTP_PROXY' ? proxies.url : proxies.url ? unused : 'unset',
    NO_PROXY: proxies.exceptions.join(',') || 'unset',
    INTROSPECTION: toggle(config.introspection),
    GRAPHIQL: toggle(config.graphiql),
    PERSISTED_ONLY: toggle(config.persisted.only),
    PERSISTED_DOCUMENTS_FILE: config.persisted.files.join(',') || "the package's own manifest",
    TRUST_PROXY: config.trustedProxies,
    CORS_ORIGINS: config.corsOrigins === 'loopback' ? 'any loopback origin' : config.corsOrigins.join(',') || 'none',
    ...tracingTexts(config),
    LOG_LEVEL: config.logLevel,
    AUDIT_FILE: config.auditFile ?? 'unset: off',
  };
  const source = (name: string) => {
    const value = environment[name] || (name.endsWith('_PROXY') && environment[name.toLowerCase()]);
    if (environment[`${name}_FILE`]) return 'file';
    return value && !isInjectedPort(name, value) ? 'environment' : 'default';
  };
  return settings.map(({ name }) => `${name}=${String(effective[name as SettingName])}  (${source(name)})`);
}

/** The version of this package. */
export function version(): string {
  const { version: number } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return number;
}
