import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ProviderAccess } from './merchants.ts';
import { type KeyEntry, type ReadFile, readDocuments, readKeyEntries } from './operator-files.ts';
import { auditFileProblem, unknownMerchant } from './rules.ts';
import type { ParsedSettings } from './settings.ts';

/** Returns the problems of the API key file, the persisted document files and the audit file. Checks the files of enabled features only. */
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
  const audit = set.AUDIT_FILE;
  if (audit !== undefined) attempt(() => checkAuditFile(audit));
  for (const path of set.PERSISTED_DOCUMENTS_FILE ?? []) attempt(() => readDocuments(path, readFile));
  return problems;
}

/** @throws Error if the audit file cannot be written, or its folder cannot hold the lock and the next file. */
function checkAuditFile(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) return;
    if (!file.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EINVAL' });
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(auditFileProblem(code));
  }
}
