import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { type FaultName, faultNames } from '../../src/sandbox/faults.ts';
import { rowsOf } from '../support.ts';
import { type Reaction, react } from './proof.ts';
import { openSubject, type Recording, record } from './recording.ts';

// One fault for each kind of alert. `npm run alerts` runs all faults.
const expected: Readonly<Record<string, readonly string[]>> = {
  healthy: [],
  extra_fields: [],
  bad_dates: [],
  503: ['AvailabilityBurn', 'BreakerOpen', 'ProviderFailing', 'UnknownOutcomes'],
  reset: ['AvailabilityBurn', 'ProviderFailing', 'UnknownOutcomes'],
  html: ['AvailabilityBurn', 'ProviderMalformed', 'UnknownOutcomes'],
  unauthorized: ['AvailabilityBurn', 'ProviderMisconfigured'],
  bad_origin: ['AvailabilityBurn', 'ProviderMisconfigured'],
  429: ['AvailabilityBurn', 'HeldBack'],
  rejected: ['ProviderRejecting'],
  no_token: ['AvailabilityBurn', 'TokensUnavailable'],
  slow: ['LatencyBurn'],
};

// Operations with these faults end at their deadline.
const untilDeadline = ['429', '503', 'reset', 'html'];
const phases = { step: 30, healthy: 600, faulty: 480, recovered: 0 };
let reactions: ReadonlyMap<string, readonly Reaction[]>;

before(async () => {
  const recordings = new Map<string, Recording>();
  const recordAll = async (names: readonly string[]) => {
    for (const name of names) recordings.set(name, await recordOnce(name));
  };
  const isLong = (name: string) => untilDeadline.includes(name);
  const names = Object.keys(expected);
  await Promise.all([
    recordAll(names.filter((name) => !isLong(name))),
    ...names.filter(isLong).map((name) => recordAll([name])),
  ]);
  reactions = await react(recordings, phases);
});

for (const [name, alerts] of Object.entries(expected)) {
  const what = alerts.length === 0 ? 'no alert' : alerts.join(', ');
  test(`the fault ${name} MUST fire ${what} within 8 minutes`, () => {
    const fired = new Set((reactions.get(name) ?? []).map(({ alert }) => alert.replace('CustomerGateway', '')));
    // A busy test machine makes operations slow, so only the fault that is slow by itself is judged by its latency.
    if (!alerts.includes('LatencyBurn')) fired.delete('LatencyBurn');
    assert.deepEqual([...fired].toSorted(), alerts);
  });
}

test('the table of docs/runbooks.md MUST have one row for each fault, with the alerts that fire here', () => {
  const rows = new Map(
    rowsOf(readFileSync('docs/runbooks.md', 'utf8'), 'alerts').map((row) => {
      const [, name = '', ...cells] = row.split('|').map((cell) => cell.trim());
      return [name.replaceAll('`', ''), cells.join(' ')];
    }),
  );
  assert.deepEqual([...rows.keys()], ['none', ...faultNames.map((name) => `fault_${name}`)]);
  for (const [name, alerts] of Object.entries(expected)) {
    const row = rows.get(name === 'healthy' ? 'none' : `fault_${name}`) ?? '';
    const named = new Set([...row.matchAll(/[A-Z]\w+/g)].map(([alert]) => alert));
    // A round that ends at the deadline is slow too.
    if (!alerts.includes('LatencyBurn')) named.delete('LatencyBurn');
    assert.deepEqual([...named].toSorted(), alerts, name);
  }
});

async function recordOnce(name: string): Promise<Recording> {
  const subject = await openSubject(untilDeadline.includes(name) ? { OPERATION_TIMEOUT_MS: '4000' } : {});
  try {
    return await record(subject, name === 'healthy' ? undefined : (name as FaultName), {
      healthy: 3,
      faulty: 2,
      recovered: 0,
    });
  } finally {
    await subject.close();
  }
}
