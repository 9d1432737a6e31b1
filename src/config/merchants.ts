import { z } from 'zod';
import { placesOf, type ReadFile, readJson } from './operator-files.ts';
import { Secret } from './secret.ts';
import { baseUrl, headerText } from './settings.ts';

/** Where the provider is and who we are to it. */
export interface ProviderAccess {
  /** Origin and path prefix, without a slash at the end. */
  readonly baseUrl: string;
  readonly merchantId: string;
  readonly apiKey: Secret;
  /** Still valid while a key rotates. */
  readonly olderApiKey?: Secret;
}

/** Where the provider is unless somebody says otherwise; never in production. */
export const defaultBaseUrl = 'https://sandbox.juspay.in';

export const missingBaseUrl =
  "JUSPAY_BASE_URL must be set in production: the provider's address, such as https://api.juspay.in.";

/** What `MERCHANTS_FILE` holds. */
const Merchants = z.record(
  headerText,
  z.strictObject({ apiKey: z.union([headerText, z.tuple([headerText, headerText])]), baseUrl: baseUrl.optional() }),
);

/**
 * The merchants of the file; what is wrong with it goes to `problems`.
 *
 * @param fallbackUrl the address of merchants without one of their own; `undefined` where each must have one.
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
    // Places are positions: a merchant's own name is a value of the operator's.
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

/** As it stands before a path. */
export function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
