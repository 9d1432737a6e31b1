import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GCProfiler } from 'node:v8';
import { anonymous } from '../../src/auth/caller.ts';
import { batched } from '../../src/customers/batching.ts';
import { createCancellation } from '../../src/customers/cancellation.ts';
import type { CustomerApi } from '../../src/customers/customer.ts';
import { owned } from '../../src/customers/ownership.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import { type Merchants, openMerchants } from '../../src/juspay/merchants.ts';
import { createLog } from '../../src/telemetry/log.ts';

/** The provider, in a process of its own, so that it allocates nothing in this one. `GET /calls` returns the number of calls. */
const provider = `
let calls = 0;
require('node:http').createServer((request, response) => {
  if (request.url === '/calls') return response.end(String(calls));
  calls += 1;
  const id = decodeURIComponent(request.url.split(/[/?]/)[2] ?? '') || 'cth_1';
  const body = { id, object_reference_id: 'reference-' + id, first_name: 'Asha', date_created: '2024-05-01T10:00:00Z' };
  request.resume().on('end', () => response.writeHead(200).end(JSON.stringify(body)));
}).listen(0, '127.0.0.1', function () { process.send(this.address().port) });
`;

let child: ChildProcess;
let baseUrl: string;
let merchants: Merchants;

before(async () => {
  child = spawn(process.execPath, ['--eval', provider], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [port] = await once(child, 'message');
  baseUrl = `http://127.0.0.1:${port}`;
  const access = { merchantId: 'merchant', baseUrl, apiKey: { reveal: () => 'key' } };
  const juspay = { version: undefined, timeoutMs: 10_000, connections: 64 };
  const settings = { juspay, operationTimeoutMs: 20_000 };
  merchants = openMerchants({ provider: access, merchants: [] }, settings, createLog('silent'));
});

after(async () => {
  await merchants.close();
  child.kill();
});

/** The access of one operation, as the gateway composes it. */
function open(n: number): CustomerApi {
  const merchant = merchants.of({ merchant: undefined });
  assert(merchant);
  const record = new OperationRecord();
  const operation = {
    requestId: `request ${n}`,
    caller: 'caller',
    record,
    deadlineAtMs: performance.now() + 20_000,
    cancellation: createCancellation(),
  };
  return owned(batched(merchant.open(operation), { maxReads: 100, record }), anonymous);
}

type Operate = (n: number) => Promise<unknown>;
const hundred = <T>(each: (index: number) => Promise<T>) => Promise.all(Array.from({ length: 100 }, (_, n) => each(n)));
const readWithToken: Operate = (n) => open(n).get({ any: `t${n}` }, { withClientAuthToken: true });

const countCalls = async () => Number(await (await fetch(`${baseUrl}/calls`)).text());

/** Runs the operation 50 times, one after the other. Returns the calls, promises and timers of one run. */
async function costsOf(operate: Operate) {
  const times = 50;
  let n = 0;
  const run = async () => {
    for (let left = times; left > 0; left -= 1) {
      await operate(n);
      n += 1;
      await turn();
    }
  };
  let promises = 0;
  let timers = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') promises += 1;
      // undici starts a timer for each connection that becomes idle. Ours start in a file of src.
      if (type === 'Timeout' && /node:timers[^\n]*\n[^\n]*\/src\//.test(new Error().stack ?? '')) timers += 1;
    },
  });
  await run();
  const callsBefore = await countCalls();
  hook.enable();
  await run();
  hook.disable();
  const calls = (await countCalls()) - callsBefore;
  return { calls: calls / times, promises: Math.round(promises / times), timers: Math.round(timers / times) };
}

const input = { objectReferenceId: 'reference-cth_1', mobileNumber: '1', emailAddress: 'a@b' };
const operations: Readonly<Record<string, { operate: Operate; calls: number; promises: number }>> = {
  'a read with the token': { operate: readWithToken, calls: 1, promises: 7 },
  'a read without the token': { operate: (n) => open(n).get({ any: `p${n}` }), calls: 1, promises: 9 },
  '100 reads of one operation': {
    operate(n) {
      const api = open(n);
      return hundred((index) => api.get({ any: `m${n}-${index}` }));
    },
    calls: 100,
    promises: 705,
  },
  '100 operations that read one customer': {
    operate: (n) => hundred(() => open(n).get({ any: `s${n}` })),
    calls: 1,
    promises: 903,
  },
  'a create': { operate: (n) => open(n).create(input), calls: 1, promises: 11 },
  'an update': { operate: (n) => open(n).update(`u${n}`, { firstName: 'Asha' }), calls: 1, promises: 11 },
};

for (const [name, { operate, calls, promises }] of Object.entries(operations)) {
  test(`${name} MUST cost at most ${calls} calls, ${promises} promises and no timer`, async () => {
    const own = await costsOf(() => Promise.resolve());
    const costs = await costsOf(operate);
    assert.equal(costs.calls, calls);
    assert(costs.promises - own.promises <= promises, `${costs.promises - own.promises} promises`);
    assert.equal(costs.timers, 0);
  });
}

/** Measured with Node 24.21, plus 10 %. */
const maxBytesPerRead = 20_200 * 1.1;
const maxSurvivingShare = 0.08;

test(`a read MUST allocate at most ${maxBytesPerRead} bytes, of which at most ${maxSurvivingShare} survive a scavenge`, async () => {
  let n = 0;
  const run = async (rounds: number) => {
    for (const end = n + rounds * 64; n < end; n += 64) {
      await Promise.all(Array.from({ length: 64 }, (_, index) => readWithToken(n + index)));
    }
  };
  // Long enough for the compiler, which removes some allocations.
  await run(300);
  globalThis.gc?.();
  const profiler = new GCProfiler();
  const usedAtStart = process.memoryUsage().heapUsed;
  profiler.start();
  await run(400);
  let allocated = process.memoryUsage().heapUsed - usedAtStart;
  let inNewSpace = 0;
  let survived = 0;
  for (const { gcType, beforeGC, afterGC } of profiler.stop().statistics) {
    const freed = beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    allocated += freed;
    if (gcType !== 'Scavenge') continue;
    const size = beforeGC.heapSpaceStatistics.find(({ spaceName }) => spaceName === 'new_space')?.spaceUsedSize ?? 0;
    inNewSpace += size;
    survived += size - freed;
  }
  const bytesPerRead = allocated / (400 * 64);
  assert(bytesPerRead <= maxBytesPerRead, `${bytesPerRead} bytes`);
  assert(survived / inNewSpace <= maxSurvivingShare, `${survived / inNewSpace}`);
});
