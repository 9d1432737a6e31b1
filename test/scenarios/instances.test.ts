import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { startSandbox } from '../../src/sandbox/server.ts';
import { type Run, start } from '../program.ts';
import { freePort, type LoadBalancer, startLoadBalancer } from '../proxies.ts';
import { startRedis } from '../redis.ts';
import { createOperation, newCustomer, updateOperation } from '../support.ts';

const nginxWorkers = 2;
/** A configuration with which nginx adds a header to each response: the process id of its worker, and the instances that it tried. */
const signed = (config: string): string =>
  config
    .replace('worker_processes auto;', `worker_processes ${nginxWorkers};`)
    .replace('access_log off;', 'access_log off; add_header used-by "$pid $upstream_addr" always;');

/** Operations of each client between two stops. More with `ROUNDS`, for a longer run. */
const pause = 12 * Number(process.env['ROUNDS'] ?? 1);
const clientsOfProxy = 3;
const perMinute = 200;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly usedBy?: string | undefined;
}

/** Sends one operation on a new connection, from an address of loopback, so that the rate limit counts it separately. */
function send(port: number, from: string, query: string, variables: object = {}): Promise<Reply> {
  const body = JSON.stringify({ query, variables });
  return new Promise((resolve, reject) => {
    const message = request(
      {
        port,
        host: '127.0.0.1',
        localAddress: from,
        method: 'POST',
        path: '/graphql',
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (data: string) => {
          text += data;
        });
        response.once('error', reject);
        response.once('end', () => {
          const usedBy = response.headers['used-by']?.toString();
          resolve({ status: response.statusCode ?? 0, body: text, usedBy });
        });
      },
    );
    message.once('error', reject);
    message.end(body);
  });
}

test('two instances behind HAProxy and nginx MUST NOT lose an acknowledged write, and a drain MUST NOT fail an operation', async (context) => {
  const sandbox = await startSandbox();
  const redis = await startRedis();
  const ports = [await freePort(), await freePort()] as const;
  const runs: Run[] = [];
  const serve = async (index: 0 | 1): Promise<Run> => {
    const run = start(['serve'], {
      PORT: String(ports[index]),
      AUTH_MODE: 'none',
      JUSPAY_BASE_URL: sandbox.url,
      JUSPAY_API_KEY: sandbox.apiKey,
      JUSPAY_MERCHANT_ID: sandbox.merchantId,
      RATE_LIMIT_PER_MINUTE: String(perMinute),
      REDIS_URL: redis.url,
      TRUST_PROXY: '1',
      SHUTDOWN_DELAY_MS: '3000',
    });
    runs.push(run);
    await run.waitFor(/"message":"listening"/);
    return run;
  };
  const balancers: LoadBalancer[] = [];
  let isLoaded = true;
  context.after(async () => {
    isLoaded = false;
    for (const run of runs) run.child.kill('SIGKILL');
    await Promise.all([...balancers.map((balancer) => balancer.close()), redis.close(), sandbox.close()]);
  });

  let instances = await Promise.all([serve(0), serve(1)]);
  const haproxy = await startLoadBalancer('haproxy', ports);
  balancers.push(haproxy);
  balancers.push(await startLoadBalancer('nginx', ports, signed));
  /** The acknowledged writes: the last acknowledged name by reference. */
  const acknowledged = new Map<string, string>();
  /** Names of updates without an answer. They may have happened. */
  const unknown = new Map<string, string>();
  const failures: string[] = [];
  /** Each worker of nginx with the addresses that it asked. */
  const uses = new Set<string>();
  let operations = 0;

  const client = async (proxy: LoadBalancer, number: number): Promise<void> => {
    for (let n = 0; isLoaded; n += 1) {
      const from = `127.0.${1 + number}.${1 + (n % 250)}`;
      const reference = `${proxy.name}-${number}-${n}`;
      const attempt = async (expected: RegExp, query: string, variables: object): Promise<Reply | undefined> => {
        operations += 1;
        const failed = (error: NodeJS.ErrnoException): Reply => ({ status: 0, body: String(error.code) });
        const reply = await send(proxy.port, from, query, variables).catch(failed);
        if (reply.usedBy) uses.add(reply.usedBy);
        if (reply.status === 200 && expected.test(reply.body)) return reply;
        failures.push(`${proxy.name} ${reply.status} ${reply.body.slice(0, 200)}`);
        return undefined;
      };
      const created = await attempt(/CreateCustomerSuccess/, createOperation, {
        input: newCustomer(reference, { firstName: 'Created' }),
      });
      if (created === undefined) continue;
      acknowledged.set(reference, 'Created');
      const input = { firstName: `Updated ${n}` };
      const updated = await attempt(/UpdateCustomerSuccess/, updateOperation, { id: reference, input });
      if (updated) acknowledged.set(reference, input.firstName);
      else unknown.set(reference, input.firstName);
      // Reads pass through either instance, and see the write.
      const read = await attempt(/firstName/, 'query ($id: ID!) { customer(id: $id) { firstName } }', {
        id: reference,
      });
      if (read && updated) assert.match(read.body, new RegExp(`"${input.firstName}"`));
    }
  };
  const clients = balancers.flatMap((proxy, index) =>
    Array.from({ length: clientsOfProxy }, (_, number) => client(proxy, index * clientsOfProxy + number)),
  );
  const load = Promise.all(clients);
  const progress = async (count: number): Promise<void> => {
    for (const until = operations + count; operations < until; ) await turn();
  };
  const isUp = async (index: 0 | 1): Promise<void> => {
    const [up, down] = ['UP', 'DOWN'].map((state) => `Server gateways/gateway-${index + 1} is ${state}`);
    while (!haproxy.output().split(String(down)).at(-1)?.includes(String(up))) await turn();
  };
  /**
   * Every worker of nginx has used the instance. A worker that has seen the port closed leaves the instance out for a second,
   * and answers 502 if the other instance stops meanwhile.
   */
  const isUsed = async (index: 0 | 1): Promise<void> => {
    uses.clear();
    const workers = () =>
      new Set([...uses].filter((use) => use.endsWith(`:${ports[index]}`)).map((use) => use.split(' ')[0]));
    while (workers().size < nginxWorkers) await turn();
  };

  // Roll both, one after the other. The first one is drained and stays away for a while.
  await progress(pause * clients.length);
  for (const index of [0, 1] as const) {
    const run = instances[index] as Run;
    run.child.kill('SIGTERM');
    assert.equal(await run.exit, 0, run.output());
    await progress(pause * clients.length);
    const next = await serve(index);
    instances = index === 0 ? [next, instances[1] as Run] : [instances[0] as Run, next];
    await Promise.all([isUsed(index), isUp(index)]);
    await progress(pause * clients.length);
  }
  assert.deepEqual(failures, [], 'a drain or a roll MUST NOT fail an operation');

  // One caller, both instances: the limit is that of all instances.
  const started = performance.now();
  const replies = await Promise.all(
    balancers.map(async ({ port }) => {
      let accepted = 0;
      for (let n = 0; n < perMinute; n += 1)
        if ((await send(port, '127.0.0.99', '{ __typename }')).status === 200) accepted += 1;
      return accepted;
    }),
  );
  const accepted = replies.reduce((sum, count) => sum + count, 0);
  // The bucket is refilled meanwhile.
  const refilled = (perMinute * (performance.now() - started)) / 60_000;
  assert.ok(
    accepted >= perMinute * 0.95 && accepted <= (perMinute + refilled) * 1.05,
    `${accepted} of ${perMinute} accepted, ${refilled} refilled: ${replies}`,
  );

  // Kill one. Its operations in progress fail and are unacknowledged; later ones succeed.
  (instances[0] as Run).child.kill('SIGKILL');
  await progress(pause * clients.length);
  const lost = failures.length;
  await progress(pause * clients.length);
  isLoaded = false;
  await load;
  const report = () => [...failures, ...balancers.map(({ output }) => output().slice(-4_000))].join('\n');
  assert.ok(lost <= clients.length, report());
  assert.equal(failures.length, lost, report());

  const stored = new Map<string, string[]>();
  for (const { objectReferenceId, firstName } of sandbox.customers) {
    stored.set(objectReferenceId, [...(stored.get(objectReferenceId) ?? []), String(firstName)]);
  }
  assert.ok(acknowledged.size > clients.length);
  for (const [reference, firstName] of acknowledged) {
    const names = stored.get(reference) ?? [];
    assert.equal(names.length, 1, `${reference} is stored ${names.length} times`);
    assert.ok([firstName, unknown.get(reference)].includes(names[0]), `${reference}: ${names[0]}, not ${firstName}`);
  }
  context.diagnostic(
    `${operations} operations, ${acknowledged.size} customers, ${failures.length} failed by the kill, ${accepted} of ${perMinute} accepted`,
  );
});
