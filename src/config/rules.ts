import { defaultBaseUrl, missingBaseUrl, type ProviderAccess, withoutSlash } from './merchants.ts';

export const unknownMerchant =
  'AUTH_API_KEYS_FILE names a merchant that neither MERCHANTS_FILE nor JUSPAY_MERCHANT_ID describes.';

/** The sentence about an audit file that cannot be used. @param code of the system error. */
export function auditFileProblem(code: string | undefined): string {
  return code === 'EBUSY'
    ? 'AUDIT_FILE is in use by another gateway: give each gateway a file of its own.'
    : `AUDIT_FILE names a file that cannot be written (${code}): create its folder, and give this user the right to write there.`;
}

/** Whether Kubernetes injected the variable: it sets `METRICS_PORT=tcp://10.0.0.1:9090` for a Service named `metrics`. */
export function isInjectedPort(name: string, value: string): boolean {
  return /(^|_)PORT$/.test(name) && /^(tcp|udp|sctp):\/\/\S+:\d+$/i.test(value);
}

/** The output size of SHA-256. An attacker with one token can guess a shorter secret offline. */
const minJwtSecretBytes = 32;

/** Checks rules that concern more than one setting. @returns a sentence for each violated rule. */
export function contradictions(
  given: Readonly<Record<string, string | undefined>>,
  listed: readonly ProviderAccess[],
): string[] {
  const has = (name: string) => given[name] !== undefined;
  const production = given['NODE_ENV'] === 'production';
  const key = has('JUSPAY_API_KEY') || has('JUSPAY_API_KEY_FILE');
  const merchant = has('JUSPAY_MERCHANT_ID');
  const real = key || merchant || has('MERCHANTS_FILE');
  const modes = (given['AUTH_MODE'] ?? '').split(',').map((mode) => mode.trim());
  const jwtKeys = ['AUTH_JWKS_URL', 'AUTH_JWT_SECRET', 'AUTH_JWT_SECRET_FILE'].filter(has);
  const jwtSecret = given['AUTH_JWT_SECRET'];
  const sameMerchant = listed.find(({ merchantId }) => merchantId === given['JUSPAY_MERCHANT_ID']);
  const rules: [boolean, string][] = [
    [
      has('METRICS_PORT') &&
        Number(given['METRICS_PORT']) !== 0 &&
        Number(given['METRICS_PORT']) === Number(given['PORT'] ?? '4000'),
      'METRICS_PORT and PORT must differ, so that the metrics can be closed to the clients of the API.',
    ],
    [
      /^rediss?:\/\//.test(given['REDIS_URL'] ?? '') && !isUrl(given['REDIS_URL'] ?? ''),
      'REDIS_URL must be a URL whose user and password are percent-encoded.',
    ],
    [key && !merchant, 'JUSPAY_MERCHANT_ID must be set together with JUSPAY_API_KEY.'],
    [merchant && !key, 'JUSPAY_API_KEY (or JUSPAY_API_KEY_FILE) must be set together with JUSPAY_MERCHANT_ID.'],
    [
      production && !real,
      'JUSPAY_API_KEY and JUSPAY_MERCHANT_ID must be set in production: the sandbox is for development only.',
    ],
    [production && !has('JUSPAY_BASE_URL') && (key || merchant || listed.length === 0), missingBaseUrl],
    [
      !production && !real && has('JUSPAY_BASE_URL'),
      'JUSPAY_BASE_URL needs JUSPAY_API_KEY and JUSPAY_MERCHANT_ID; without them the embedded sandbox is used.',
    ],
    [
      ((key && merchant) || listed.length > 0) && !has('AUTH_MODE'),
      'AUTH_MODE must be set with real credentials: `jwt`, `api-key`, or `none` to give every client full access.',
    ],
    [
      listed.length > 1 && !key && modes.includes('none'),
      'AUTH_MODE=none needs a default merchant: set JUSPAY_MERCHANT_ID and JUSPAY_API_KEY, or list one merchant only.',
    ],
    [
      sameMerchant !== undefined &&
        (sameMerchant.apiKey.reveal() !== given['JUSPAY_API_KEY'] ||
          sameMerchant.baseUrl !== withoutSlash(given['JUSPAY_BASE_URL'] ?? defaultBaseUrl)),
      'MERCHANTS_FILE and JUSPAY_* describe the same merchant differently: describe it in one place.',
    ],
    [
      production && jwtSecret !== undefined && Buffer.byteLength(jwtSecret) < minJwtSecretBytes,
      `AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE) must have at least ${minJwtSecretBytes} bytes in production.`,
    ],
    [
      production && given['NODE_TLS_REJECT_UNAUTHORIZED'] === '0',
      'NODE_TLS_REJECT_UNAUTHORIZED must not be 0 in production: it disables certificate checks.',
    ],
    [modes.includes('jwt') && jwtKeys.length === 0, 'AUTH_JWKS_URL or AUTH_JWT_SECRET must be set with AUTH_MODE=jwt.'],
    [has('AUTH_JWKS_URL') && jwtKeys.length > 1, 'AUTH_JWKS_URL and AUTH_JWT_SECRET are both set: set one of them.'],
    [modes.includes('jwt') && !has('AUTH_JWT_ISSUER'), 'AUTH_JWT_ISSUER must be set with AUTH_MODE=jwt.'],
    [modes.includes('jwt') && !has('AUTH_JWT_AUDIENCE'), 'AUTH_JWT_AUDIENCE must be set with AUTH_MODE=jwt.'],
    [modes.includes('api-key') && !has('AUTH_API_KEYS_FILE'), 'AUTH_API_KEYS_FILE must be set with AUTH_MODE=api-key.'],
  ];
  return rules.flatMap(([broken, sentence]) => (broken ? [sentence] : []));
}

/** Whether the text is a URL whose user and password can be decoded. */
function isUrl(text: string): boolean {
  const { username = '%', password = '' } = URL.parse(text) ?? {};
  return !/%(?![\da-f]{2})/i.test(`${username}:${password}`);
}
