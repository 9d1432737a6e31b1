import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBreaker, type Sign } from '../../src/juspay/breaker.ts';
import { createBreakers } from '../../src/juspay/breakers.ts';
import { createRetryBudget } from '../../src/juspay/budget.ts';
import { createWindow } from '../../src/juspay/window.ts';

/** A clock that goes when it is told to. */
function createClock(startMs = 0) {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** How long until the next event: mostly short, sometimes longer than anything is kept. */
const pauseMs = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 400, noNaN: true }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 12_000, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1e7, noNaN: true }) },
);

test('a window MUST count all that is younger than 9.9 s, and nothing that is 10 s old', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.array(fc.tuple(pauseMs, fc.boolean()), { maxLength: 200, size: 'max' }),
      (startMs, steps) => {
        const clock = createClock(startMs);
        const window = createWindow(clock.now);
        const atMs: number[] = [];
        for (const [ms, isEvent] of steps) {
          clock.pass(ms);
          if (isEvent) {
            window.add();
            atMs.push(clock.now());
          }
          const total = window.total();
          const within = (ageMs: number) => atMs.filter((at) => clock.now() - at < ageMs).length;
          assert.ok(total >= within(9_900) && total <= within(10_000), `${total} at ${clock.now()}`);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a window MUST NOT grow with what it counts', () => {
  const clock = createClock();
  const window = createWindow(clock.now);
  for (let n = 0; n < 1000; n += 1) window.add();
  globalThis.gc?.();
  const before = process.memoryUsage();
  for (let cell = 0; cell < 200; cell += 1) {
    clock.pass(100);
    for (let n = 0; n < 10_000; n += 1) window.add();
  }
  globalThis.gc?.();
  const after = process.memoryUsage();
  assert.equal(window.total(), 1_000_000);
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 1024 * 1024);
});

test('repeats MUST never be more than 20 % of the first attempts of the last 10 s plus 10', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(pauseMs, fc.boolean()), { maxLength: 200, size: 'max' }), (steps) => {
      const clock = createClock();
      const budget = createRetryBudget(clock.now);
      const sent: { atMs: number; attempt: number }[] = [];
      for (const [ms, isFirst] of steps) {
        clock.pass(ms);
        const attempt = isFirst ? 1 : 2;
        const count = (of: number, ageMs: number) =>
          sent.filter(({ atMs, attempt: its }) => its === of && clock.now() - atMs < ageMs).length;
        if (attempt === 2) {
          // Exact where nothing is between 9.9 and 10 s old; there either answer is right.
          if (budget.isSpent()) {
            assert.ok(count(2, 10_000) + 1 > 10 + count(1, 9_900) / 5);
            continue;
          }
          assert.ok(count(2, 9_900) + 1 <= 10 + count(1, 10_000) / 5);
        }
        budget.count(attempt);
        sent.push({ atMs: clock.now(), attempt });
      }
    }),
    { numRuns: 500 },
  );
});

/** A breaker on a clock of its own, with what it told about itself. */
function createWorld() {
  const clock = createClock();
  const told: string[] = [];
  const breaker = createBreaker(clock.now, {
    opened: (failedCalls) => told.push(`opened ${failedCalls}`),
    closed: () => told.push('closed'),
  });
  /** One call, from its sending to what became of it. */
  const call = (sign: Sign): boolean => {
    const tell = breaker.admit();
    tell?.(sign);
    return tell !== undefined;
  };
  const open = () => {
    for (let n = 0; n < 20; n += 1) call('failed');
    assert.equal(breaker.admit(), undefined);
  };
  return { clock, told, breaker, call, open };
}

test('a breaker MUST open when half of at least 20 calls failed, in whatever order, and not before', () => {
  const { told, call } = createWorld();
  for (let n = 0; n < 10; n += 1) call('failed');
  for (let n = 0; n < 9; n += 1) call('alive');
  assert.deepEqual(told, []);
  call('cut');
  assert.deepEqual(told, ['opened 10']);

  const busy = createWorld();
  for (let n = 0; n < 11; n += 1) busy.call('alive');
  for (let n = 0; n < 10; n += 1) assert.ok(busy.call('failed'));
  assert.deepEqual(busy.told, []);
  busy.call('failed');
  assert.deepEqual(busy.told, ['opened 11']);
});

test('calls that came to nothing MUST NOT count at all, and those that were cut off only as calls', () => {
  const { told, call } = createWorld();
  for (let n = 0; n < 19; n += 1) call('failed');
  for (let n = 0; n < 99; n += 1) call('none');
  assert.deepEqual(told, []);
  const other = createWorld();
  for (let n = 0; n < 99; n += 1) other.call('cut');
  for (let n = 0; n < 98; n += 1) other.call('failed');
  assert.deepEqual(other.told, []);
});

test('an open breaker MUST refuse for 5 s, then let one call through, and all once that is answered', () => {
  const { clock, told, breaker, call, open } = createWorld();
  open();
  assert.equal(breaker.refusedMs(), 5_000);
  clock.pass(4_999);
  assert.equal(breaker.admit(), undefined);
  clock.pass(1);
  assert.equal(breaker.refusedMs(), 0);
  const tell = breaker.admit();
  assert.ok(tell);
  // Nobody else may go meanwhile, however long it takes; and who waits does not spin.
  clock.pass(60_000);
  assert.equal(breaker.admit(), undefined);
  assert.ok(breaker.refusedMs() > 0);
  tell('failed');
  assert.equal(breaker.refusedMs(), 5_000);
  clock.pass(5_000);
  assert.ok(call('alive'));
  assert.deepEqual(told, ['opened 20', 'closed']);
  // It starts from nothing: what failed before says nothing of the host that is back.
  for (let n = 0; n < 19; n += 1) assert.ok(call('failed'));
  assert.deepEqual(told, ['opened 20', 'closed']);
});

test('a probe that tells nothing MUST make room for the next one at once', () => {
  for (const sign of ['none', 'cut'] as const) {
    const { clock, told, call, open } = createWorld();
    open();
    clock.pass(5_000);
    for (let n = 0; n < 3; n += 1) assert.ok(call(sign));
    assert.deepEqual(told, ['opened 20']);
    assert.ok(call('alive'));
    assert.deepEqual(told, ['opened 20', 'closed']);
  }
});

test('a straggler from before MUST NOT speak for the period after, and nobody speaks twice', () => {
  const { clock, told, breaker, call, open } = createWorld();
  const stragglers = Array.from({ length: 50 }, () => breaker.admit());
  open();
  clock.pass(5_000);
  for (const tell of stragglers) tell?.('alive');
  assert.deepEqual(told, ['opened 20']);
  const probe = breaker.admit();
  probe?.('alive');
  probe?.('failed');
  for (const tell of stragglers) tell?.('failed');
  assert.deepEqual(told, ['opened 20', 'closed']);
  assert.ok(call('alive'));

  const other = createWorld();
  other.open();
  other.clock.pass(5_000);
  const first = other.breaker.admit();
  first?.('cut');
  assert.ok(other.breaker.admit());
  first?.('none');
  assert.equal(other.breaker.admit(), undefined);
});

test('a breaker MUST do what the list of all its calls says it should', () => {
  const sign = fc.constantFrom<Sign>('alive', 'failed', 'failed', 'cut', 'none');
  // Whole cells, so that the window is exact.
  const step = fc.tuple(fc.constantFrom(0, 0, 0, 100, 300, 1_000, 5_000, 11_000), sign);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const { clock, breaker } = createWorld();
      let calls: { atMs: number; sign: Sign }[] = [];
      let openUntilMs: number | undefined;
      for (const [ms, sign] of steps) {
        clock.pass(ms);
        const tell = breaker.admit();
        assert.equal(tell !== undefined, openUntilMs === undefined || clock.now() >= openUntilMs);
        if (tell === undefined) continue;
        tell(sign);
        if (openUntilMs !== undefined) {
          if (sign === 'failed') openUntilMs = clock.now() + 5_000;
          if (sign === 'alive') [calls, openUntilMs] = [[], undefined];
        } else if (sign !== 'none') {
          calls.push({ atMs: clock.now(), sign });
          const recent = calls.filter(({ atMs }) => clock.now() - atMs < 10_000);
          const failed = recent.filter((call) => call.sign === 'failed').length;
          if (recent.length >= 20 && failed * 2 >= recent.length) openUntilMs = clock.now() + 5_000;
        }
      }
    }),
    { numRuns: 2000 },
  );
});

/** Breakers on a clock of their own. */
function createCallers() {
  const clock = createClock();
  const told: string[] = [];
  const breakers = createBreakers(clock.now, {
    opened: (failedCalls, openBreakers) => told.push(`opened ${failedCalls} ${openBreakers}`),
    closed: (openBreakers) => told.push(`closed ${openBreakers}`),
  });
  const call = (caller: string, sign: Sign): boolean => {
    const tell = breakers.admit(caller);
    tell?.(sign);
    return tell !== undefined;
  };
  return { clock, told, breakers, call };
}

test('a caller whose calls all fail MUST be refused alone, whoever calls before, meanwhile and afterwards', () => {
  const { told, call } = createCallers();
  for (let n = 0; n < 5; n += 1) assert.ok(call('well', 'alive'));
  for (let n = 0; n < 500; n += 1) {
    assert.equal(call('ill', 'failed'), n < 20);
    if (n % 10 === 0) assert.ok(call('well', 'alive'));
  }
  assert.ok(call('new', 'alive'));
  assert.deepEqual(told, ['opened 20 1']);
});

test('a caller that keeps failing after each probe MUST NOT open the breaker of the others', () => {
  const { clock, call } = createCallers();
  for (let round = 0; round < 20; round += 1) {
    for (let n = 0; n < 40; n += 1) call('ill', 'failed');
    assert.ok(call('well', 'alive'));
    clock.pass(1_000);
  }
});

test('a host that is down MUST be found out by the calls of all callers together', () => {
  const { told, call, breakers, clock } = createCallers();
  // No caller has 20 calls of its own.
  for (let n = 0; n < 20; n += 1) assert.ok(call(`caller ${n % 5}`, 'failed'));
  assert.deepEqual(told, ['opened 20 1']);
  assert.equal(breakers.refusedMs('somebody else'), 5_000);
  clock.pass(5_000);
  assert.ok(call('somebody else', 'alive'));
  assert.deepEqual(told, ['opened 20 1', 'closed 0']);
});

test('failed calls of one caller MUST count for a quarter of the window at most', () => {
  const { told, call } = createCallers();
  for (let n = 0; n < 19; n += 1) assert.ok(call('ill', 'failed'));
  for (let n = 0; n < 9; n += 1) call(`other ${n}`, 'failed');
  // After 7 others: 26 calls, of which the one counts for 6.5, so that 13.5 of them failed.
  assert.deepEqual(told, ['opened 13 1']);
  const quiet = createCallers();
  for (let n = 0; n < 19; n += 1) assert.ok(quiet.call('ill', 'failed'));
  for (let n = 0; n < 19; n += 1) assert.ok(quiet.call(`well ${n}`, 'alive'));
  assert.deepEqual(quiet.told, []);
});

test('breakers of callers MUST be bounded in number, and those that are idle be given up', () => {
  const { told, call, clock } = createCallers();
  for (let n = 0; n < 20; n += 1) call('ill', 'failed');
  clock.pass(20_000);
  // Nobody of that name calls any more: the number of open breakers does not keep it for ever.
  assert.ok(call('well', 'alive'));
  assert.deepEqual(told, ['opened 20 1', 'closed 0']);
  for (let n = 0; n < 2_000; n += 1) call(`caller ${n}`, 'alive');
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
  const before = process.memoryUsage();
  for (let n = 0; n < 2_000; n += 1) call(`more ${n}`, 'alive');
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
  const after = process.memoryUsage();
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 1024 * 1024);
});
