import { z } from 'zod';
import { placesOf, type ReadFile, readJson } from './operator-files.ts';
import { Secret } from './secret.ts';
import { baseUrl, headerText } from './settings.ts';

/** Address and credentials for the provider, for one merchant. */
export interface ProviderAccess {
  /** Origin and path prefix, without a trailing slash. */
  readonly baseUrl: string;
  readonly merchantId: string;
  readonly apiKey: Secret;
  /** The previous key, during a rotation. */
  readonly olderApiKey?: Secret;
}

/** Used without `JUSPAY_BASE_URL`, except in production. */
export const defaultBaseUrl = 'https://sandbox.juspay.in';

export const missingBaseUrl =
  "JUSPAY_BASE_URL must be set in production: the provider's address, such as https://api.juspay.in.";

/** The content of `MERCHANTS_FILE`. */
const Merchants = z.record(
  headerText,
  z.strictObject({ apiKey: z.union([headerText, z.tuple([headerText, headerText])]), baseUrl: baseUrl.optional() }),
);

/**
 * Reads the merchants of `MERCHANTS_FILE`.
 *
 * @param fallbackUrl the base URL of entries without `baseUrl`; `undefined` if every entry must have one.
 * @param problems receives every problem.
 */
export function readMerchants(
  path: string,
  readFile: ReadFile,
  fallbackUrl: string | undefined,
  problems: string[],
): ProviderAccess[] {
  let json: unknown;
  try {
    json = readJson('MERCHANTS_FILE', path, readFile);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
    return [];
  }
  const parsed = Merchants.safeParse(json);
  if (!parsed.success) {
    // Leave out the first path segment: it is the merchant id, and problems hold no values.
    const places = placesOf(parsed.error, json, (place) => String(place[1] ?? 'a merchant'));
    problems.push(`MERCHANTS_FILE is not \`{ "<merchant id>": { "apiKey", "baseUrl"? } }\`: see ${places}.`);
    return [];
  }
  if (Object.keys(parsed.data).length === 0) problems.push('MERCHANTS_FILE lists no merchant.');
  const needsUrl = Object.values(parsed.data).some((entry) => entry.baseUrl === undefined);
  if (fallbackUrl === undefined && needsUrl) problems.push(missingBaseUrl);
  return Object.entries(parsed.data).map(([merchantId, { apiKey, baseUrl }]) => {
    const [newer, older] = typeof apiKey === 'string' ? [apiKey] : apiKey;
    return {
      merchantId,
      baseUrl: withoutSlash(baseUrl ?? fallbackUrl ?? defaultBaseUrl),
      apiKey: new Secret(newer ?? ''),
      ...(older !== undefined && { olderApiKey: new Secret(older) }),
    };
  });
}

export function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
