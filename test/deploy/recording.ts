import { setTimeout as wait } from 'node:timers/promises';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import type { FaultName } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { start } from '../program.ts';
import { createOperation, newCustomer, updateOperation } from '../support.ts';

/** A running gateway on a sandbox. */
export interface Subject {
  readonly sandbox: Sandbox;
  /** Where metrics are served, `host:port`; empty for a gateway in this process. */
  readonly address: string;
  readonly send: (body: string) => Promise<unknown>;
  /** The text of `/metrics`. */
  readonly scrape: () => Promise<string>;
  readonly close: () => Promise<unknown>;
}

/**
 * Metrics of the last seconds, which a recording with fast rounds cannot show in rule time: the delay of the event loop, which all
 * gateways of a process share, and the retry budget.
 */
const inRealTime = /^customer_gateway_(event_loop_delay_seconds|retry_budget_left)/;

/** The values of all series at one moment, by name and labels. */
export type Sample = ReadonlyMap<string, number>;

/** Samples while the provider works, while each of its calls has the fault, and after that. */
export interface Recording {
  readonly healthy: readonly Sample[];
  readonly faulty: readonly Sample[];
  readonly recovered: readonly Sample[];
}

/** Starts a gateway in this process. */
export async function openSubject(environment: Readonly<Record<string, string>>): Promise<Subject> {
  const sandbox = await startSandbox();
  const provider = { baseUrl: sandbox.url, merchantId: sandbox.merchantId, apiKey: new Secret(sandbox.apiKey) };
  const metrics = createMetrics('0.0.0');
  const gateway = openGateway({ ...loadConfig(environment), provider }, { log: createLog('silent'), metrics });
  return {
    sandbox,
    address: '',
    send: async (body) => {
      const headers = { 'content-type': 'application/json' };
      const request = new Request('http://gateway.test/graphql', { method: 'POST', headers, body });
      return (await gateway.fetch(request)).text();
    },
    scrape: () => metrics.read(),
    close: async () => {
      await gateway.dispose();
      await sandbox.close();
    },
  };
}

/** Starts the shipped program. */
export async function startSubject(environment: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const sandbox = await startSandbox();
  const program = start(['serve'], {
    JUSPAY_BASE_URL: sandbox.url,
    JUSPAY_MERCHANT_ID: sandbox.merchantId,
    JUSPAY_API_KEY: sandbox.apiKey,
    AUTH_MODE: 'none',
    PORT: '0',
    METRICS_PORT: '0',
    ...environment,
  });
  const [, url = '', metricsUrl = ''] = await program.waitFor(/"url":"([^"]+)","metricsUrl":"([^"]+)"/);
  const headers = { 'content-type': 'application/json' };
  return {
    sandbox,
    address: new URL(metricsUrl).host,
    send: async (body) => (await fetch(`${url}/graphql`, { method: 'POST', headers, body })).text(),
    scrape: async () => (await fetch(metricsUrl)).text(),
    close: async () => {
      program.child.kill('SIGKILL');
      await program.exit;
      await sandbox.close();
    },
  };
}

/** The operations between two samples: reads with and without the token, creates and updates. */
export function operationsOf(sandbox: Sandbox, round: number): string[] {
  const [customer] = sandbox.customers;
  const id = customer?.id ?? '';
  const read = (fields: string) => JSON.stringify({ query: `{ customer(id: "${id}") { ${fields} } }` });
  const create = (index: number) =>
    JSON.stringify({ query: createOperation, variables: { input: newCustomer(`alerts-${round}-${index}`) } });
  const update = JSON.stringify({
    query: updateOperation,
    variables: { id, input: { firstName: `Name${round}` } },
  });
  const plain = read('id firstName');
  const withToken = read('id clientAuthToken { token }');
  return [0, 1].flatMap((half) => [plain, withToken, plain, create(half), plain, update, plain, withToken]);
}

/** The numbers of samples in each phase. */
export interface Rounds {
  readonly healthy: number;
  readonly faulty: number;
  readonly recovered: number;
}

/**
 * Records the metrics while `fault` starts and ends: one sample after each round of operations. `undefined`: a healthy provider. Each
 * round waits for its answers, so that the recording does not depend on the speed of the machine.
 */
export async function record(subject: Subject, fault: FaultName | undefined, rounds: Rounds): Promise<Recording> {
  let round = 0;
  const phase = async (count: number): Promise<Sample[]> => {
    const samples: Sample[] = [];
    for (let n = 0; n < count; n += 1) {
      round += 1;
      await sendPaced(subject, operationsOf(subject.sandbox, round));
      samples.push(sampleOf(await subject.scrape()));
    }
    return samples;
  };
  // The first operations of a process are slow.
  await phase(1);
  const healthy = await phase(rounds.healthy);
  if (fault !== undefined) subject.sandbox.arm({ fault, times: Number.POSITIVE_INFINITY });
  const faulty = await phase(rounds.faulty);
  subject.sandbox.disarm();
  return { healthy, faulty, recovered: await phase(rounds.recovered) };
}

/** Starts an operation when the one before has ended, or 50 ms after it: a busy machine does not make short operations slow. */
async function sendPaced(subject: Subject, operations: readonly string[]): Promise<void> {
  const inProgress: Promise<unknown>[] = [];
  for (const operation of operations) {
    const sent = subject.send(operation);
    inProgress.push(sent);
    const pause = new AbortController();
    await Promise.race([sent, wait(50, undefined, { signal: pause.signal }).catch(() => undefined)]);
    pause.abort();
  }
  await Promise.all(inProgress);
}

function sampleOf(text: string): Sample {
  const lines = [...text.matchAll(/^(customer_gateway_\w+(?:\{.*\})?) (\S+)/gm)];
  const kept = lines.filter(([, name = '']) => !inRealTime.test(name));
  return new Map(kept.map(([, name = '', value]) => [name, Number(value)]));
}
