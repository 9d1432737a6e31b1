import { readFileSync } from 'node:fs';
import { type Config, ConfigError, loadConfig, readGiven } from '../../config/config.ts';
import { readMerchants } from '../../config/merchants.ts';
import { checkFiles } from './files.ts';
import { type Finding, worstOf } from './finding.ts';
import { checkKeySet } from './key-set.ts';
import { checkProvider, type MerchantToCheck } from './provider.ts';
import { checkRedis } from './redis.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Checks the settings of this environment against the machine and the network. Sends no write, and asks for no token. */
export async function diagnose(environment: Environment): Promise<Finding[]> {
  const given = readGiven(environment, []);
  const local = [nodeFinding(process.versions.node), ...checkFiles(given)];
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    const message = 'NODE_TLS_REJECT_UNAUTHORIZED=0 disables certificate checks: remove it.';
    local.push({ check: 'tls', status: 'warning', setting: 'NODE_TLS_REJECT_UNAUTHORIZED', message });
  }
  let config: Config;
  try {
    config = loadConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [...local, ...settingsFindings(error.problems, local)];
  }
  const { auth, redisUrl, juspay } = config;
  const findings = [...local, { check: 'settings', status: 'ok', message: 'The settings are valid.' } as const];
  const merchants = merchantsOf(config, given);
  if (merchants.length === 0) {
    const message = 'The gateway starts on its embedded sandbox, because no credentials of the provider are set.';
    findings.push({ check: 'provider', status: 'ok', setting: 'JUSPAY_API_KEY', message });
  }
  findings.push(...(await checkProvider(config, merchants)));
  const keys = auth.modes.includes('jwt') ? auth.jwt?.keys : undefined;
  if (keys !== undefined && 'url' in keys) findings.push(...(await checkKeySet(keys.url, config)));
  if (redisUrl !== undefined) findings.push(...(await checkRedis(redisUrl.reveal(), juspay.timeoutMs)));
  return findings;
}

/** The lines of the command, and its exit code. */
export function reportOf(findings: readonly Finding[], isJson: boolean): { lines: string[]; exitCode: number } {
  const { worst, exitCode } = worstOf(findings);
  if (isJson) return { lines: [JSON.stringify({ worst, findings }, null, 2)], exitCode };
  const count = (status: Finding['status']) => findings.filter((finding) => finding.status === status).length;
  const rows = findings.map(({ status, check, message }) => `${status.padEnd(9)}${check.padEnd(17)}${message}`);
  return { lines: [...rows, '', `Problems: ${count('problem')}. Warnings: ${count('warning')}.`], exitCode };
}

/** Even major versions of Node get security updates for years, odd ones for months. */
function nodeFinding(version: string): Finding {
  const major = Number(version.split('.')[0]);
  return major % 2 === 0
    ? { check: 'node', status: 'ok', message: `Node ${version} is supported.` }
    : {
        check: 'node',
        status: 'warning',
        message: `Node ${version} has no long-term support: install Node 24 or a later even version.`,
      };
}

/** The problems of the settings. The check of the files describes a file that cannot be read more precisely. */
function settingsFindings(problems: readonly string[], local: readonly Finding[]): Finding[] {
  const unreadable = local.flatMap(({ check, status, setting }) =>
    check === 'files' && status === 'problem' && setting !== undefined ? [setting] : [],
  );
  return problems
    .filter((problem) => !unreadable.some((name) => problem.startsWith(`${name} names a file that cannot be`)))
    .map((problem) => {
      const [setting] = /^[A-Z][A-Z_]+/.exec(problem) ?? [];
      return { check: 'settings', status: 'problem', ...(setting !== undefined && { setting }), message: problem };
    });
}

function merchantsOf({ provider, merchants }: Config, given: Partial<Record<string, string>>): MerchantToCheck[] {
  const file = given['MERCHANTS_FILE'];
  const listed = file === undefined ? [] : readMerchants(file, (path) => readFileSync(path), undefined, []);
  const all = provider === undefined || provider === 'sandbox' ? merchants : [provider, ...merchants];
  return all.map((access) => {
    const index = listed.findIndex(({ merchantId }) => merchantId === access.merchantId);
    if (index >= 0) {
      const setting = 'MERCHANTS_FILE';
      return { access, settings: { key: setting, merchant: setting, baseUrl: setting }, entry: index + 1 };
    }
    const settings = { key: 'JUSPAY_API_KEY', merchant: 'JUSPAY_MERCHANT_ID', baseUrl: 'JUSPAY_BASE_URL' };
    return { access, settings };
  });
}
