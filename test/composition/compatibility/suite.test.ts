import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { useApolloInlineTrace } from '@graphql-yoga/plugin-apollo-inline-trace';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { createYoga } from 'graphql-yoga';
import { buildProducts } from './products.ts';

// Apollo's compatibility suite for subgraphs, without Docker and without its Go router. It runs the jest tests and the other two subgraphs of the
// suite on free loopback ports, behind a router in Node.

const require = createRequire(import.meta.url);
const suite = realpathSync(dirname(require.resolve('@apollo/federation-subgraph-compatibility-tests/package.json')));
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

async function listen(listener: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** Starts a subgraph of the suite. */
async function startSubgraph(name: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['--import', here('loopback.js'), `dist/subgraphs/${name}/index.js`], {
    cwd: suite,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const chunk of child.stdout) {
    const [url] = /http:\/\/[^\s]+/.exec(String(chunk)) ?? [];
    if (url !== undefined) return { child, url };
  }
  throw new Error(`the subgraph ${name} did not start`);
}

test("all 23 tests of Apollo's federation compatibility suite MUST pass", async () => {
  const cacheDirectory = mkdtempSync(join(tmpdir(), 'compatibility-'));
  const children: ChildProcess[] = [];
  const servers: Server[] = [];
  const start = async (name: string) => {
    const { child, url } = await startSubgraph(name);
    children.push(child);
    return { name, url, typeDefs: parse(readFileSync(join(suite, `dist/subgraphs/${name}/${name}.graphql`), 'utf8')) };
  };
  const schema = buildProducts();
  const yoga = createYoga({ schema, graphqlEndpoint: '/', logging: false, plugins: [useApolloInlineTrace()] });
  const products = await listen(yoga);
  servers.push(products.server);
  let dispose: () => Promise<unknown> | unknown = () => undefined;
  try {
    const answer = await yoga.fetch(`${products.url}?query={_service{sdl}}`);
    const { data } = (await answer.json()) as { data: { _service: { sdl: string } } };
    const { supergraphSdl, errors } = composeServices([
      { name: 'products', url: products.url, typeDefs: parse(data._service.sdl) },
      await start('users'),
      await start('inventory'),
    ]);
    assert.equal(errors, undefined);
    const runtime = createGatewayRuntime({ supergraph: supergraphSdl ?? '', graphqlEndpoint: '/', logging: false });
    dispose = () => runtime[Symbol.asyncDispose]();
    const router = await listen(runtime);
    servers.push(router.server);

    const config = {
      rootDir: join(suite, 'dist/tests'),
      testEnvironment: 'node',
      // The suite is in node_modules, which jest ignores by default.
      haste: { retainAllFiles: true },
      testPathIgnorePatterns: [],
      transform: {},
      moduleNameMapper: { '^make-fetch-happen$': here('fetch.cjs') },
      watchman: false,
      cacheDirectory,
    };
    const jest = require.resolve('jest/bin/jest');
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [jest, '--config', JSON.stringify(config), '--json', '--maxWorkers', '2'],
      { env: { ...process.env, PRODUCTS_URL: products.url, ROUTER_URL: router.url }, maxBuffer: 16 * 1024 * 1024 },
    ).catch((failed: { stdout: string; stderr: string }) => failed);
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(stdout || '{}') as Record<string, number>;
    assert.deepEqual(
      { numPassedTests, numFailedTests, numPendingTests },
      { numPassedTests: 23, numFailedTests: 0, numPendingTests: 0 },
      stderr,
    );
  } finally {
    await dispose();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    for (const child of children) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    rmSync(cacheDirectory, { recursive: true });
  }
});
