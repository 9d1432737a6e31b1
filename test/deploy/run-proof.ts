// The command `npm run alerts`. Runs each fault of the sandbox against a gateway and writes the table of docs/runbooks.md: the
// alerts that fire, with the time from the start of the fault in rule time. With `--healthy 30` it runs two healthy instances for 30 minutes under a real Prometheus instead,
// with the shipped rules and intervals, and fails if an alert fires.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type FaultName, faultNames } from '../../src/sandbox/faults.ts';
import { withTable } from '../../tools/tables.ts';
import { startPrometheus } from './prometheus.ts';
import { type Reaction, react } from './proof.ts';
import { openSubject, operationsOf, type Recording, record, type Subject, startSubject } from './recording.ts';

/** In rule time. One round of operations is one interval. */
const phases = { step: 30, healthy: 1800, faulty: 600, recovered: 0 };
/** Ends the lookups of writes and the retries of reads. */
const environment = { OPERATION_TIMEOUT_MS: '4000' };

const page = 'docs/runbooks.md';

const { values } = parseArgs({
  options: { healthy: { type: 'string' }, faults: { type: 'string' }, parallel: { type: 'string' } },
});
if (values.healthy === undefined) await prove();
else process.exitCode = await stayHealthy(Number(values.healthy));

async function prove(): Promise<void> {
  const names = values.faults?.split(',') ?? ['healthy', ...faultNames];
  const parallel = Number(values.parallel ?? 6);
  const recordings = new Map<string, Recording>();
  const queue = [...names];
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      recordings.set(name, await recordFault(name));
      console.log(`${recordings.size} of ${names.length}: ${name} recorded`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  const reactions = await react(recordings, phases);
  const rows = names.map((name) => rowOf(name, reactions.get(name) ?? []));
  console.log(rows.join('\n'));
  if (values.faults === undefined) writeFileSync(page, withTable(readFileSync(page, 'utf8'), 'alerts', rows));
}

async function recordFault(name: string): Promise<Recording> {
  const subject = await openSubject(environment);
  try {
    const fault = name === 'healthy' ? undefined : (name as FaultName);
    return await record(subject, fault, { healthy: 2, faulty: 2, recovered: 0 });
  } finally {
    await subject.close();
  }
}

function rowOf(name: string, reactions: readonly Reaction[]): string {
  const pages = reactions.filter(({ severity }) => severity === 'page');
  const paged = new Set(pages.map(({ alert }) => alert));
  // A ticket for something that somebody was called for already says nothing new.
  const tickets = reactions.filter(({ severity, alert }) => severity === 'ticket' && !paged.has(alert));
  const listed = (found: readonly Reaction[]) =>
    found
      .map(({ alert, afterSeconds }) => `${alert.replace('CustomerGateway', '')} ${minutes(afterSeconds)}`)
      .join(', ') || '–';
  return `| ${name === 'healthy' ? 'none' : `\`fault_${name}\``} | ${listed(pages)} | ${listed(tickets)} |`;
}

function minutes(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Sends the operations within one second, at a constant rate, and does not wait for their answers. */
async function sendEvenly(subject: Subject, operations: readonly string[]): Promise<void> {
  for (const operation of operations) {
    // The last requests fail when the program is stopped.
    subject.send(operation).catch(() => undefined);
    await wait(1_000 / operations.length);
  }
}

async function stayHealthy(wantedMinutes: number): Promise<number> {
  const subjects = await Promise.all([startSubject(), startSubject()]);
  const prometheus = await startPrometheus(subjects.map(({ address }) => address));
  try {
    const endMs = performance.now() + wantedMinutes * 60_000;
    for (let round = 0; performance.now() < endMs; round += 1) {
      await Promise.all(subjects.map((subject) => sendEvenly(subject, operationsOf(subject.sandbox, round))));
    }
    const query = async (text: string) => JSON.stringify(await prometheus.query(text));
    const range = `${Math.ceil(wantedMinutes)}m`;
    console.log(`operations: ${await query(`sum(increase(customer_gateway_operations_total[${range}]))`)}`);
    console.log(`instances up: ${await query(`min(min_over_time(up[${range}]))`)}`);
    const alerts = await prometheus.query(`count by (alertname, alertstate) (count_over_time(ALERTS[${range}]))`);
    console.log(`alerts: ${JSON.stringify(alerts)}`);
    return JSON.stringify(alerts).includes('firing') ? 1 : 0;
  } finally {
    await prometheus.close();
    await Promise.all(subjects.map(({ close }) => close()));
  }
}
