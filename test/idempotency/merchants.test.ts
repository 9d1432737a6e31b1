import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSandbox } from '../../src/sandbox/server.ts';
import { startRedis } from '../redis.ts';
import { createOf, openWorld, resultOf, updateOf } from './world.ts';

for (const store of ['memory', 'redis'] as const) {
  test(`a key of one merchant MUST be unknown to another one, with equal callers, API keys and operations (${store})`, async (context) => {
    const redis = store === 'redis' ? await startRedis() : undefined;
    const other = await startSandbox();
    context.after(async () => {
      await other.close();
      await redis?.close();
    });
    const world = await openWorld(context, { other, environment: redis ? { REDIS_URL: redis.url } : {} });
    assert.equal(other.apiKey, world.sandbox.apiKey);
    const key = '"equal"';
    const claims = { own: {}, other: { merchant_id: 'other' } };
    const posts = () => [world.posts(), other.calls.filter(({ method }) => method === 'POST').length];

    const create = createOf('reference-equal');
    const [own, foreign] = await Promise.all([
      world.send(...create, { key, claims: claims.own }),
      world.send(...create, { key, claims: claims.other }),
    ]);
    for (const reply of [own, foreign]) {
      assert.equal(resultOf(reply)['__typename'], 'CreateCustomerSuccess');
      assert.equal(reply.headers['idempotency-replayed'], undefined);
    }
    assert.deepEqual(posts(), [1, 1]);
    for (const [name, first] of [
      ['own', own],
      ['other', foreign],
    ] as const) {
      const repeat = await world.send(...create, { key, claims: claims[name] });
      assert.deepEqual([repeat.body, repeat.headers['idempotency-replayed']], [first.body, 'true']);
    }

    // Of another operation, the key is used at the one merchant and free at the other one.
    const update = updateOf('u7', { firstName: 'Other' });
    await world.send(...create, { key: '"used"', claims: claims.own });
    assert.equal((await world.send(...update, { key: '"used"', claims: claims.own })).status, 422);
    const accepted = await world.send(...update, { key: '"used"', claims: claims.other });
    assert.equal(resultOf(accepted)['__typename'], 'UpdateCustomerSuccess');
    assert.equal(world.sandbox.customers.find(({ objectReferenceId }) => objectReferenceId === 'u7')?.firstName, null);
  });
}
