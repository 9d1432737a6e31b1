import type { Config } from '../../config/config.ts';
import type { ProviderAccess } from '../../config/merchants.ts';
import { proxyOf } from '../../config/proxies.ts';
import { type Answer, codeOf, get, open, type Target } from './connection.ts';
import type { Check, Finding } from './finding.ts';

/** A merchant and the words for it. */
export interface MerchantToCheck {
  readonly access: ProviderAccess;
  /** The settings to change. */
  readonly settings: { readonly key: string; readonly merchant: string; readonly baseUrl: string };
  /** The entry of `MERCHANTS_FILE`, from 1. */
  readonly entry?: number | undefined;
}

/** The reference of a customer that does not exist. A provider that accepts the credentials answers 404. */
const unknownReference = 'customer-gateway-doctor';

/** Connects to each base URL, and reads an unknown customer with each key. Sends no write, and does not ask for a token. */
export async function checkProvider(config: Config, merchants: readonly MerchantToCheck[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const reached = new Map<string, boolean>();
  for (const merchant of merchants) {
    const { access } = merchant;
    const { baseUrl } = merchant.settings;
    const target = { ...targetOf(access.baseUrl, baseUrl, config), words: baseUrl + placeOf(merchant) };
    if (!reached.has(access.baseUrl)) {
      const opened = await open(target);
      opened.socket?.destroy();
      findings.push(...opened.findings);
      reached.set(access.baseUrl, opened.socket !== undefined);
    }
    if (!reached.get(access.baseUrl)) continue;
    const current = await checkKey(merchant, false, target, config);
    const older = access.olderApiKey && (await checkKey(merchant, true, target, config));
    findings.push(...(older ? duringRotation(current, older) : current));
  }
  // All merchants of a provider see the same clock.
  return findings.filter(
    ({ check, message }, index) =>
      check !== 'clock' || findings.findIndex((other) => other.message === message) === index,
  );
}

/** The connection to a URL of a setting, through the proxy if the settings name one. */
export function targetOf(address: string, setting: string, { proxies, juspay }: Config): Target {
  const proxy = proxyOf(address, proxies);
  return {
    url: new URL(address),
    setting,
    words: setting,
    proxy: proxy && { url: proxy, setting: proxies.setting, words: proxies.setting },
    timeoutMs: juspay.timeoutMs,
  };
}

/** One of the two keys of a rotation is enough. */
function duringRotation(current: readonly Finding[], older: readonly Finding[]): Finding[] {
  const isAccepted = (findings: readonly Finding[]) =>
    findings.some(({ check, status }) => check === 'key' && status === 'ok');
  const softened = (findings: readonly Finding[], other: readonly Finding[]) =>
    findings.map((finding) =>
      finding.check === 'key' && finding.status === 'problem' && isAccepted(other)
        ? { ...finding, status: 'warning' as const }
        : finding,
    );
  return [...softened(current, older), ...softened(older, current).filter(({ check }) => check === 'key')];
}

function placeOf({ entry }: MerchantToCheck): string {
  return entry === undefined ? '' : ` (entry ${entry})`;
}

async function checkKey(
  merchant: MerchantToCheck,
  isOlder: boolean,
  target: Target,
  { juspay }: Config,
): Promise<Finding[]> {
  const { access, settings, entry } = merchant;
  const wordsOf = (setting: string, what: string) =>
    entry === undefined ? setting : `the ${what} in ${setting}${placeOf(merchant)}`;
  const words: Words = {
    key: wordsOf(settings.key, isOlder ? 'older key' : 'key'),
    merchant: wordsOf(settings.merchant, 'merchant'),
    baseUrl: target.words,
    settings,
    hasProxy: target.proxy !== undefined,
  };
  const opened = await open(target);
  if (opened.socket === undefined) return opened.findings.filter(({ status }) => status === 'problem');
  const key = (isOlder ? access.olderApiKey : undefined) ?? access.apiKey;
  const url = new URL(`${access.baseUrl}/customers/${unknownReference}`);
  try {
    const answer = await get(
      opened.socket,
      { url, timeoutMs: target.timeoutMs },
      {
        accept: 'application/json',
        'x-merchantid': access.merchantId,
        ...(juspay.version !== undefined && { version: juspay.version }),
        authorization: `Basic ${Buffer.from(`${key.reveal()}:`).toString('base64')}`,
        'x-routing-id': unknownReference,
      },
    );
    return [...meaningOf(answer, words), ...clockFindings(answer, settings.baseUrl)];
  } catch (error) {
    const code = codeOf(error);
    if (code.startsWith('HPE_')) {
      const message = `${target.words} is not the address of the customer API: its server does not answer with HTTP (${code}). Set the provider's base URL, without /customers.`;
      return [{ check: 'address', status: 'problem', setting: settings.baseUrl, message }];
    }
    const message =
      code === 'ETIMEDOUT'
        ? `The provider does not answer within ${target.timeoutMs} ms: run doctor again later, or raise JUSPAY_TIMEOUT_MS.`
        : `The connection ends before the response of ${target.words} is complete (${code}): run doctor again later, and check proxies and firewalls.`;
    return [{ check: 'provider', status: 'problem', setting: settings.baseUrl, message }];
  }
}

interface Words {
  readonly key: string;
  readonly merchant: string;
  readonly baseUrl: string;
  readonly settings: MerchantToCheck['settings'];
  readonly hasProxy: boolean;
}

/** Says what a response to the read of an unknown customer means. Never reads a message of the provider. */
function meaningOf({ status, body }: Answer, { key, merchant, baseUrl, settings, hasProxy }: Words): Finding[] {
  const problem = (check: Check, setting: string, message: string): Finding[] => [
    { check, status: 'problem', setting, message },
  ];
  const json = parse(body);
  const codes = codesOf(json, status);
  if (status === 401)
    return problem(
      'key',
      settings.key,
      `The provider rejects ${key} (401): set an active key of this merchant, from the environment of ${baseUrl}.`,
    );
  if (status === 403 && codes.includes('BAD_ORIGIN'))
    return problem(
      'ip-allow-list',
      settings.merchant,
      `The provider rejects calls from this address (403 BAD_ORIGIN): add the outbound IP address of ${hasProxy ? 'the proxy' : 'this machine'} to the provider's allow-list for ${merchant}.`,
    );
  if (status === 403)
    return problem(
      'key',
      settings.key,
      `The provider answers 403, but not because of its IP allow-list: set ${key} completely, and check that no firewall rejects the call.`,
    );
  if (status === 429) {
    const message = 'The provider limits calls at the moment (429): run doctor again later.';
    return [{ check: 'provider', status: 'warning', setting: settings.baseUrl, message }];
  }
  if (status === 408 || status >= 500)
    return problem(
      'provider',
      settings.baseUrl,
      `The provider fails at the moment (${status}): run doctor again later, and tell the provider if it lasts.`,
    );
  const isElsewhere = status >= 300 && status < 400;
  const isCustomer = status < 300 && (typeof json?.['id'] === 'string' || typeof json?.['customer_id'] === 'string');
  if (isCustomer || (status !== 400 && !isElsewhere && codes.some((code) => absent.includes(code)))) {
    const accepted = (check: Check, setting: string, what: string): Finding => {
      return { check, status: 'ok', setting, message: `The provider accepts ${what}.` };
    };
    return [
      accepted('key', settings.key, key),
      accepted('merchant', settings.merchant, merchant),
      accepted('ip-allow-list', settings.merchant, `calls from this address for ${merchant}`),
    ];
  }
  if (status === 400 && isAboutMerchant(json, codes))
    return problem(
      'merchant',
      settings.merchant,
      `The provider does not know ${merchant} (400): set the merchant id to which ${key} belongs.`,
    );
  const isError = json !== undefined && codes.length > 0;
  if (isElsewhere || (status < 400 && !isError) || status === 404 || json === undefined)
    return problem(
      'address',
      settings.baseUrl,
      `${baseUrl} is not the address of the customer API (status ${status}): set the provider's base URL, without /customers.`,
    );
  return problem(
    'provider',
    settings.baseUrl,
    `The provider rejects a plain read (${status}): check JUSPAY_VERSION and ${baseUrl}.`,
  );
}

const absent = ['RESOURCE_NOT_FOUND', 'OBJECT_NOT_FOUND', 'NOT_FOUND'];
const aboutMerchant = ['ACCOUNT_NOT_FOUND', 'INVALID_ACCOUNT_DETAILS'];

function isAboutMerchant(json: Json | undefined, codes: readonly string[]): boolean {
  const info = record(json?.['error_info']);
  // Without `error_info` these two codes are about the merchant.
  const isBare = info === undefined && codes.some((code) => code === 'MISSING' || code === 'NULLABLE');
  const fields = Array.isArray(info?.['fields']) ? info['fields'] : [];
  return (
    isBare ||
    codes.some((code) => aboutMerchant.includes(code)) ||
    fields.some((field) => record(field)?.['field_name'] === 'x-merchantid')
  );
}

type Json = Readonly<Record<string, unknown>>;

/** The codes of an error body, in upper case. Other servers use `status` in their 404s too. */
function codesOf(json: Json | undefined, httpStatus: number): string[] {
  const info = record(json?.['error_info']) ?? record(json?.['errorInfo']);
  const codes = [info?.['code'], json?.['error_code'], json?.['errorCode'], httpStatus !== 404 && json?.['status']];
  return codes.flatMap((code) => (typeof code === 'string' ? [code.toUpperCase()] : []));
}

function parse(body: Buffer): Json | undefined {
  try {
    return record(JSON.parse(body.toString('utf8')));
  } catch {
    return undefined;
  }
}

function record(value: unknown): Json | undefined {
  if (typeof value === 'string' && value.startsWith('{')) return parse(Buffer.from(value));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** JWTs are accepted within 30 s of their times. A smaller difference already shortens the life of tokens. */
const maxSkewSeconds = { ok: 5, warning: 30 };

/** Compares the clock with the `Date` header, which has whole seconds. */
export function clockFindings({ headers, sentAtMs, receivedAtMs }: Answer, setting: string): Finding[] {
  const dateMs = Date.parse(String(headers['date'] ?? ''));
  if (Number.isNaN(dateMs)) return [];
  // The server's time lies within this second, and the server wrote it between the request and the response.
  const ahead = sentAtMs - (dateMs + 1000);
  const behind = dateMs - receivedAtMs;
  const seconds = Math.round(Math.max(ahead, behind, 0) / 1000);
  const status = seconds <= maxSkewSeconds.ok ? 'ok' : seconds <= maxSkewSeconds.warning ? 'warning' : 'problem';
  const message =
    status === 'ok'
      ? `The clock of this machine agrees with the server of ${setting}.`
      : `The clock of this machine is ${seconds} s ${ahead > behind ? 'ahead of' : 'behind'} the server of ${setting}: synchronize it (NTP).`;
  return [{ check: 'clock', status, setting, message }];
}
