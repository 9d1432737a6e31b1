import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createLocalStore } from '../../src/idempotency/local-store.ts';
import { startRedis } from '../redis.ts';
import { newCustomer } from '../support.ts';
import { createOf, openWorld, resultOf, updateOf } from './world.ts';

test('Redis MUST hold nothing readable: neither values, nor keys, nor callers, nor tokens', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const world = await openWorld(context, { environment: { REDIS_URL: redis.url } });
  const canary = 'canary-0001';
  const operation = `mutation canaryname($input: CreateCustomerInput!) { createCustomer(input: $input) {
    ... on CreateCustomerSuccess { customer { id firstName emailAddress clientAuthToken { token } } } } }`;
  const input = newCustomer(`${canary}-reference`, { firstName: canary, emailAddress: `${canary}@example.com` });
  const claims = { sub: canary };
  const dump = async () => {
    const keys = (await redis.run('KEYS', '*')) as string[];
    const values = await Promise.all(keys.map((key) => redis.run('GET', key)));
    return { keys, text: JSON.stringify([keys, values]) };
  };
  world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 200 });
  const called = world.sandbox.whenCalled(({ route }) => route === 'create');
  const sending = world.send(operation, { input }, { key: `"${canary}"`, claims });
  await called;
  const during = await dump();
  const { text } = await sending;
  const [token = ''] = /tkn_\w+/.exec(text) ?? [];
  assert.ok(token !== '');
  const after = await dump();
  assert.equal(during.keys.filter((key) => key.includes(':claim:')).length, 1);
  assert.deepEqual(
    after.keys.map((key) => key.replace(/[^:]+$/, '')),
    ['{customer-gateway}:idempotency:kept:'],
  );
  for (const { text: found } of [during, after]) {
    const decoded = found.replace(/[\w+/=-]{40,}/g, (base64) => Buffer.from(base64, 'base64').toString('latin1'));
    for (const word of [
      canary,
      'canaryname',
      'Customer',
      token,
      world.sandbox.merchantId,
      world.sandbox.apiKey,
      'cth_',
    ]) {
      assert.ok(!found.includes(word) && !decoded.includes(word), word);
    }
  }
  const ttl = Number(await redis.run('TTL', after.keys[0] ?? ''));
  assert.ok(ttl > 86_000 && ttl <= 86_400);
  assert.ok(!world.log.join('').includes(canary));
});

test('while Redis cannot be used, operations MUST succeed, and each process MUST keep its own', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const world = await openWorld(context, { environment: { REDIS_URL: redis.url } });
  assert.equal(await world.fallback(), 0);
  const before = createOf('reference-before');
  await world.send(...before, { key: '"before"' });

  world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 200 });
  const during = createOf('reference-during');
  const called = world.sandbox.whenCalled(({ route }) => route === 'create');
  const first = world.send(...during, { key: '"during"' });
  await called;
  await redis.kill();
  assert.equal(resultOf(await first)['__typename'], 'CreateCustomerSuccess');
  await world.logged('kept operations cannot be shared: each instance keeps its own');
  assert.equal(await world.fallback(), 1);
  const repeat = await world.send(...during, { key: '"during"' });
  assert.deepEqual(repeat.body, (await first).body);
  assert.equal(repeat.headers['idempotency-replayed'], 'true');

  const posts = world.posts();
  assert.equal(resultOf(await world.send(...before, { key: '"before"' }))['code'], 'ALREADY_EXISTS');
  assert.equal(world.posts(), posts + 1);

  await redis.restart();
  await world.logged('kept operations are shared again');
  assert.equal(await world.fallback(), 0);
  const later = await world.send(...during, { key: '"during"' });
  assert.equal(later.headers['idempotency-replayed'], 'true');
  assert.equal(world.posts(), posts + 1);
});

/** A proxy that delays each reply. `seen` returns what the clients have sent. */
async function startSlowProxy(context: TestContext, port: number, delayMs: number) {
  let seen = '';
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      seen += data.toString('latin1');
      upstream.write(data);
    });
    upstream.on('data', (data) => setTimeout(() => client.write(data), delayMs));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, seen: () => seen };
}

test('a slow Redis MUST NOT delay the answer of an operation at its deadline, and a repeat MUST wait until it is kept', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const { url, seen } = await startSlowProxy(context, redis.port, 200);
  const environment = { REDIS_URL: url, OPERATION_TIMEOUT_MS: '3000', JUSPAY_TIMEOUT_MS: '3000' };
  const world = await openWorld(context, { environment });
  const created = await world.send(...createOf('reference-stored'));
  const { id } = resultOf(created)['customer'] as { id: string };
  // The create and the reads that settle it take until the deadline.
  for (const on of ['create', 'get'] as const) world.sandbox.arm({ fault: 'timeout', on, times: 100 });
  const both = `mutation ($id: ID!, $changes: UpdateCustomerInput!, $input: CreateCustomerInput!) {
    updateCustomer(id: $id, input: $changes) { __typename }
    createCustomer(input: $input) { __typename ... on CustomerError { code } } }`;
  const variables = { id, changes: { firstName: 'Slow' }, input: newCustomer('reference-slow') };
  const updates = () => world.sandbox.calls.filter(({ route }) => route === 'update').length;
  const deletions = () => seen().split('del\r\n').length;
  const before = deletions();
  const first = await world.send(both, variables, { key: '"slow"' });
  // The last command ends the claim.
  assert.equal(deletions(), before);
  assert.deepEqual([first.status, updates()], [200, 1]);
  world.sandbox.disarm();
  const repeat = await world.send(both, variables, { key: '"slow"' });
  assert.deepEqual([repeat.status, updates()], [200, 1]);
  assert.match(repeat.text, /UpdateCustomerSuccess.*CreateCustomerSuccess/);
});

test('the claim of an instance that died MUST end, and a repeat MUST execute the operation', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const world = await openWorld(context, { instances: 2, environment: { REDIS_URL: redis.url } });
  world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 1_000 });
  const create = createOf('reference-died');
  const called = world.sandbox.whenCalled(({ route }) => route === 'create');
  const first = world.send(...create, { key: '"died"' });
  await called;
  const [claim = ''] = (await redis.run('KEYS', '*claim*')) as string[];
  // The lease of a process that no longer extends it.
  await redis.run('PEXPIRE', claim, 1);
  const repeat = await world.send(...create, { key: '"died"', instance: 1 });
  assert.equal(repeat.status, 200);
  assert.equal(
    world.sandbox.customers.filter(({ objectReferenceId }) => objectReferenceId === 'reference-died').length,
    1,
  );
  await first;
});

test('while the key of the merchant rotates, repeats MUST find what either key has kept', async (context) => {
  const redis = await startRedis();
  context.after(redis.close);
  const world = await openWorld(context, {
    instances: 3,
    environment: { REDIS_URL: redis.url },
    apiKeys: [['sandbox_api_key'], ['new_key', 'sandbox_api_key'], ['another_key']],
  });
  const update = updateOf('u7', { firstName: 'Rotated' });
  const first = await world.send(...update, { key: '"rotated"', instance: 0 });
  const posts = world.posts();
  const repeat = await world.send(...update, { key: '"rotated"', instance: 1 });
  assert.deepEqual(repeat.body, first.body);
  assert.equal(world.posts(), posts);
  const unreadable = await world.send(...update, { key: '"rotated"', instance: 2 });
  assert.equal(unreadable.headers['idempotency-replayed'], undefined);
});

test('the memory of a process MUST be bounded by entries and bytes, MUST evict the oldest, and MUST expire', () => {
  let nowMs = 0;
  const store = createLocalStore({ ttlMs: 1_000, maxEntries: 3, maxBytes: 100, monotonicMs: () => nowMs });
  for (const name of ['a', 'b', 'c', 'd']) store.set(name, name);
  assert.deepEqual(['a', 'b', 'c', 'd'].map(store.get), [undefined, 'b', 'c', 'd']);
  store.set('b', 'again');
  store.set('e', 'e');
  assert.deepEqual(['b', 'c', 'd', 'e'].map(store.get), ['again', undefined, 'd', 'e']);
  store.set('f', 'f'.repeat(90));
  assert.deepEqual(
    ['b', 'd', 'e', 'f'].map((name) => store.get(name)?.length),
    [5, undefined, 1, 90],
  );
  store.set('g', 'g'.repeat(101));
  assert.equal(store.get('g'), undefined);
  store.set('h', 'h');
  nowMs = 1_000;
  assert.equal(store.get('h'), undefined);
});
