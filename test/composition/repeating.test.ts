import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { type Harness, newCustomer, withHarness } from '../support.ts';
import { type Ask, openApollo, openHive, openHiveInRust, type RoutedAnswer, type Send } from './graph.ts';

// Set `CREATES` and `SEEDS` (`1,2,3`) for larger runs, which print their books.
const creates = Number(process.env['CREATES'] ?? 40);
const seeds = (process.env['SEEDS'] ?? '2').split(',').map(Number);
/** Share of the answers that the network loses. */
const share = 0.2;
const attempts = 4;

/** Numbers from 0 to 1 that depend on the seed only: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Network {
  readonly url: string;
  /** Answers that a reset replaced. The gateway had sent each of them, so its write was committed. */
  lost(): number;
  /** Requests that reached the gateway. */
  received(): number;
  close(): Promise<void>;
}

/** Serves the gateway on a TCP port, behind a proxy that resets the connection instead of passing on some of the answers. */
async function openNetwork(harness: Harness, random: () => number): Promise<Network> {
  let received = 0;
  let lost = 0;
  const server = createHttpServer((request, response) => {
    received += 1;
    harness.gateway.listener(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const gateway = connect(port, '127.0.0.1');
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        gateway.destroy();
      });
    }
    client.pipe(gateway);
    gateway.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1', 0, 5) === 'HTTP/' && random() < share) {
        lost += 1;
        client.resetAndDestroy();
      } else client.write(chunk);
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/graphql`,
    lost: () => lost,
    received: () => received,
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Routers that send a request again after a lost answer, mutations included. */
const routers: Readonly<Record<string, (send: Send) => Promise<{ ask: Ask; close(): Promise<void> }>>> = {
  'Hive Gateway with upstreamRetry': (send) => openHive(send, { upstreamRetry }),
  'Hive Gateway with router-runtime and upstreamRetry': (send) => openHiveInRust(send, { upstreamRetry }),
  '@apollo/gateway with a data source that retries': (send) => openApollo(retrying(send)),
};
const upstreamRetry = { maxRetries: attempts - 1, retryDelay: 1 };

function retrying(send: Send): Send {
  return async (url, init) => {
    for (let left = attempts - 1; ; left -= 1) {
      try {
        return await send(url, init);
      } catch (error) {
        if (left === 0) throw error;
      }
    }
  };
}

const create = (reference: string) => {
  const { mobileNumber, emailAddress } = newCustomer(reference);
  return `mutation {
    createCustomer(input: { objectReferenceId: "${reference}", mobileNumber: "${mobileNumber}", emailAddress: "${emailAddress}" }) {
      __typename
      ... on CustomerAlreadyExistsError { differingFields }
    }
  }`;
};

/** What the client was told. A customer that exists with the same data is the success of an earlier attempt. */
function kindOf(data: RoutedAnswer['data']): 'created' | 'exists' | 'failed' {
  const result = data?.['createCustomer'] as { __typename: string; differingFields?: unknown } | null | undefined;
  if (result?.__typename === 'CreateCustomerSuccess') return 'created';
  if (result?.__typename !== 'CustomerAlreadyExistsError') return 'failed';
  assert.deepEqual(result.differingFields, []);
  return 'exists';
}

for (const [router, open] of Object.entries(routers)) {
  for (const seed of seeds) {
    test(`${router}: ${creates} creates of which the network loses answers MUST commit each create once, seed ${seed}`, () =>
      withHarness(async (harness) => {
        const network = await openNetwork(harness, randomOf(seed));
        const { ask, close } = await open((_url, { method = 'POST', headers = {}, body = null }) =>
          fetch(network.url, { method, headers: { ...Object(headers) }, body }),
        );
        const told = { created: 0, exists: 0, failed: 0 };
        try {
          for (let n = 0; n < creates; n += 1) {
            const operation = create(`reference-${n}`);
            const { data, errors = [] } = await ask(operation);
            const kind = kindOf(data);
            told[kind] += 1;
            if (kind !== 'failed') continue;
            // The router lost all answers. The write was committed, and a repeat by the client shows it.
            assert.equal(errors.length, 1);
            assert.equal(kindOf((await harness.ask(operation)).data), 'exists');
          }
          const committed = harness.sandbox.calls.filter((call) => call.committed).map(({ pathId }) => pathId);
          if (process.env['CREATES']) console.log(router, seed, told, { lost: network.lost() });
          assert.deepEqual(
            committed,
            Array.from({ length: creates }, (_, n) => `reference-${n}`),
          );
          // The router sent each request again whose answer was lost, except after its last attempt.
          assert.ok(told.exists > 0, JSON.stringify(told));
          assert.equal(network.received(), creates + network.lost() - told.failed);
        } finally {
          await close();
          await network.close();
        }
      }));
  }
}
