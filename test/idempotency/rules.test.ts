import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type RedisServer, startRedis } from '../redis.ts';
import { newCustomer } from '../support.ts';
import { codeOf, createOf, doors, openWorld, resultOf, updateOf } from './world.ts';

let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
after(() => redis.close());

const withToken = `mutation ($input: CreateCustomerInput!) {
  createCustomer(input: $input) {
    ... on CreateCustomerSuccess { customer { secret: clientAuthToken { token } id } }
  }
}`;

for (const [door, headers] of Object.entries(doors)) {
  for (const store of ['memory', 'redis'] as const) {
    const title = (text: string) => `${text} (${door}, ${store})`;
    const open = (context: Parameters<typeof openWorld>[0], environment: Record<string, string> = {}) => {
      const shared = { instances: 2, environment: { REDIS_URL: redis.url, ...environment } };
      return openWorld(context, store === 'redis' ? shared : { environment });
    };
    const key = (name: string) => `"${door} ${store} ${name}"`;
    const sent = (name: string, more: object = {}) => ({ key: key(name), headers, ...more });
    const reference = (name: string) => `reference ${door} ${store} ${name}`;

    test(title('a repeat MUST answer what the first one answered, without a write, and say so'), async (context) => {
      const world = await open(context);
      const create = createOf(reference('repeat'));
      const first = await world.send(...create, sent('repeat'));
      const posts = world.posts();
      const repeats = await Promise.all([1, 2].map((instance) => world.send(...create, sent('repeat', { instance }))));
      assert.equal(resultOf(first)['__typename'], 'CreateCustomerSuccess');
      assert.equal(first.headers['idempotency-replayed'], undefined);
      for (const repeat of repeats) {
        assert.deepEqual([repeat.status, repeat.body], [first.status, first.body]);
        assert.equal(repeat.headers['idempotency-replayed'], 'true');
        assert.notEqual(repeat.headers['x-request-id'], first.headers['x-request-id']);
      }
      assert.equal(world.posts(), posts);
      assert.equal(await world.replays(), 2);
      assert.equal(world.log.filter((line) => line.includes('"audit"')).length, 1);
    });

    test(title('a definite refusal MUST be kept, with its issues and its reads'), async (context) => {
      const world = await open(context);
      world.sandbox.arm({ fault: 'invalid', on: 'create' });
      const create = createOf(reference('refused'));
      const first = await world.send(...create, sent('refused'));
      assert.equal(resultOf(first)['code'], 'VALIDATION_FAILED');
      const repeat = await world.send(...create, sent('refused', { instance: 1 }));
      assert.deepEqual(repeat.body, first.body);
      assert.equal(world.posts(), 1);

      await world.send(...createOf(reference('taken')), { headers });
      const operation = `mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) {
        ... on CustomerAlreadyExistsError { code differingFields existing { id firstName dateCreated } } } }`;
      const other = [operation, { input: newCustomer(reference('taken'), { firstName: 'Other' }) }] as const;
      const exists = await world.send(...other, sent('taken'));
      assert.deepEqual(resultOf(exists)['differingFields'], ['firstName']);
      const calls = world.sandbox.calls.length;
      assert.deepEqual((await world.send(...other, sent('taken', { instance: 1 }))).body, exists.body);
      assert.equal(world.sandbox.calls.length, calls);
    });

    test(title('repeats while the first is in progress MUST wait for it'), async (context) => {
      const world = await open(context);
      world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 300 });
      const create = createOf(reference('parallel'));
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, instance) => world.send(...create, sent('parallel', { instance }))),
      );
      assert.equal(world.posts(), 1);
      for (const { status, body } of all) assert.deepEqual([status, body], [200, all[0]?.body]);
      assert.equal(all.filter(({ headers: given }) => given['idempotency-replayed'] === 'true').length, 7);
    });

    test(
      title('a repeat whose deadline passes before the first ends MUST be 409 and execute nothing'),
      async (context) => {
        const world = await open(context);
        world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 1_000 });
        const create = createOf(reference('late'));
        const called = world.sandbox.whenCalled(({ route }) => route === 'create');
        const first = world.send(...create, sent('late'));
        await called;
        const hurry = { ...headers, 'x-request-timeout-ms': '100' };
        for (const instance of [0, 1]) {
          const repeat = await world.send(...create, sent('late', { instance, headers: hurry }));
          assert.deepEqual([repeat.status, codeOf(repeat)], [409, 'OUTCOME_UNKNOWN']);
          assert.equal(repeat.headers['retry-after'], '1');
        }
        assert.equal((await first).status, 200);
        assert.equal(world.posts(), 1);
      },
    );

    test(title('a repeat after the client has lost the answer MUST get it'), async (context) => {
      const world = await open(context);
      world.sandbox.arm({ fault: 'slow', on: 'create', delayMs: 200 });
      const create = createOf(reference('lost'));
      const gone = new AbortController();
      const called = world.sandbox.whenCalled(({ route }) => route === 'create');
      const first = world.send(...create, sent('lost', { signal: gone.signal }));
      await called;
      gone.abort();
      await assert.rejects(first);
      const repeat = await world.send(...create, sent('lost', { instance: 1 }));
      assert.equal(resultOf(repeat)['__typename'], 'CreateCustomerSuccess');
      assert.equal(repeat.headers['idempotency-replayed'], 'true');
      assert.equal(world.posts(), 1);
    });

    test(title('a key MUST be bound to its caller, its rights and its operation'), async (context) => {
      const world = await open(context);
      const update = updateOf('u7', { firstName: 'First' });
      await world.send(...update, sent('bound'));
      const posts = world.posts();

      const others = [{ sub: 'other' }, { scope: 'customer:any customer:write' }];
      for (const [index, claims] of others.entries()) {
        const other = await world.send(...update, sent('bound', { claims, instance: index }));
        assert.equal(other.headers['idempotency-replayed'], undefined);
        assert.equal(world.posts(), posts + index + 1);
      }

      const operations = [
        updateOf('u7', { firstName: 'Second' }),
        updateOf('u8', { firstName: 'First' }),
        [`${update[0]} `, update[1]],
        createOf(reference('bound')),
      ] as const;
      for (const [instance, [query, variables]] of operations.entries()) {
        const refused = await world.send(query, variables, sent('bound', { instance }));
        assert.deepEqual([refused.status, codeOf(refused)], [422, 'BAD_USER_INPUT']);
        assert.equal(refused.body['data'], undefined);
      }
      assert.equal(world.posts(), posts + others.length);
    });

    test(title('an unknown outcome MUST NOT be kept, and a repeat MUST execute again'), async (context) => {
      const world = await open(context);
      world.sandbox.arm({ fault: '503', times: 1_000 });
      const create = createOf(reference('unknown'));
      const hurry = { ...headers, 'x-request-timeout-ms': '1000' };
      const first = await world.send(...create, sent('unknown', { headers: hurry }));
      assert.equal(resultOf(first)['code'], 'OUTCOME_UNKNOWN');
      world.sandbox.disarm();
      const repeat = await world.send(...create, sent('unknown', { instance: 1 }));
      assert.equal(resultOf(repeat)['__typename'], 'CreateCustomerSuccess');
      assert.equal(repeat.headers['idempotency-replayed'], undefined);
      const posts = world.posts();
      assert.deepEqual((await world.send(...create, sent('unknown'))).body, repeat.body);
      assert.equal(world.posts(), posts);
    });

    test(title('a failure before the write MUST NOT be kept'), async (context) => {
      const world = await open(context);
      const create = createOf(reference('failed'));
      for (const [fault, code] of [
        ['429', 'RATE_LIMITED'],
        ['unauthorized', 'UPSTREAM_MISCONFIGURED'],
      ] as const) {
        world.sandbox.arm({ fault, on: 'create', retryAfter: '0', times: 1_000 });
        const hurry = { ...headers, 'x-request-timeout-ms': '5000' };
        const failed = await world.send(...create, sent('failed', { headers: hurry }));
        assert.equal(resultOf(failed)['code'], code);
        world.sandbox.disarm();
      }
      const invalid = await world.send(...createOf('short'), sent('failed'));
      assert.equal(resultOf(invalid)['code'], 'VALIDATION_FAILED');
      const repeat = await world.send(...create, sent('failed', { instance: 1 }));
      assert.equal(resultOf(repeat)['__typename'], 'CreateCustomerSuccess');
    });

    test(
      title('a mutation with several fields MUST execute only those again that are not settled'),
      async (context) => {
        const world = await open(context);
        const operation = `mutation ($one: CreateCustomerInput!, $two: CreateCustomerInput!) {
        one: createCustomer(input: $one) { __typename ... on CreateCustomerSuccess { customer { id } } }
        two: createCustomer(input: $two) { __typename ... on CustomerError { code } }
      }`;
        const variables = { one: newCustomer(reference('one')), two: newCustomer(reference('two')) };
        const hurry = { ...headers, 'x-request-timeout-ms': '1500' };
        world.sandbox.arm({ fault: '503', pathId: reference('two'), times: 1_000 });
        const first = await world.send(operation, variables, sent('several', { headers: hurry }));
        const data = first.body['data'] as Record<string, Record<string, unknown>>;
        assert.equal(data['two']?.['code'], 'OUTCOME_UNKNOWN');
        world.sandbox.disarm();
        world.sandbox.clearCalls();
        const second = await world.send(operation, variables, sent('several', { instance: 1 }));
        const { one, two } = second.body['data'] as Record<string, Record<string, unknown>>;
        assert.deepEqual(one, data['one']);
        assert.equal(two?.['__typename'], 'CreateCustomerSuccess');
        assert.equal(second.headers['idempotency-replayed'], undefined);
        assert.equal(world.posts(), 1);
        const third = await world.send(operation, variables, sent('several'));
        assert.deepEqual(third.body, second.body);
        assert.equal(third.headers['idempotency-replayed'], 'true');
        assert.equal(world.posts(), 1);
      },
    );

    test(title('a token MUST NOT be kept: a repeat MUST get a new one under the present rights'), async (context) => {
      const world = await open(context);
      const variables = { input: newCustomer(reference('token')) };
      const tokenOf = async (instance: number) => {
        const reply = await world.send(withToken, variables, sent('token', { instance }));
        const { customer } = resultOf(reply) as { customer: { id: string; secret: { token: string } | null } };
        return { reply, id: customer.id, token: customer.secret?.token };
      };
      const first = await tokenOf(0);
      const repeat = await tokenOf(1);
      assert.equal(repeat.id, first.id);
      assert.match(repeat.token ?? '', /^tkn_/);
      assert.notEqual(repeat.token, first.token);
      assert.equal(world.posts(), 1);
      world.sandbox.arm({ fault: 'no_token', on: 'get' });
      const without = await tokenOf(0);
      assert.deepEqual([without.id, without.token], [first.id, undefined]);
      assert.equal(codeOf(without.reply), 'CLIENT_AUTH_TOKEN_UNAVAILABLE');
    });

    test(title('an invalid key MUST be 400 before execution, and a query MUST ignore the header'), async (context) => {
      const world = await open(context);
      const refused = [
        '',
        '""',
        '"a',
        'a"',
        'a b',
        '"a", "b"',
        '"é"',
        '"a\\b"',
        `"${'x'.repeat(256)}"`,
        '"a";b',
        "'a'",
        '"a"b',
      ];
      for (const value of refused) {
        const latin = Buffer.from(value).toString('latin1');
        const reply = await world.send(...createOf(reference('invalid')), { key: latin, headers });
        assert.deepEqual([reply.status, codeOf(reply)], [400, 'BAD_USER_INPUT'], value);
        const query = await world.send('{ customer(id: "u7") { id } }', {}, { key: latin, headers });
        assert.equal(query.status, 200);
      }
      assert.equal(world.posts(), 0);
      const uuid = createHash('sha256')
        .update(door + store)
        .digest('hex')
        .slice(0, 32);
      for (const value of [`  "${uuid}" `, `"${uuid}"`, uuid]) {
        await world.send(...createOf(reference('uuid')), { key: value, headers });
      }
      assert.equal(world.posts(), 1);
      await world.send(...createOf(reference('longest')), {
        key: `"${uuid}${'\\"'.repeat(255 - uuid.length)}"`,
        headers,
      });
      assert.equal(world.posts(), 2);
    });

    test(title('an explanation MUST ignore the header'), async (context) => {
      const world = await open(context);
      const create = createOf(reference('explained'));
      const traced = { ...headers, 'x-gateway-explain': 'trace' };
      for (const posts of [1, 2]) {
        const reply = await world.send(...create, sent('explained', { headers: traced }));
        assert.equal(reply.headers['idempotency-replayed'], undefined);
        assert.equal(world.posts(), posts);
      }
    });
  }
}

test('CORS MUST allow the header, and expose that of a repeat', async (context) => {
  const world = await openWorld(context);
  const create = createOf('reference-cors');
  const first = await world.send(...create, { key: '"a"', headers: doors.yoga });
  assert.match(String(first.headers['access-control-expose-headers']), /idempotency-replayed/);
  assert.match(String(first.headers['access-control-allow-headers']), /idempotency-key/);
});
