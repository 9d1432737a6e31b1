import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { type Cancellation, createCancellation, never } from '../../src/customers/cancellation.ts';
import { RequestError } from '../../src/errors.ts';
import { createTurns } from '../../src/execution/turns.ts';
import { type Answer, askAs, codesOf, jwtSettings, withHarness } from '../support.ts';

const limits = { turnMs: 5, maxWaiting: 10, maxWaitingByCaller: 6, maxWaitMs: 60_000 };

/** Synchronous work of one step that exceeds the budget of a turn. */
function spin(): boolean {
  for (const untilMs = performance.now() + 6; performance.now() < untilMs; );
  return true;
}

const isOverloaded = (error: unknown) =>
  error instanceof RequestError && error.code === 'OVERLOADED' && error.status === 503 && error.retryAfterSeconds === 1;

test('after work that exceeds the budget of a turn, the event loop MUST run before the next work starts', async () => {
  const turns = createTurns(limits);
  let turn = 0;
  let isOver = false;
  const count = () => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const ranIn: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, () =>
      turns.run('a', never, () => {
        ranIn.push(turn);
        return spin();
      }),
    ),
  );
  isOver = true;
  assert.equal(ranIn[0], 0, 'the first work runs at once');
  assert.equal(new Set(ranIn).size, 5, ranIn.join());
});

test('callers MUST be served round-robin', async () => {
  const turns = createTurns(limits);
  const order: string[] = [];
  const run = (caller: string) =>
    turns.run(caller, never, () => {
      order.push(caller);
      return spin();
    });
  await Promise.all([...Array.from({ length: 6 }, () => run('a')), run('b'), run('b'), run('c')]);
  assert.equal(order.join(''), 'aabcabaaa');
});

test('work above the queue limits, of a disconnected client or past the maximum wait MUST be rejected and not run', async () => {
  const turns = createTurns(limits);
  let done = 0;
  const run = async (caller: string, by: Cancellation = never) =>
    turns.run(caller, by, () => {
      done += 1;
      return spin();
    });
  const first = [run('a'), ...Array.from({ length: 6 }, () => run('a'))];
  await assert.rejects(run('a'), isOverloaded);
  const others = Array.from({ length: 4 }, () => run('b'));
  await assert.rejects(run('c'), isOverloaded);
  await Promise.all([...first, ...others]);
  assert.equal(done, 11);

  const disconnected = createCancellation();
  spin();
  const waiting = [run('a'), run('a', disconnected)];
  disconnected.cancel();
  const [, left] = await Promise.allSettled(waiting);
  assert.ok(left?.status === 'rejected' && isOverloaded(left.reason));

  const noWait = createTurns({ ...limits, maxWaitMs: 0 });
  await noWait.run('a', never, spin);
  await assert.rejects(Promise.all([noWait.run('a', never, spin), noWait.run('a', never, spin)]), isOverloaded);
});

test('many new documents of one caller MUST NOT delay another caller, and MUST be rejected above the queue limit', () =>
  withHarness(async (harness) => {
    const answers: string[] = [];
    const ask = async (sub: string, n: number, size = 28): Promise<Answer> => {
      // 28 fragments give the largest number of field comparisons that the limits allow.
      const fragments = Array.from({ length: size }, (_, i) => {
        const spreads = Array.from({ length: size - i }, (_none, j) => `...F${i + j + 1}`).join(' ');
        return `fragment F${i} on Query { ${spreads} customer(id: "x") { id } }`;
      });
      const query = `{ ...F0 z${sub}${n}: __typename } ${fragments.join(' ')} fragment F${size} on Query { __typename }`;
      const answer = await askAs(harness, { sub, scope: 'customer:read', customer: 'x' }, query);
      answers.push(sub);
      return answer;
    };
    const flood = Array.from({ length: 30 }, (_, n) => ask('a', n));
    const other = ask('b', 0);
    assert.equal((await other).errors, undefined);
    assert.ok(answers.length < 25, `${answers.length} responses came first`);
    for (const answer of await Promise.all(flood)) assert.equal(answer.errors, undefined, answer.text);

    const crowd = await Promise.all(Array.from({ length: 150 }, (_, n) => ask('c', n, 14)));
    const refused = crowd.filter(({ status }) => status === 503);
    assert.ok(refused.length > 0, `${refused.length} refused`);
    for (const answer of refused) {
      assert.deepEqual(codesOf(answer), { '': 'OVERLOADED' });
      assert.equal(answer.headers.get('retry-after'), '1');
      assert.equal(answer.data, undefined);
    }
  }, jwtSettings));
