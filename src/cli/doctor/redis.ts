import { Redis } from 'ioredis';
import { codeOf, inTime } from './connection.ts';
import type { Finding } from './finding.ts';

const setting = 'REDIS_URL';
/** Have the prefixes of the counters and of kept operations, and exist nowhere. */
const unusedKey = '{customer-gateway}:rate-limit:doctor';
const unusedText = '{customer-gateway}:idempotency:doctor';

/** Connects, and tries the commands of the gateway without changing a key. */
export async function checkRedis(url: string, timeoutMs: number): Promise<Finding[]> {
  const finding = (status: Finding['status'], message: string): Finding[] => [
    { check: 'redis', status, setting, message },
  ];
  let client: Redis;
  try {
    client = createClient(url, timeoutMs);
  } catch {
    return finding('problem', `${setting} is not a valid URL: correct it, and percent-encode special characters.`);
  }
  let connectionError: unknown;
  client.on('error', (error) => {
    connectionError ??= error;
  });
  try {
    await inTime(client.connect(), timeoutMs);
    await inTime(tryCommands(client), timeoutMs);
    return finding('ok', `Redis accepts the commands of the gateway at ${setting}.`);
  } catch (error) {
    const cause = connectionError ?? error;
    // The gateway follows one reply of this kind.
    return finding(replyOf(cause) === 'MOVED' ? 'warning' : 'problem', sentenceOf(cause));
  } finally {
    client.disconnect();
  }
}

function createClient(url: string, timeoutMs: number): Redis {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    connectTimeout: timeoutMs,
    enableReadyCheck: false,
    protocol: 2,
    disableClientInfo: true,
  });
}

/** Redis checks rights, memory and the role of the node before it executes a command, so commands that change nothing are enough. */
async function tryCommands(client: Redis): Promise<void> {
  await client.call('SET', unusedKey, '0', 'PX', '1', 'XX');
  await client.call('PTTL', unusedKey);
  await client.call('PEXPIRE', unusedKey, '1');
  await client.call('SET', unusedText, '0', 'PX', '1', 'XX');
  await client.call('GET', unusedText);
  await client.call('PEXPIRE', unusedText, '1');
  await client.call('DEL', unusedText);
  try {
    await client.call('MULTI');
  } catch {
    // The user needs no transactions. INCR cannot be tried without them.
    return;
  }
  await client.call('INCR', unusedKey);
  await client.call('DISCARD');
}

/** The code at the start of an error reply. */
function replyOf(error: unknown): string {
  const [reply = ''] = /^[A-Z]+(?= )/.exec(error instanceof Error ? error.message : '') ?? [];
  return reply;
}

function sentenceOf(error: unknown): string {
  const reply = replyOf(error);
  switch (reply) {
    case 'WRONGPASS':
    case 'NOAUTH':
      return `Redis rejects the credentials of ${setting} (${reply}): set a valid user name and password in the URL.`;
    case 'NOPERM':
      return `The user of ${setting} lacks rights (NOPERM): allow SET, GET, DEL, INCR, PTTL and PEXPIRE on the keys {customer-gateway}:*.`;
    case 'READONLY':
    case 'MASTERDOWN':
      return `${setting} names a replica (${reply}): set the address of the primary node.`;
    case 'OOM':
      return 'Redis has no memory left (OOM): raise maxmemory, or set an eviction policy.';
    case 'MOVED':
      return `${setting} names a cluster node without the slot of the gateway's keys (MOVED): set the address of the node that has it.`;
    case '': {
      const code = codeOf(error);
      return code === 'ECONNREFUSED'
        ? `Nothing listens at the host and port of ${setting} (${code}): correct the address, or start Redis.`
        : `Redis at ${setting} does not answer (${code}): check the address, TLS (rediss://), and network policies.`;
    }
    default:
      return `Redis rejects the commands of the gateway (${reply}): check its state and its log.`;
  }
}
