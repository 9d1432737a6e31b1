import { createKeySet } from '../../auth/key-set.ts';
import type { Config } from '../../config/config.ts';
import { createLog } from '../../telemetry/log.ts';
import { codeOf, get, open } from './connection.ts';
import type { Finding } from './finding.ts';
import { clockFindings, targetOf } from './provider.ts';

const setting = 'AUTH_JWKS_URL';

/** Fetches the key set once and checks its keys as the gateway does. */
export async function checkKeySet(address: string, config: Config): Promise<Finding[]> {
  const target = targetOf(address, setting, config);
  const { findings, socket } = await open(target);
  if (socket === undefined) return findings;
  const finding = (status: Finding['status'], message: string): Finding => ({
    check: 'key-set',
    status,
    setting,
    message,
  });
  try {
    const answer = await get(socket, target, { accept: 'application/json' });
    const { status, body } = answer;
    const reason = status === 200 ? await reasonAgainst(address, body) : 'status';
    return [
      ...findings,
      reason === undefined
        ? finding('ok', `The key set of ${setting} has keys for signatures.`)
        : finding('problem', sentenceOf(reason, status)),
      ...clockFindings(answer, setting),
    ];
  } catch (error) {
    const message = `${setting} does not answer completely (${codeOf(error)}): check the server of the key set, and firewalls.`;
    return [...findings, finding('problem', message)];
  }
}

/** Why the gateway cannot use this key set; `undefined` if it can. */
async function reasonAgainst(url: string, body: Buffer): Promise<string | undefined> {
  let reason: string | undefined;
  const log = createLog('warn', (line) => {
    reason = (JSON.parse(line) as { reason?: string }).reason;
  });
  const keys = createKeySet({ url, log, fetch: async () => new Response(new Uint8Array(body)) });
  try {
    await keys.renew();
    return undefined;
  } catch {
    return reason ?? 'malformed';
  } finally {
    keys.dispose();
  }
}

function sentenceOf(reason: string, status: number): string {
  if (reason === 'status')
    return `${setting} answers with status ${status}: set the address of the key set itself (\`jwks_uri\` of the issuer), without redirects.`;
  if (reason === 'too_long') return `The key set of ${setting} is longer than 64 KiB: publish only the keys in use.`;
  if (reason === 'no_usable_keys')
    return `The key set of ${setting} has no key that the gateway can use: publish an RSA key of 2048 bits, an EC key or an Ed25519 key for signatures.`;
  return `${setting} is not the address of a JSON Web Key Set: set \`jwks_uri\` of the issuer.`;
}
