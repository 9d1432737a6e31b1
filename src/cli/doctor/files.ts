import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { settings } from '../../config/settings.ts';
import type { Finding } from './finding.ts';

interface NamedFile {
  readonly setting: string;
  readonly path: string;
  readonly isSecret: boolean;
}

/** Mode bits of everybody except the owner and the group. */
const othersMayRead = 0o004;
const othersMayWrite = 0o002;

/** Checks that this user can read each file, and that other users cannot read secrets or change anything. Prints no path. */
export function checkFiles(given: Partial<Record<string, string>>): Finding[] {
  const findings = filesOf(given).map(({ setting, path, isSecret }) => {
    const finding = (status: Finding['status'], message: string): Finding => ({
      check: 'files',
      status,
      setting,
      message,
    });
    let mode: number;
    try {
      const file = statSync(path);
      if (file.isDirectory()) return finding('problem', `${setting} names a folder: set the path of a file in it.`);
      mode = process.platform === 'win32' ? 0 : file.mode;
    } catch (error) {
      const { code } = error as { code?: string };
      return finding(
        'problem',
        code === 'EACCES'
          ? `This user cannot enter the folder of ${setting}: give ${user()} the right to search (x) each folder of the path.`
          : `${setting} names a file that does not exist (${code}): mount the file, or correct the path.`,
      );
    }
    try {
      accessSync(path, constants.R_OK);
    } catch {
      return finding(
        'problem',
        `This user cannot read the file of ${setting}: give ${user()} the right to read (r) it, or change its owner.`,
      );
    }
    if (mode & othersMayWrite)
      return finding('warning', `Every user of this machine can change the file of ${setting}: run chmod o-rwx on it.`);
    if (isSecret && mode & othersMayRead)
      return finding('warning', `Every user of this machine can read the file of ${setting}: run chmod o-rwx on it.`);
    return finding('ok', `This user can read the file of ${setting}.`);
  });
  const audit = given['AUDIT_FILE'];
  return audit === undefined ? findings : [...findings, checkAuditFile(audit)];
}

/** The gateway creates the file, its lock and, after a rotation, the next file. */
function checkAuditFile(path: string): Finding {
  const finding = (status: Finding['status'], message: string): Finding => ({
    check: 'files',
    status,
    setting: 'AUDIT_FILE',
    message,
  });
  const folderRight = `give ${user()} the right to write (w) and search (x) in the folder`;
  try {
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) return finding('ok', 'This user can create the file of AUDIT_FILE.');
    if (!file.isFile()) return finding('problem', 'AUDIT_FILE names no regular file: set the path of a file.');
    accessSync(path, constants.R_OK | constants.W_OK);
    if (process.platform !== 'win32' && file.mode & (othersMayRead | othersMayWrite)) {
      return finding(
        'warning',
        'Every user of this machine can read or change the file of AUDIT_FILE: run chmod o-rwx on it.',
      );
    }
    return finding('ok', 'This user can write the file of AUDIT_FILE.');
  } catch (error) {
    const { code } = error as { code?: string };
    return finding(
      'problem',
      code === 'ENOENT'
        ? 'The folder of AUDIT_FILE does not exist: create it, or correct the path.'
        : `This user cannot write the file of AUDIT_FILE (${code}): ${folderRight}, and to read and write (rw) the file.`,
    );
  }
}

function filesOf(given: Partial<Record<string, string>>): NamedFile[] {
  const secrets = settings.filter(({ secret }) => secret).map(({ name }) => `${name}_FILE`);
  const isSecret = (setting: string) => secrets.includes(setting) || setting === 'MERCHANTS_FILE';
  return [
    ...secrets,
    'MERCHANTS_FILE',
    'AUTH_API_KEYS_FILE',
    'PERSISTED_DOCUMENTS_FILE',
    // Node ignores a file of this variable that it cannot read.
    'NODE_EXTRA_CA_CERTS',
  ].flatMap((setting) => {
    const value = given[setting];
    if (value === undefined) return [];
    const paths = setting === 'PERSISTED_DOCUMENTS_FILE' ? value.split(',').map((path) => path.trim()) : [value];
    return paths.map((path) => ({ setting, path, isSecret: isSecret(setting) }));
  });
}

function user(): string {
  const id = process.getuid?.();
  return id === undefined ? 'it' : `user ${id}`;
}
