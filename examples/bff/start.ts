// Starts a sandbox, the customer gateway, two subgraphs and a router with GraphiQL over the committed supergraph.
// The router listens on `PORT` (default 4400). The other servers use free ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import * as http from '@graphql-mesh/transport-http';
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { createOrders, createTickets } from './subgraphs.ts';
import { tabs } from './tabs.ts';

const port = Number(process.env['PORT'] || 4400);

const orders = createOrders([
  { id: '1001', total: '2499.00 INR', customer: { id: 'cth_A1b2C3d4E5f6G7h8' } },
  { id: '1002', total: '349.00 INR', customer: { id: 'cth_B2c3D4e5F6g7H8i9' } },
  { id: '1003', total: '120.00 INR', customer: { id: 'cth_A1b2C3d4E5f6G7h8' } },
  { id: '1004', total: '75.00 INR', customer: { id: 'cth_gone000000000000' } },
  { id: '1005', total: '10.00 INR', customer: { id: 'fault_rejected' } },
]);
const tickets = createTickets([
  { id: '1', subject: 'Where is my parcel?', customer: { objectReferenceId: 'customer-10002' } },
  { id: '2', subject: 'Change my number', customer: { objectReferenceId: 'asha.rao@example.com' } },
  { id: '3', subject: 'Close my account', customer: { objectReferenceId: 'nobody-0001' } },
]);

let isStopping = false;
const stops: (() => Promise<unknown>)[] = [];
onStop(() => Promise.all(stops.map((stop) => stop())));

const customers = await startCustomers();
const locations = {
  customers: customers.url,
  orders: `${await listen(orders, 0)}/graphql`,
  tickets: `${await listen(tickets, 0)}/graphql`,
};

const router = createGatewayRuntime({
  supergraph: readFileSync(new URL('supergraph.graphql', import.meta.url), 'utf8'),
  transports: { http },
  transportEntries: Object.fromEntries(Object.entries(locations).map(([name, location]) => [name, { location }])),
  // Only the customer gateway checks credentials. The other subgraphs do not receive them.
  propagateHeaders: {
    fromClientToSubgraphs: ({ request, subgraphName }) =>
      subgraphName === 'customers'
        ? { authorization: request.headers.get('authorization'), 'x-api-key': request.headers.get('x-api-key') }
        : {},
  },
  graphiql: { title: 'Orders, tickets and customers', defaultTabs: tabs },
  // This page has no external resources, so it works offline.
  renderGraphiQL,
  landingPage: false,
  logging: 'error',
});
stops.push(() => Promise.resolve(router.dispose()));
const url = await listen(router, port);

process.stdout.write(`
  A router over orders, tickets and customers is running.

  GraphiQL   ${url}/graphql

  Subgraphs  customers ${locations.customers}
             orders    ${locations.orders}
             tickets   ${locations.tickets}
  Sandbox    ${customers.sandboxUrl}   (upstream calls: ${customers.sandboxUrl}/__admin/calls)

  Ctrl-C stops.
`);

/** Starts the shipped program on its embedded sandbox. */
async function startCustomers(): Promise<{ url: string; sandboxUrl: string }> {
  const command = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  // The child gets default settings, independent of this environment. It has its own process group, so that Ctrl-C
  // reaches this process only, which then stops the others in order.
  const child = spawn(process.execPath, [command, 'serve'], {
    env: { PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  process.on('exit', () => child.kill());
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  stops.push(() => {
    child.kill('SIGTERM');
    return exited;
  });
  const banner = await readBanner(child);
  const address = (name: string) => new RegExp(`^ *${name} +(http\\S+)`, 'm').exec(banner)?.[1];
  const [graphiql, sandboxUrl] = [address('GraphiQL'), address('Sandbox')];
  // A stop during the start is not an error.
  if (isStopping) await new Promise(() => undefined);
  if (graphiql === undefined || sandboxUrl === undefined) throw new Error('The customer gateway did not start.');
  return { url: graphiql, sandboxUrl };
}

/** Resolves when the banner is complete or the output ends. Later output, the log, goes to stderr. */
function readBanner({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    let isComplete = false;
    stdout?.on('end', () => resolve(text));
    stdout?.on('data', (chunk: Buffer) => {
      if (isComplete) return void process.stderr.write(chunk);
      text += chunk.toString();
      isComplete = text.includes('Customers\n');
      if (isComplete) resolve(text);
    });
  });
}

async function listen(listener: RequestListener, onPort: number): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`PORT=${onPort} cannot be listened on: choose another.`, { cause: error })),
    );
    server.listen(onPort, '127.0.0.1', resolve);
  });
  stops.push(() => {
    server.closeIdleConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The first signal stops all servers in order. A second signal exits at once. */
function onStop(stop: () => Promise<unknown>): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      void stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}
