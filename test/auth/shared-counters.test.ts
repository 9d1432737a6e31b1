import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { createLocalCounters } from '../../src/auth/local-counters.ts';
import { createRateLimit, type RateLimit } from '../../src/auth/rate-limit.ts';
import { createSharedCounters } from '../../src/auth/shared-counters.ts';
import { RequestError } from '../../src/errors.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { type RedisServer, recordLines, startRedis } from '../redis.ts';

const started = 'shared counters cannot be used: each instance counts for itself';
const ended = 'shared counters are used again';
const perMinute = 10;

let callers = 0;
/** A caller with an unused counter. */
function newCaller(more: Partial<Caller> = {}): Caller {
  callers += 1;
  return { ...anonymous, name: 'caller', credentialKeys: [`key caller-${callers}`], ...more };
}

/** Number of admitted operations out of `attempts` concurrent ones. */
async function admitted(limit: RateLimit, caller: Caller, attempts: number): Promise<number> {
  const admit = async () => {
    try {
      await limit.admit(caller, undefined);
      return 1;
    } catch (error) {
      assert.ok(error instanceof RequestError && error.code === 'RATE_LIMITED');
      return 0;
    }
  };
  const counts = await Promise.all(Array.from({ length: attempts }, admit));
  return counts.reduce<number>((sum, count) => sum + count, 0);
}

function openInstance(context: TestContext, url: string, share = perMinute) {
  const log = recordLines();
  const metrics = createMetrics('test');
  const redisUrl = { reveal: () => url };
  const limit = createRateLimit({ perMinute: share, redisUrl }, createLog('info', log.write), metrics);
  context.after(() => limit.dispose());
  return {
    log,
    limit,
    fallback: async () => Number(/^customer_gateway_rate_limit_fallback (\d)$/m.exec(await metrics.read())?.[1]),
  };
}

/** An instance with shared counters. Waits, because the first connection may time out on a slow machine. */
async function openSharing(context: TestContext, url: string, share = perMinute) {
  const instance = openInstance(context, url, share);
  await instance.limit.admit(newCaller(), undefined);
  if (instance.log.count(started) > 0) await instance.log.until(ended);
  instance.log.lines.length = 0;
  return instance;
}

/** One kind of outage and its recovery. */
interface Outage {
  readonly name: string;
  readonly reason: RegExp;
  readonly options?: readonly string[];
  readonly begin: (redis: RedisServer, other: RedisServer) => Promise<unknown>;
  readonly end: (redis: RedisServer, other: RedisServer) => Promise<unknown>;
}

const acl = (name: string, ...rules: readonly string[]): Outage => ({
  name,
  reason: /^refused$/,
  begin: (redis) => redis.run('ACL', 'SETUSER', 'default', ...rules),
  end: (redis) => redis.run('ACL', 'SETUSER', 'default', 'on', 'nopass', '~*', '&*', '+@all'),
});

const outages: readonly Outage[] = [
  {
    name: 'a node that becomes a read-only replica, and a primary again',
    reason: /^read_only$/,
    begin: (redis, other) => redis.run('REPLICAOF', '127.0.0.1', other.port),
    end: (redis) => redis.run('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'a replica without its primary, which serves no stale data',
    reason: /^(read_only|connection)$/,
    options: ['--replica-serve-stale-data', 'no'],
    begin: (redis) => redis.run('REPLICAOF', '127.0.0.1', 1),
    end: (redis) => redis.run('REPLICAOF', 'NO', 'ONE'),
  },
  acl('an ACL that denies one command', '-incr'),
  acl('an ACL that denies all writes', '-@write'),
  acl('an ACL that denies the keys', 'resetkeys', '~others:*'),
  {
    ...acl('a password that is no longer valid'),
    reason: /^(refused|connection)$/,
    begin: async (redis) => {
      await redis.run('ACL', 'SETUSER', 'default', 'resetpass', '>changed');
      await redis.run('CLIENT', 'KILL', 'USER', 'default');
    },
  },
  {
    name: 'no memory left',
    reason: /^full$/,
    options: ['--maxmemory-policy', 'noeviction'],
    begin: (redis) => redis.run('CONFIG', 'SET', 'maxmemory', '1mb'),
    end: (redis) => redis.run('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'a cluster node that lost its slots',
    reason: /^moved$/,
    options: ['--cluster-enabled', 'yes'],
    begin: (redis) => redis.run('CLUSTER', 'DELSLOTSRANGE', 0, 16383),
    end: (redis) => redis.run('CLUSTER', 'ADDSLOTSRANGE', 0, 16383),
  },
  {
    name: 'a replica set without enough replicas',
    reason: /^refused$/,
    begin: (redis) => redis.run('CONFIG', 'SET', 'min-replicas-to-write', 1),
    end: (redis) => redis.run('CONFIG', 'SET', 'min-replicas-to-write', 0),
  },
  {
    name: 'a server that does not respond',
    reason: /^timeout$/,
    begin: async (redis) => redis.child.kill('SIGSTOP'),
    end: async (redis) => redis.child.kill('SIGCONT'),
  },
  {
    name: 'a server that is killed and started again',
    reason: /^connection$/,
    begin: (redis) => redis.kill(),
    end: (redis) => redis.restart(),
  },
];

for (const { name, reason, options = [], begin, end } of outages) {
  test(`${name}: each instance MUST count separately during the outage, and log it once`, async (context) => {
    const [redis, other] = await Promise.all([startRedis(...options), startRedis()]);
    context.after(() => Promise.all([redis.close(), other.close()]));
    if (options.includes('--cluster-enabled')) await serveAllSlots(redis);
    const instances = await Promise.all([openSharing(context, redis.url), openSharing(context, redis.url)]);
    const admittedBy = async (caller: Caller) =>
      Promise.all(instances.map(({ limit }) => admitted(limit, caller, perMinute + 2)));
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    const fallbacks = () => Promise.all(instances.map(({ fallback }) => fallback()));

    assert.equal(sum(await admittedBy(newCaller())), perMinute);
    assert.deepEqual(await fallbacks(), [0, 0]);

    await begin(redis, other);
    assert.deepEqual(await admittedBy(newCaller()), [perMinute, perMinute]);
    await Promise.all(instances.map(({ log }) => log.until(started)));
    assert.deepEqual(await admittedBy(newCaller()), [perMinute, perMinute]);
    assert.deepEqual(await fallbacks(), [1, 1]);

    await end(redis, other);
    await Promise.all(instances.map(({ log }) => log.until(ended)));
    assert.equal(sum(await admittedBy(newCaller())), perMinute);
    assert.deepEqual(await fallbacks(), [0, 0]);
    for (const { log } of instances) {
      assert.deepEqual(
        log.lines.map(({ message }) => message),
        [started, ended],
      );
      assert.deepEqual(Object.keys(log.lines[0] ?? {}).toSorted(), ['level', 'message', 'reason', 'time']);
      assert.match(String(log.lines[0]?.['reason']), reason);
    }
  });
}

async function serveAllSlots(redis: RedisServer): Promise<void> {
  await redis.run('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
  await untilServed(redis);
}

async function untilServed(redis: RedisServer): Promise<void> {
  while (!String(await redis.run('CLUSTER', 'INFO')).includes('cluster_state:ok'));
}

test('a server that denies scripts and transactions MUST be usable', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const rules = ['-@all', '+set', '+incr', '+pttl', '+pexpire', 'resetkeys', '~{customer-gateway}:*'];
  await redis.run('ACL', 'SETUSER', 'default', ...rules);
  const instances = await Promise.all([openSharing(context, redis.url), openSharing(context, redis.url)]);
  const caller = newCaller();
  const counts = await Promise.all(instances.map(({ limit }) => admitted(limit, caller, 100)));
  assert.equal(counts[0] ?? 0, perMinute - (counts[1] ?? 0));
  assert.deepEqual(
    instances.flatMap(({ log }) => log.lines),
    [],
  );
});

test('a MOVED reply of a cluster node MUST be followed', async (context) => {
  const cluster = ['--cluster-enabled', 'yes'];
  const [redis, owner] = await Promise.all([startRedis(...cluster), startRedis(...cluster)]);
  context.after(() => Promise.all([redis.close(), owner.close()]));
  await redis.run('CLUSTER', 'MEET', '127.0.0.1', owner.port);
  await serveAllSlots(owner);
  await untilServed(redis);
  const instances = await Promise.all([openSharing(context, redis.url), openSharing(context, owner.url)]);
  const caller = newCaller();
  const counts = await Promise.all(instances.map(({ limit }) => admitted(limit, caller, 8)));
  assert.equal(counts[0] ?? 0, perMinute - (counts[1] ?? 0));
  assert.deepEqual(
    instances.flatMap(({ log }) => log.lines),
    [],
  );
});

test('a read-only node MUST be replaced by its successor at the same address', async (context) => {
  const [redis, successor] = await Promise.all([startRedis(), startRedis()]);
  let { port } = redis;
  const sockets = new Set<Socket>();
  // Like DNS or a load balancer: new connections reach the successor, existing ones stay.
  const name = createServer((socket) => {
    const target = connect(port, '127.0.0.1');
    for (const end of [socket, target]) sockets.add(end.on('error', () => undefined));
    socket.pipe(target).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(name, 'listening');
  context.after(async () => {
    for (const socket of sockets) socket.destroy();
    name.close();
    await Promise.all([redis.close(), successor.close()]);
  });
  const { limit, log } = await openSharing(context, `redis://127.0.0.1:${(name.address() as AddressInfo).port}`);
  assert.equal(await admitted(limit, newCaller(), 12), perMinute);
  await redis.run('REPLICAOF', '127.0.0.1', successor.port);
  ({ port } = successor);
  assert.equal(await admitted(limit, newCaller(), 12), perMinute);
  await log.until(started);
  await log.until(ended);
  const caller = newCaller();
  assert.equal(await admitted(limit, caller, 12), perMinute);
  assert.equal(await admitted((await openSharing(context, successor.url)).limit, caller, 12), 0);
});

test('a hanging server MUST cause one timeout in total, and none if it already hangs at startup', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const { limit, log } = await openSharing(context, redis.url);
  redis.child.kill('SIGSTOP');
  const startedAtMs = performance.now();
  assert.equal(await admitted(limit, newCaller(), 200), perMinute);
  for (let n = 0; n < 50; n += 1) assert.equal(await admitted(limit, newCaller(), 12), perMinute);
  const durationMs = performance.now() - startedAtMs;
  // One timeout is 250 ms; one for each of the operations would be more than 10 s.
  assert.ok(durationMs < 2_000, `${durationMs} ms`);
  await log.until(started);

  const late = openInstance(context, redis.url);
  const lateAtMs = performance.now();
  for (let n = 0; n < 50; n += 1) assert.equal(await admitted(late.limit, newCaller(), 12), perMinute);
  assert.ok(performance.now() - lateAtMs < 2_000);
  assert.equal(late.log.count(started), 1);
});

test('a missing server MUST be logged at startup, and the first operations MUST be admitted', async (context) => {
  const { limit, log, fallback } = openInstance(context, 'redis://127.0.0.1:1');
  assert.equal(await admitted(limit, newCaller(), 12), perMinute);
  assert.equal(await fallback(), 1);
  assert.deepEqual(
    log.lines.map(({ message, reason }) => [message, reason]),
    [[started, 'connection']],
  );
});

test('an idle connection that the server closes MUST be replaced without a log line, and counters MUST continue', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  let nowMs = 0;
  const log = recordLines();
  const options = { url: { reveal: () => redis.url }, windowMs: 60_000, monotonicMs: () => nowMs };
  const counters = createSharedCounters(options, createLog('info', log.write), undefined);
  context.after(counters.dispose);
  while ((await counters.count(['key'])) === undefined) await log.until(ended, log.count(started));
  const before = (await counters.count(['key']))?.[0]?.count ?? 0;
  const linesBefore = log.lines.length;
  const connections = async () => {
    const list = String(await redis.run('CLIENT', 'LIST', 'TYPE', 'normal'));
    return [...list.matchAll(/^id=(\d+) .* user=default /gm)].map(([, id]) => id);
  };
  const [first] = await connections();
  nowMs = 10_000;
  await redis.run('CLIENT', 'KILL', 'USER', 'default');
  while ([undefined, first].includes((await connections())[0]));
  assert.equal((await counters.count(['key']))?.[0]?.count, before + 1);
  assert.equal(log.lines.length, linesBefore);
});

test('a wrong password MUST be logged with its reason, without the password', async (context) => {
  const redis = await startRedis('--requirepass', 'another');
  context.after(redis.close);
  const canary = process.env['CANARY'] ?? 'canary-0002';
  for (const credentials of ['', `:${canary}@`, `${canary}:${canary}@`]) {
    const { limit, log } = openInstance(context, redis.url.replace('//', `//${credentials}`));
    assert.equal(await admitted(limit, newCaller(), 12), perMinute);
    await log.until(started);
    assert.equal(log.lines[0]?.['reason'], 'refused');
    assert.ok(!JSON.stringify(log.lines).includes(canary));
  }
});

test('repeated failures of the counters MUST NOT flood the log', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const { limit, log } = await openSharing(context, redis.url);
  const caller = newCaller();
  await redis.run('FLUSHALL');
  await admitted(limit, caller, 1);
  // The key of this caller alone is unusable, so each probe succeeds.
  const keys = ((await redis.run('KEYS', '*')) as string[]).filter((name) => !name.endsWith(':probe'));
  assert.equal(keys.length, 1);
  await redis.run('SET', keys[0] ?? '', 'no number');
  const startedAtMs = performance.now();
  const seconds = () => (performance.now() - startedAtMs) / 1000;
  while (log.count(ended) < 3) await admitted(limit, caller, 1).then(() => new Promise(setImmediate));
  // 250 ms, 500 ms and 1 s of backoff lie between the first four failures.
  assert.ok(seconds() > 1.7, `${seconds()} s`);
  assert.ok(log.count(started) <= 4);
});

test('two instances MUST enforce one limit within 5 %, for any split of the operations', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const instances = await Promise.all([openSharing(context, redis.url, 200), openSharing(context, redis.url, 200)]);
  const caller = newCaller();
  const [some = 0, others = 0] = await Promise.all(
    instances.map(({ limit }, index) => admitted(limit, caller, index === 0 ? 500 : 100)),
  );
  assert.equal(some + others, 200);
  assert.deepEqual(
    instances.flatMap(({ log }) => log.lines),
    [],
  );
});

test('keys in Redis MUST be digests with an expiry in one slot, and a customer of two credentials MUST count once', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const { limit } = await openSharing(context, redis.url);
  await redis.run('FLUSHALL');
  const canary = process.env['CANARY'] ?? 'canary-0001';
  await limit.admit(
    newCaller({ credentialKeys: [`subject ${canary}`], customers: [canary, canary], merchant: canary }),
    canary,
  );
  await limit.admit(anonymous, canary);
  await limit.countRefused(canary);
  const keys = (await redis.run('KEYS', '*')) as string[];
  for (const key of keys) {
    assert.match(key, /^\{customer-gateway\}:rate-limit:(probe|[\w-]{43})$/);
    const ttlMs = Number(await redis.run('PTTL', key));
    assert.ok(ttlMs > 0 && ttlMs <= 60_000, `${ttlMs}`);
  }
  const counts = await Promise.all(keys.filter((key) => !key.endsWith(':probe')).map((key) => redis.run('GET', key)));
  // The keys of a credential, its customer and an address.
  assert.deepEqual(counts.toSorted(), ['1', '1', '2']);
});

test('the parts of a key MUST be separated unambiguously', async () => {
  const limit = createRateLimit({ perMinute: 1 }, createLog('silent'));
  const credentials: Partial<Caller>[] = [
    { merchant: 'a b', credentialKeys: ['c'] },
    { merchant: 'a', credentialKeys: ['b c'] },
    { merchant: 'a","b', credentialKeys: ['c'] },
    { merchant: '', credentialKeys: ['customer x'] },
    { merchant: undefined, credentialKeys: ['customer x'] },
    { merchant: '', credentialKeys: ['y'], customers: ['x'] },
  ];
  for (const credential of credentials) assert.equal(await admitted(limit, newCaller(credential), 3), 1);
});

test('the number of local counters MUST be limited, and all MUST be reset after one minute', () => {
  let nowMs = 0;
  const count = createLocalCounters({ windowMs: 60_000, maxKeys: 100, monotonicMs: () => nowMs });
  assert.deepEqual(count('a'), { count: 1, resetMs: 60_000 });
  nowMs = 20_000;
  assert.deepEqual(count('a'), { count: 2, resetMs: 40_000 });
  for (let n = 0; n < 1_000; n += 1) {
    count(`other-${n}`);
    // A key in use is not evicted.
    if (n % 40 === 0) assert.equal(count('a').count, 3 + n / 40);
  }
  assert.equal(count('other-0').count, 1);
  nowMs = 60_000;
  assert.deepEqual(count('a'), { count: 1, resetMs: 60_000 });
});
