import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CallResult, createBreaker } from '../../src/juspay/breaker.ts';
import { createBreakers } from '../../src/juspay/breakers.ts';
import { createRetryBudget } from '../../src/juspay/budget.ts';
import { createWindow } from '../../src/juspay/window.ts';

/** A clock that the test moves. */
function createClock(startMs = 0) {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** Time until the next event: mostly short, sometimes longer than the window. */
const pauseMs = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 400, noNaN: true }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 12_000, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1e7, noNaN: true }) },
);

test('a window MUST count all events younger than 9.9 s, and none that is 10 s old', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.array(fc.tuple(pauseMs, fc.boolean()), { maxLength: 200, size: 'max' }),
      (startMs, steps) => {
        const clock = createClock(startMs);
        const window = createWindow(clock.now());
        const atMs: number[] = [];
        for (const [ms, isEvent] of steps) {
          clock.pass(ms);
          if (isEvent) {
            window.add(clock.now());
            atMs.push(clock.now());
          }
          const total = window.total(clock.now());
          const within = (ageMs: number) => atMs.filter((at) => clock.now() - at < ageMs).length;
          assert.ok(total >= within(9_900) && total <= within(10_000), `${total} at ${clock.now()}`);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a window MUST NOT need more memory for more events', () => {
  const clock = createClock();
  const window = createWindow(clock.now());
  for (let n = 0; n < 1000; n += 1) window.add(clock.now());
  globalThis.gc?.();
  const before = process.memoryUsage();
  for (let cell = 0; cell < 200; cell += 1) {
    clock.pass(100);
    for (let n = 0; n < 10_000; n += 1) window.add(clock.now());
  }
  globalThis.gc?.();
  const after = process.memoryUsage();
  assert.equal(window.total(clock.now()), 1_000_000);
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 1024 * 1024);
});

test('repeats MUST NOT exceed 20 % of the first attempts of the last 10 s plus 10', () => {
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
          // Both answers are right if events are between 9.9 and 10 s old.
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

/** A breaker with its own clock, and a list of its state changes. */
function setUp() {
  const clock = createClock();
  const changes: string[] = [];
  const breaker = createBreaker(clock.now, {
    opened: (failedCalls) => changes.push(`opened ${failedCalls}`),
    closed: () => changes.push('closed'),
  });
  /** Sends one call and reports its result. Returns whether the call was admitted. */
  const call = (result: CallResult): boolean => {
    const report = breaker.admit();
    report?.(result);
    return report !== undefined;
  };
  const open = () => {
    for (let n = 0; n < 20; n += 1) call('failed');
    assert.equal(breaker.admit(), undefined);
  };
  return { clock, changes, breaker, call, open };
}

test('a breaker MUST open when half of at least 20 calls failed, in any order, and not before', () => {
  const { changes, call } = setUp();
  for (let n = 0; n < 10; n += 1) call('failed');
  for (let n = 0; n < 9; n += 1) call('succeeded');
  assert.deepEqual(changes, []);
  call('reset');
  assert.deepEqual(changes, ['opened 10']);

  const busy = setUp();
  for (let n = 0; n < 11; n += 1) busy.call('succeeded');
  for (let n = 0; n < 10; n += 1) assert.ok(busy.call('failed'));
  assert.deepEqual(busy.changes, []);
  busy.call('failed');
  assert.deepEqual(busy.changes, ['opened 11']);
});

test('ignored calls MUST NOT count at all, and reset ones MUST count as calls but not as failures', () => {
  const { changes, call } = setUp();
  for (let n = 0; n < 19; n += 1) call('failed');
  for (let n = 0; n < 99; n += 1) call('ignored');
  assert.deepEqual(changes, []);
  const other = setUp();
  for (let n = 0; n < 99; n += 1) other.call('reset');
  for (let n = 0; n < 98; n += 1) other.call('failed');
  assert.deepEqual(other.changes, []);
});

test('an open breaker MUST refuse calls for 5 s, then admit one probe, and all calls after its success', () => {
  const { clock, changes, breaker, call, open } = setUp();
  open();
  assert.equal(breaker.refusedMs(), 5_000);
  clock.pass(4_999);
  assert.equal(breaker.admit(), undefined);
  clock.pass(1);
  assert.equal(breaker.refusedMs(), 0);
  const report = breaker.admit();
  assert.ok(report);
  // No other call is admitted while the probe is in flight, and waiting calls do not spin.
  clock.pass(60_000);
  assert.equal(breaker.admit(), undefined);
  assert.ok(breaker.refusedMs() > 0);
  report('failed');
  assert.equal(breaker.refusedMs(), 5_000);
  clock.pass(5_000);
  assert.ok(call('succeeded'));
  assert.deepEqual(changes, ['opened 20', 'closed']);
  // The counts start at zero: earlier failures say nothing about the recovered host.
  for (let n = 0; n < 19; n += 1) assert.ok(call('failed'));
  assert.deepEqual(changes, ['opened 20', 'closed']);
});

test('a probe without a usable result MUST be followed by the next probe at once', () => {
  for (const result of ['ignored', 'reset'] as const) {
    const { clock, changes, call, open } = setUp();
    open();
    clock.pass(5_000);
    for (let n = 0; n < 3; n += 1) assert.ok(call(result));
    assert.deepEqual(changes, ['opened 20']);
    assert.ok(call('succeeded'));
    assert.deepEqual(changes, ['opened 20', 'closed']);
  }
});

test('a late result MUST NOT count in a later period, and a second report MUST have no effect', () => {
  const { clock, changes, breaker, call, open } = setUp();
  const lateReports = Array.from({ length: 50 }, () => breaker.admit());
  open();
  clock.pass(5_000);
  for (const report of lateReports) report?.('succeeded');
  assert.deepEqual(changes, ['opened 20']);
  const probe = breaker.admit();
  probe?.('succeeded');
  probe?.('failed');
  for (const report of lateReports) report?.('failed');
  assert.deepEqual(changes, ['opened 20', 'closed']);
  assert.ok(call('succeeded'));

  const other = setUp();
  other.open();
  other.clock.pass(5_000);
  const first = other.breaker.admit();
  first?.('reset');
  assert.ok(other.breaker.admit());
  first?.('ignored');
  assert.equal(other.breaker.admit(), undefined);
});

test('a breaker MUST behave like a reference model that keeps all calls', () => {
  const result = fc.constantFrom<CallResult>('succeeded', 'failed', 'failed', 'reset', 'ignored');
  // Multiples of the cell length, so that the window is exact.
  const step = fc.tuple(fc.constantFrom(0, 0, 0, 100, 300, 1_000, 5_000, 11_000), result);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const { clock, breaker } = setUp();
      let calls: { atMs: number; result: CallResult }[] = [];
      let openUntilMs: number | undefined;
      for (const [ms, result] of steps) {
        clock.pass(ms);
        const report = breaker.admit();
        assert.equal(report !== undefined, openUntilMs === undefined || clock.now() >= openUntilMs);
        if (report === undefined) continue;
        report(result);
        if (openUntilMs !== undefined) {
          if (result === 'failed') openUntilMs = clock.now() + 5_000;
          if (result === 'succeeded') [calls, openUntilMs] = [[], undefined];
        } else if (result !== 'ignored') {
          calls.push({ atMs: clock.now(), result });
          const recent = calls.filter(({ atMs }) => clock.now() - atMs < 10_000);
          const failed = recent.filter((call) => call.result === 'failed').length;
          if (recent.length >= 20 && failed * 2 >= recent.length) openUntilMs = clock.now() + 5_000;
        }
      }
    }),
    { numRuns: 2000 },
  );
});

/** The breakers of several callers, with their own clock. */
function createCallers() {
  const clock = createClock();
  const changes: string[] = [];
  const breakers = createBreakers(clock.now, {
    opened: (failedCalls, openBreakers) => changes.push(`opened ${failedCalls} ${openBreakers}`),
    closed: (openBreakers) => changes.push(`closed ${openBreakers}`),
  });
  const call = (caller: string, result: CallResult): boolean => {
    const report = breakers.admit(caller);
    report?.(result);
    return report !== undefined;
  };
  return { clock, changes, breakers, call };
}

test('a caller whose calls all fail MUST be refused alone, and calls of others MUST be admitted before, meanwhile and afterwards', () => {
  const { changes, call } = createCallers();
  for (let n = 0; n < 5; n += 1) assert.ok(call('healthy', 'succeeded'));
  for (let n = 0; n < 500; n += 1) {
    assert.equal(call('failing', 'failed'), n < 20);
    if (n % 10 === 0) assert.ok(call('healthy', 'succeeded'));
  }
  assert.ok(call('new', 'succeeded'));
  assert.deepEqual(changes, ['opened 20 1']);
});

test('a caller that keeps failing after each probe MUST NOT open the breaker of the others', () => {
  const { clock, call } = createCallers();
  for (let round = 0; round < 20; round += 1) {
    for (let n = 0; n < 40; n += 1) call('failing', 'failed');
    assert.ok(call('healthy', 'succeeded'));
    clock.pass(1_000);
  }
});

test('a host that is down MUST open the breaker by the calls of all callers together', () => {
  const { changes, call, breakers, clock } = createCallers();
  // No caller has 20 calls.
  for (let n = 0; n < 20; n += 1) assert.ok(call(`caller ${n % 5}`, 'failed'));
  assert.deepEqual(changes, ['opened 20 1']);
  assert.equal(breakers.refusedMs('another caller'), 5_000);
  clock.pass(5_000);
  assert.ok(call('another caller', 'succeeded'));
  assert.deepEqual(changes, ['opened 20 1', 'closed 0']);
});

test('failed calls of one caller MUST count for at most a quarter of the window', () => {
  const { changes, call } = createCallers();
  for (let n = 0; n < 19; n += 1) assert.ok(call('failing', 'failed'));
  for (let n = 0; n < 9; n += 1) call(`other ${n}`, 'failed');
  // After 7 calls of others there are 26. The caller counts for 6.5 of them, so 13.5 failed.
  assert.deepEqual(changes, ['opened 13 1']);
  const quiet = createCallers();
  for (let n = 0; n < 19; n += 1) assert.ok(quiet.call('failing', 'failed'));
  for (let n = 0; n < 19; n += 1) assert.ok(quiet.call(`healthy ${n}`, 'succeeded'));
  assert.deepEqual(quiet.changes, []);
});

test('the number of breakers MUST be bounded, and idle ones MUST be removed', () => {
  const { changes, call, clock } = createCallers();
  for (let n = 0; n < 20; n += 1) call('failing', 'failed');
  clock.pass(20_000);
  // The open breaker of a caller without further calls is removed.
  assert.ok(call('healthy', 'succeeded'));
  assert.deepEqual(changes, ['opened 20 1', 'closed 0']);
  for (let n = 0; n < 2_000; n += 1) call(`caller ${n}`, 'succeeded');
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
  const before = process.memoryUsage();
  for (let n = 0; n < 2_000; n += 1) call(`more ${n}`, 'succeeded');
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
  const after = process.memoryUsage();
  assert.ok(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers < 1024 * 1024);
});
