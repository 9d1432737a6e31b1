import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ambiguous, countDifferences, createRandom, denials, noDifferences, oddities, refusals } from '../hostility.ts';
import { createOperation, newCustomer, resultOf, startWorld, updateOperation, type World } from '../support.ts';

/**
 * 2,000 mixed operations against a provider that goes wrong in every way it knows, before and after the commit, and whose
 * reads are down at the beginning; then the books are compared: what was answered with what is stored.
 */
const operations = Number(process.env['HOSTILE_OPERATIONS'] ?? 2000);
const deadlineMs = 1500;
const concurrency = 40;

/**
 * Sandbox, gateway and load share one thread here: while it stands still, nobody can answer. Counted by how late a timer
 * comes, so that what an operation took is what the gateway took.
 */
function countStalls() {
  const everyMs = 50;
  let stalledMs = 0;
  let lastAtMs = performance.now();
  const totalMs = () => stalledMs + Math.max(0, performance.now() - lastAtMs - everyMs);
  const timer = setInterval(() => {
    stalledMs = totalMs();
    lastAtMs = performance.now();
  }, everyMs);
  return {
    totalMs,
    stop() {
      clearInterval(timer);
      return totalMs();
    },
  };
}

/** Whether calls are refused now, as the log tells, and how often it began. */
function watchBreakers(log: World['log']) {
  const open = new Set<string | undefined>();
  let openings = 0;
  let seen = 0;
  return {
    isOpen(): boolean {
      for (; seen < log.length; seen += 1) {
        const [, method, change] = /"method":"(\w+)".*"circuit breaker (\w+)"/.exec(log[seen] ?? '') ?? [];
        if (change === 'closed') open.delete(method);
        if (change !== 'opened') continue;
        open.add(method);
        openings += 1;
      }
      return open.size > 0;
    },
    openings: () => openings,
  };
}

for (const seed of [1, 2, 3]) {
  test(`2,000 operations against a hostile provider MUST lose, double and misreport nothing (seed ${seed})`, async (context) => {
    const world = await startWorld({
      JUSPAY_TIMEOUT_MS: '250',
      OPERATION_TIMEOUT_MS: String(deadlineMs),
      LOG_LEVEL: 'error',
    });
    const random = createRandom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const outcomes = new Map<string, number>();
    const created = new Map<string, Record<string, unknown>[]>();
    const updates: { id: string; value: string; result: Record<string, unknown> }[] = [];
    let slowestMs = 0;
    let next = 0;
    const stalls = countStalls();
    const breakers = watchBreakers(world.log);

    const count = (name: string) => outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    const provoke = (on: 'create' | 'get' | 'update', pathId: string) => {
      // Half of the operations meet one to three faults on their way.
      for (let left = random() < 0.5 ? Math.ceil(random() * 3) : 0; left > 0; left -= 1) {
        const target = random() < 0.7 ? on : 'get';
        const afterCommit = target !== 'get' && random() < 0.5;
        const list =
          random() < 0.6
            ? ambiguous
            : target === 'get'
              ? [...refusals, ...oddities, ...denials]
              : afterCommit
                ? oddities
                : refusals;
        world.sandbox.arm({ fault: pick(list), on: target, pathId, delayMs: 100, afterCommit });
      }
    };
    const timed = async <T>(work: Promise<T>): Promise<T> => {
      const startedAtMs = performance.now();
      const stalledMs = stalls.totalMs();
      const result = await work;
      slowestMs = Math.max(slowestMs, performance.now() - startedAtMs - (stalls.totalMs() - stalledMs));
      return result;
    };

    async function operate(number: number): Promise<void> {
      const kind = random();
      if (kind < 0.4) {
        // Every fourth reference is asked for twice or more: repeats and races.
        const reference = random() < 0.25 ? `shared-${number % 50}` : `reference-${number}`;
        provoke('create', reference);
        const input = newCustomer(reference, { firstName: `Name ${reference}` });
        const result = resultOf(await timed(world.ask(createOperation, { input })), 'createCustomer');
        count(`create ${result['origin'] ?? result['code']}`);
        created.set(reference, [...(created.get(reference) ?? []), result]);
      } else if (kind < 0.7) {
        const id = `target-${number % 200}`;
        // None that a customer has from the start: an update that did nothing would look done.
        const value = `8${String(number).padStart(9, '0')}`;
        provoke('update', id);
        const result = resultOf(
          await timed(world.ask(updateOperation, { id, input: { mobileNumber: value } })),
          'updateCustomer',
        );
        count(`update ${result['code'] ?? 'SUCCESS'}`);
        updates.push({ id, value, result });
      } else {
        const id = `target-${number % 200}`;
        provoke('get', id);
        const token = random() < 0.3 ? 'clientAuthToken { __typename }' : '';
        const answer = await timed(world.ask(`{ customer(id: "${id}") { objectReferenceId ${token} } }`));
        assert.equal(answer.status, 200);
        const customer = answer.data?.['customer'] as { objectReferenceId: string } | null;
        // Never somebody else's.
        if (customer !== null) assert.equal(customer.objectReferenceId, id);
        count(`read ${answer.errors?.[0]?.extensions['code'] ?? 'SUCCESS'}`);
      }
    }

    for (let n = 0; n < 200; n += 1) {
      await world.ask(createOperation, { input: newCustomer(`target-${n}`) });
    }
    world.sandbox.clearCalls();
    // Until the breaker has noticed.
    world.sandbox.arm({ fault: '503', on: 'get', times: operations });
    let isDown = true;
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        for (let number = next++; number < operations; number = next++) {
          await operate(number);
          if (!breakers.isOpen()) continue;
          if (isDown) world.sandbox.disarm();
          isDown = false;
          // Who is refused at once comes back later: most of the operations should meet the provider.
          await delay(1_000);
        }
      }),
    );

    const stalledMs = stalls.stop();

    const books = countDifferences(world.sandbox, { created, updates });
    await world.close();
    context.diagnostic(
      JSON.stringify({
        ...books,
        slowestMs: Math.round(slowestMs),
        stalledMs: Math.round(stalledMs),
        openings: breakers.openings(),
        ...Object.fromEntries([...outcomes].sort()),
      }),
    );

    assert.deepEqual(books, noDifferences);
    assert.ok(breakers.openings() >= 1);
    // A promise of the product, not a measure of the machine: the deadline, and 250 ms to say so.
    assert.ok(slowestMs <= deadlineMs + 250, `an answer took ${Math.round(slowestMs)} ms`);
    assert.equal(
      [...outcomes.values()].reduce((sum, value) => sum + value, 0),
      operations,
    );
  });
}
