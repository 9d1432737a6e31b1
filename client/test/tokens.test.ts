import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Clock } from '../src/clock.ts';
import { CustomerClientError } from '../src/error.ts';
import { type ClientAuthTokens, createTokens, type MintedToken } from '../src/tokens.ts';
import type { Visibility } from '../src/visibility.ts';
import { createWatching, type Watching } from '../src/watching.ts';

/** Two clocks, advanced by the test, with their timers. */
function createTime() {
  let wall = 1_000_000;
  let monotonic = 0;
  const timers = new Set<{ atMs: number; call: () => void }>();
  const clock: Clock = {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    setTimer(call, ms) {
      const timer = { atMs: monotonic + ms, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  return {
    clock,
    timers,
    /** Advances both clocks and calls due timers in order. */
    async pass(seconds: number) {
      const untilMs = monotonic + seconds * 1000;
      for (;;) {
        const due = [...timers]
          .filter(({ atMs }) => atMs <= untilMs)
          .toSorted((one, other) => one.atMs - other.atMs)[0];
        const stepMs = (due?.atMs ?? untilMs) - monotonic;
        wall += stepMs;
        monotonic += stepMs;
        if (due === undefined) return;
        timers.delete(due);
        due.call();
        await settled();
      }
    },
    /** Advances the wall clock only, as while the machine sleeps. */
    sleep(seconds: number) {
      wall += seconds * 1000;
    },
    setWallBack(seconds: number) {
      wall -= seconds * 1000;
    },
  };
}

/** Resolves after all pending promise callbacks. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function createPage() {
  let hidden = false;
  const listeners = new Set<() => void>();
  const visibility: Visibility = {
    isHidden: () => hidden,
    onChange(call) {
      listeners.add(call);
      return () => listeners.delete(call);
    },
  };
  return {
    visibility,
    listeners,
    set hidden(value: boolean) {
      hidden = value;
      for (const call of listeners) call();
    },
  };
}

let time: ReturnType<typeof createTime>;
let page: ReturnType<typeof createPage>;
let tokens: ClientAuthTokens;
let watching: Watching;
let minted: string[];
let lifeSeconds: number;
let fail: CustomerClientError | undefined;

beforeEach(() => {
  time = createTime();
  page = createPage();
  minted = [];
  lifeSeconds = 900;
  fail = undefined;
  const mint = async (id: string): Promise<MintedToken> => {
    minted.push(id);
    await Promise.resolve();
    if (fail) throw fail;
    return { token: `${id}-${minted.length}`, expiresAt: '2030-01-01T00:00:00Z', expiresInSeconds: lifeSeconds };
  };
  open(mint);
});

function open(mint: (id: string) => Promise<MintedToken>): void {
  tokens = createTokens(mint, time.clock);
  watching = createWatching(tokens, time.clock, page.visibility);
}

const tokenOf = (id: string) => {
  const state = watching.state(id);
  return state.status === 'ready' ? state.token : state.status;
};

test('all watchers of a customer MUST share one request and one token', async () => {
  const stops = [1, 2, 3].map(() => watching.watch('a', () => undefined));
  const [one, other] = await Promise.all([tokens.get('a'), tokens.get('a')]);
  assert.deepEqual([one.token, other.token, tokenOf('a'), minted.length], ['a-1', 'a-1', 'a-1', 1]);
  for (const stop of stops) stop();
  // React's strict mode mounts, unmounts and mounts again.
  watching.watch('a', () => undefined)();
  assert.equal(minted.length, 1);
});

test('an error of a watcher MUST be logged, and MUST NOT affect the renewal or other watchers', async (context) => {
  const reported: unknown[] = [];
  context.mock.method(console, 'error', (error: unknown) => reported.push(error));
  const rejections: unknown[] = [];
  const count = (reason: unknown) => rejections.push(reason);
  process.on('unhandledRejection', count);
  const fault = new TypeError('error of a component');
  let calls = 0;
  watching.watch('a', () => {
    throw fault;
  });
  watching.watch('a', () => {
    calls += 1;
  });
  await settled();
  await time.pass(841);
  await settled();
  process.off('unhandledRejection', count);
  assert.deepEqual([tokenOf('a'), rejections], ['a-2', []]);
  assert.ok(
    calls > 1 && reported.length > 1 && reported.every((error) => error === fault),
    `${calls} ${reported.length}`,
  );
});

test('a token MUST be renewed one minute before it expires, by the seconds in the response of the gateway', async () => {
  watching.watch('a', () => undefined);
  await settled();
  await time.pass(839);
  assert.equal(tokenOf('a'), 'a-1');
  await time.pass(2);
  assert.equal(tokenOf('a'), 'a-2');
  const state = watching.state('a');
  assert.ok(state.status === 'ready');
  await time.pass(10);
  assert.ok(Math.abs(state.secondsLeft() - 889) <= 1, String(state.secondsLeft()));
});

test('the duration of the request MUST be subtracted from the lifetime', async () => {
  const answer = Promise.withResolvers<MintedToken>();
  open(() => answer.promise);
  watching.watch('a', () => undefined);
  await time.pass(20);
  answer.resolve({ token: 't', expiresAt: '2030-01-01T00:00:00Z', expiresInSeconds: 900 });
  await settled();
  const state = watching.state('a');
  assert.ok(state.status === 'ready' && state.secondsLeft() === 880);
});

test('an expired token MUST be renewed after the machine slept, although timers stopped', async () => {
  watching.watch('a', () => undefined);
  await settled();
  time.sleep(3600);
  await time.pass(15);
  assert.deepEqual([tokenOf('a'), minted.length], ['a-2', 2]);
});

test('setting the wall clock back MUST NOT extend the lifetime of a token', async () => {
  watching.watch('a', () => undefined);
  await settled();
  time.setWallBack(7200);
  await time.pass(845);
  assert.equal(tokenOf('a'), 'a-2');
});

test('no token MUST be requested while the page is hidden, and an expired token MUST NOT be returned afterwards', async () => {
  const seen: string[] = [];
  watching.watch('a', () => seen.push(tokenOf('a')));
  await settled();
  page.hidden = true;
  await time.pass(4000);
  assert.deepEqual([minted.length, time.timers.size], [1, 0]);
  seen.length = 0;
  page.hidden = false;
  assert.equal(tokenOf('a'), 'loading');
  await settled();
  assert.deepEqual([...new Set(seen)], ['loading', 'a-2']);
});

test('a token that `get` has requested MUST end the failure of a watcher at once', async () => {
  fail = new CustomerClientError('FORBIDDEN', { retryable: false });
  watching.watch('a', () => undefined);
  await settled();
  assert.equal(tokenOf('a'), 'failed');
  fail = undefined;
  const { token } = await tokens.get('a');
  assert.equal(tokenOf('a'), token);
});

test('a page that becomes visible before the expiry MUST keep its token', async () => {
  watching.watch('a', () => undefined);
  await settled();
  page.hidden = true;
  await time.pass(60);
  page.hidden = false;
  await settled();
  assert.deepEqual([tokenOf('a'), minted.length], ['a-1', 1]);
});

test('without watchers no timer MUST run, and the token MUST expire', async () => {
  const stop = watching.watch('a', () => undefined);
  await settled();
  stop();
  assert.deepEqual([time.timers.size, page.listeners.size], [0, 0]);
  await time.pass(901);
  assert.equal(tokenOf('a'), 'loading');
  assert.equal((await tokens.get('a')).token, 'a-2');
});

test('a failed renewal MUST keep the token until it expires, and be retried with pauses', async () => {
  watching.watch('a', () => undefined);
  await settled();
  fail = new CustomerClientError('UPSTREAM_UNAVAILABLE', { retryable: true });
  await time.pass(850);
  const state = watching.state('a');
  assert.ok(state.status === 'ready' && state.error?.code === 'UPSTREAM_UNAVAILABLE');
  await time.pass(60);
  assert.equal(tokenOf('a'), 'failed');
  assert.ok(minted.length > 3 && minted.length < 12, String(minted.length));
  fail = undefined;
  await time.pass(60);
  assert.match(tokenOf('a'), /^a-/);
});

test('a renewal MUST wait for retryAfterSeconds of the gateway', async () => {
  fail = new CustomerClientError('RATE_LIMITED', { retryable: true, retryAfterSeconds: 40 });
  watching.watch('a', () => undefined);
  await settled();
  await time.pass(39);
  assert.equal(minted.length, 1);
  await time.pass(2);
  assert.equal(minted.length, 2);
});

test('an error that is not retryable MUST be retried only by `retry`', async () => {
  fail = new CustomerClientError('FORBIDDEN', { retryable: false });
  watching.watch('a', () => undefined);
  await settled();
  await time.pass(3600);
  const state = watching.state('a');
  assert.ok(state.status === 'failed' && state.error.code === 'FORBIDDEN');
  assert.equal(minted.length, 1);
  fail = undefined;
  state.retry();
  await settled();
  assert.equal(tokenOf('a'), 'a-2');
});

test('tokens that are expired on arrival MUST NOT be requested in a loop', async () => {
  lifeSeconds = 0;
  watching.watch('a', () => undefined);
  await settled();
  await time.pass(600);
  assert.deepEqual([tokenOf('a'), minted.length], ['failed', 1]);
  await assert.rejects(tokens.get('a'), { code: 'CLIENT_AUTH_TOKEN_UNAVAILABLE' });
});

test('a token from another response MUST be used instead of a request', async () => {
  tokens.keep(['a', 'reference', undefined], {
    token: 'kept',
    expiresAt: '2030-01-01T00:00:00Z',
    expiresInSeconds: 900,
  });
  tokens.keep(['b'], { token: 1 });
  watching.watch('reference', () => undefined);
  await settled();
  assert.deepEqual([tokenOf('a'), tokenOf('reference'), tokenOf('b'), minted.length], ['kept', 'kept', 'idle', 0]);
});

test('`clear` MUST remove all tokens and discard in-flight requests', async () => {
  tokens.keep(['a'], { token: 'kept', expiresAt: '2030-01-01T00:00:00Z', expiresInSeconds: 900 });
  const waiting = tokens.get('b');
  tokens.clear();
  await assert.rejects(waiting, { code: 'CLIENT_AUTH_TOKEN_UNAVAILABLE' });
  assert.deepEqual([tokenOf('a'), tokenOf('b')], ['idle', 'idle']);
});

test('the state MUST be the same object until something changes', async () => {
  watching.watch('a', () => undefined);
  await settled();
  const state = watching.state('a');
  await time.pass(60);
  assert.equal(watching.state('a'), state);
});

test('a token that arrives after a failure MUST replace the error, and be renewed', async () => {
  fail = new CustomerClientError('NOT_FOUND', { retryable: false });
  watching.watch('a', () => undefined);
  await settled();
  assert.equal(tokenOf('a'), 'failed');
  fail = undefined;
  tokens.keep(['a'], { token: 'kept', expiresAt: '2030-01-01T00:00:00Z', expiresInSeconds: 900 });
  const state = watching.state('a');
  assert.ok(state.status === 'ready' && state.token === 'kept' && state.error === undefined);
  await time.pass(841);
  assert.deepEqual([tokenOf('a'), minted.length], ['a-2', 2]);
});

test('an error of the app, for example of its session renewal, MUST be retried', async () => {
  const own = new Error('the backend is unavailable');
  let isUnavailable = true;
  open(async (id) => {
    minted.push(id);
    if (isUnavailable) throw own;
    return { token: 'later', expiresAt: '2030-01-01T00:00:00Z', expiresInSeconds: 900 };
  });
  watching.watch('a', () => undefined);
  await settled();
  const state = watching.state('a');
  assert.ok(state.status === 'failed');
  assert.deepEqual([state.error.code, state.error.retryable, state.error.cause], ['UNAUTHENTICATED', true, own]);
  isUnavailable = false;
  await time.pass(6);
  assert.deepEqual([tokenOf('a'), minted.length], ['later', 2]);
});

test('a programming error MUST be UNEXPECTED and MUST NOT be retried', async () => {
  const own = new TypeError('session is not a function');
  open(async (id) => {
    minted.push(id);
    throw own;
  });
  watching.watch('a', () => undefined);
  await settled();
  const state = watching.state('a');
  assert.ok(state.status === 'failed');
  assert.deepEqual([state.error.code, state.error.retryable, state.error.cause], ['UNEXPECTED', false, own]);
  await time.pass(60);
  assert.deepEqual(minted, ['a']);
});

test('after `clear`, a watcher that leaves MUST NOT request a token, and one that stays MUST', async () => {
  const stop = watching.watch('leaves', () => undefined);
  watching.watch('stays', () => undefined);
  await settled();
  await time.pass(10);
  tokens.clear();
  assert.deepEqual([tokenOf('leaves'), tokenOf('stays')], ['loading', 'loading']);
  stop();
  await time.pass(1);
  assert.deepEqual(minted, ['leaves', 'stays', 'stays']);
  assert.equal(tokens.held('leaves'), undefined);
  assert.equal(tokenOf('stays'), 'stays-3');
});

test('the largest `renewBeforeSeconds` of all watchers MUST apply while its watcher exists', async () => {
  watching.watch('a', () => undefined);
  const stop = watching.watch('a', () => undefined, { renewBeforeSeconds: 300 });
  watching.watch('a', () => undefined, { renewBeforeSeconds: 10 });
  await settled();
  await time.pass(601);
  assert.deepEqual([tokenOf('a'), minted.length], ['a-2', 2]);
  stop();
  await time.pass(601);
  assert.equal(minted.length, 2);
  await time.pass(240);
  assert.equal(minted.length, 3);
});
