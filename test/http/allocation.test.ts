import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { start } from '../program.ts';
import type { Collections } from './collections.ts';
import { type Load, type MeasuredWorkload, replyOf, startLoad, workloads } from './costs.ts';

let load: Load;

before(async () => {
  load = await startLoad();
});

after(() => load.stop());

const options = ['--expose-gc', '--import', new URL('collections.ts', import.meta.url).href];

for (const [name, workload] of Object.entries(workloads)) {
  const { bytes, surviving, operations } = workload;

  test(`${name} MUST allocate at most ${bytes} bytes, of which at most ${surviving} survive a scavenge`, async (context) => {
    await withProgram([], async (collectionsOf) => {
      // Long enough for the compiler, which removes some allocations.
      await collectionsOf(workload, operations * 2);
      let best = { bytes: Number.POSITIVE_INFINITY, surviving: Number.POSITIVE_INFINITY };
      // Other load only adds to both figures: code is compiled later, and more requests are open at once, whose objects survive.
      for (let round = 0; round < 4 && (best.bytes > bytes || best.surviving > surviving); round += 1) {
        const { allocated, survived } = await collectionsOf(workload, operations);
        best = {
          bytes: Math.min(best.bytes, allocated / operations),
          surviving: Math.min(best.surviving, survived / allocated),
        };
      }
      context.diagnostic(`${Math.round(best.bytes)} bytes, ${best.surviving} survive`);
      assert.ok(best.bytes <= bytes, `${best.bytes} bytes`);
      assert.ok(best.surviving <= surviving, `${best.surviving}`);
    });
  });
}

for (const [name, ofOperator, expected] of [
  ['the two semi-spaces MUST NOT grow beyond 32 MiB', [], 32],
  ['the two semi-spaces MUST grow as the operator sets it', ['--max-semi-space-size=64'], 64],
] as const) {
  test(name, () =>
    withProgram(ofOperator, async (collectionsOf) => {
      const workload = workloads['50 aliases of 10 customers'] ?? assert.fail();
      // V8 doubles the new space when as many bytes as it holds have survived. These operations are enough for 64 MiB.
      const { semiSpace } = await collectionsOf(workload, 10_000);
      assert.equal(Math.round(semiSpace / 2 ** 20), expected);
    }),
  );
}

/** Sends operations to the program. @returns what V8 collected meanwhile. */
type CollectionsOf = (workload: MeasuredWorkload, operations: number) => Promise<Collections>;

/** Runs the shipped program in a process of its own: the test runner keeps a table of all promises of this one. */
async function withProgram(ofOperator: readonly string[], use: (collectionsOf: CollectionsOf) => Promise<void>) {
  const { child, exit, waitFor } = start(['serve'], settings(load), [...options, ...ofOperator], ['ipc']);
  try {
    const [, port] = await waitFor(/"url":"http:\/\/127\.0\.0\.1:(\d+)/);
    await use(async (workload, operations) => {
      await replyOf(child, 'start');
      await load.send(Number(port), workload, operations);
      return replyOf(child, 'stop');
    });
  } finally {
    child.kill('SIGKILL');
    await exit;
  }
}

function settings({ baseUrl, keysFile }: Load): Record<string, string> {
  return {
    PORT: '0',
    JUSPAY_BASE_URL: baseUrl,
    JUSPAY_API_KEY: 'key',
    JUSPAY_MERCHANT_ID: 'm',
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS_FILE: keysFile,
    RATE_LIMIT_PER_MINUTE: '1000000',
    LOG_LEVEL: 'info',
  };
}
