import type { ProviderAccess } from './merchants.ts';
import { type KeyEntry, type ReadFile, readDocuments, readKeyEntries } from './operator-files.ts';
import { unknownMerchant } from './rules.ts';
import type { ParsedSettings } from './settings.ts';

/** Returns the problems of the API key file and the persisted document files. Checks the files of enabled features only. */
export function unusableFiles(set: ParsedSettings, listed: readonly ProviderAccess[], readFile: ReadFile): string[] {
  const problems: string[] = [];
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  };
  const merchants = [set.JUSPAY_MERCHANT_ID, ...listed.map(({ merchantId }) => merchantId)];
  const keys = set.AUTH_MODE?.some((mode) => mode === 'api-key') ? set.AUTH_API_KEYS_FILE : undefined;
  if (keys !== undefined) {
    attempt(() => {
      const entries = readKeyEntries(keys, readFile);
      // The merchant id of the embedded sandbox is unknown until it starts.
      const isReal = merchants.some((merchant) => merchant !== undefined);
      const isKnown = ({ merchant }: KeyEntry) => merchant === undefined || merchants.includes(merchant);
      if (isReal && !entries.every(isKnown)) throw new Error(unknownMerchant);
    });
  }
  for (const path of set.PERSISTED_DOCUMENTS_FILE ?? []) attempt(() => readDocuments(path, readFile));
  return problems;
}
