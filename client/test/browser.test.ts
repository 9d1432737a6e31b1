import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import type { Request } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { signToken } from '../../src/auth/jwt.ts';
import { loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { openGateway } from '../../src/gateway.ts';
import { startServer } from '../../src/http/server.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { type Browser, foreignRequests, openBrowser } from '../../test/chromium.ts';

const flavours = ['react-query', 'urql', 'apollo'] as const;
type Flavour = (typeof flavours)[number];

const built = mkdtempSync(join(tmpdir(), 'hooks-'));
let browser: Browser;
let pages: PreviewServer;
let origin: string;
const gateways: string[] = [];
const pageErrors: string[] = [];

before(async () => {
  const root = fileURLToPath(new URL('pages', import.meta.url));
  const common = { configFile: false, root, logLevel: 'error' } as const;
  const target = { outDir: built, emptyOutDir: true, target: 'es2024' };
  [browser] = await Promise.all([openBrowser(), build({ ...common, plugins: [react()], build: target })]);
  pages = await preview({ ...common, build: target, preview: { host: '127.0.0.1', port: 0 } });
  origin = new URL(pages.resolvedUrls?.local[0] ?? '').origin;
});

after(async () => {
  await browser.close();
  await pages.close();
  rmSync(built, { recursive: true, force: true });
});

interface TestPage {
  /** The request bodies of the page. */
  readonly sent: readonly Record<string, unknown>[];
  /** Clicks the button of an action. */
  press(action: string): Promise<void>;
  /** Runs a mutation and returns its outcome. */
  outcome(action: string): Promise<Record<string, unknown>>;
  /** Waits until the lines have these texts. */
  waitFor(lines: Readonly<Record<string, string | RegExp>>): Promise<void>;
  /** The current text of a line. */
  read(line: string): Promise<string>;
  /** Upstream calls since the last call of this method. */
  upstreamCalls(): string[];
  close(): Promise<void>;
}

/** Opens a page with the hooks of one flavour and an invalid token. The gateway is on another origin. */
async function openTestPage(setup: { flavour: Flavour; persisted: 'on' | 'off' }): Promise<TestPage> {
  const sandbox = await startSandbox();
  const { url: baseUrl, merchantId, apiKey } = sandbox;
  const jwt = { secret: randomBytes(32).toString('base64url'), issuer: 'tests', audience: 'customers' };
  const config = loadConfig({
    AUTH_MODE: 'jwt',
    AUTH_JWT_SECRET: jwt.secret,
    AUTH_JWT_ISSUER: jwt.issuer,
    AUTH_JWT_AUDIENCE: jwt.audience,
    PERSISTED_ONLY: setup.persisted,
    CORS_ORIGINS: origin,
    PORT: '0',
  });
  const provider = { baseUrl, merchantId, apiKey: new Secret(apiKey) };
  const gateway = openGateway({ ...config, provider }, { log: createLog('silent') });
  const server = await startServer(gateway, config);
  gateways.push(server.url);
  const token = await signToken({
    ...jwt,
    secret: new Secret(jwt.secret),
    subject: 'somebody',
    lifeMinutes: 60,
    claims: { scope: 'customer:read customer:write customer:token customer:any' },
  });

  const page = await (await browser.newContext()).newPage();
  const sent: Record<string, unknown>[] = [];
  page.on('pageerror', ({ message }) => pageErrors.push(message));
  page.on('console', (line) => {
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) pageErrors.push(line.text());
  });
  page.on('request', (request: Request) => {
    if (request.method() === 'POST') sent.push(request.postDataJSON() as Record<string, unknown>);
  });
  const settings = new URLSearchParams({ ...setup, gateway: `${server.url}/graphql`, token });
  await page.goto(`${origin}/#${settings}`);
  const read = async (line: string) => (await page.getByTestId(line).textContent()) ?? '';
  const press = (action: string) => page.getByRole('button', { name: action, exact: true }).click();
  return {
    sent,
    press,
    read,
    async waitFor(lines) {
      for (const [line, text] of Object.entries(lines)) {
        await page.getByTestId(line).getByText(text, { exact: true }).waitFor();
      }
    },
    async outcome(action) {
      await press(action);
      await page.getByTestId('outcome').getByText('"status"').waitFor();
      return JSON.parse(await read('outcome')) as Record<string, unknown>;
    },
    upstreamCalls() {
      const calls = sandbox.calls.map(({ method, target, form }) => {
        const isToken = target.includes('get_client_auth_token') || form?.['options.get_client_auth_token'] === 'true';
        return `${method} ${target}${isToken ? ' with token' : ''}`;
      });
      sandbox.clearCalls();
      return calls;
    },
    async close() {
      await page.context().close();
      await server.stop(0);
      await gateway.dispose();
      await sandbox.close();
    },
  };
}

for (const flavour of flavours) {
  for (const persisted of ['off', 'on'] as const) {
    // The tests share one page and run in this order.
    describe(`the hooks of ${flavour}, PERSISTED_ONLY=${persisted}`, () => {
      let testPage: TestPage;
      before(async () => {
        testPage = await openTestPage({ flavour, persisted });
      });
      after(() => testPage.close());
      /** Upstream calls, without the reads that urql repeats after each write because its cache is not normalised. */
      const upstreamCalls = () =>
        testPage.upstreamCalls().filter((call) => flavour !== 'urql' || call.startsWith('POST'));

      test('all reads MUST succeed after one renewal of the session', async () => {
        await testPage.waitFor({ 'by id': 'none', 'by reference': 'none', list: 'Asha, none, none', renewals: '1' });
        const references = ['cth_Sb00000000000001', 'new-person-1', 'asha.rao%40example.com'];
        assert.deepEqual(new Set(testPage.upstreamCalls()), new Set(references.map((id) => `GET /customers/${id}`)));
        await testPage.press('read a failing customer');
        await testPage.waitFor({ third: 'UPSTREAM_MISCONFIGURED' });
        assert.deepEqual(testPage.upstreamCalls(), ['GET /customers/fault_unauthorized'], 'the error is not retryable');
      });

      test('a create and an update MUST be visible in all queries of the customer', async () => {
        const created = await testPage.outcome('create');
        assert.deepEqual([created['status'], created['origin']], ['success', 'CREATED']);
        await testPage.waitFor({ 'by id': 'Noor', 'by reference': 'Noor', list: 'Asha, Noor, Noor' });
        assert.deepEqual(upstreamCalls(), ['POST /customers']);
        assert.equal((await testPage.outcome('update'))['status'], 'success');
        const name = 'Noor Inayat';
        await testPage.waitFor({ 'by id': name, 'by reference': name, list: `Asha, ${name}, ${name}` });
        assert.deepEqual(upstreamCalls(), ['POST /customers/new-person-1']);
      });

      test('other outcomes MUST be distinguished by their status', async () => {
        const exists = await testPage.outcome('create with other values');
        assert.deepEqual([exists['status'], exists['differingFields']], ['exists', ['mobileNumber', 'firstName']]);
        upstreamCalls();
        const invalid = await testPage.outcome('create with invalid values');
        const [issue] = invalid['issues'] as { path: string[]; code: string }[];
        assert.deepEqual(
          [invalid['status'], issue?.path, issue?.code],
          ['invalid', ['input', 'mobileNumber'], 'INVALID_FORMAT'],
        );
        assert.deepEqual(
          upstreamCalls().filter((call) => call.startsWith('POST')),
          [],
          'the gateway sends nothing to the provider',
        );
        assert.equal((await testPage.outcome('update a missing customer'))['status'], 'notFound');
      });

      test('the token of a create MUST be ready without another call, and in no cache', async () => {
        testPage.upstreamCalls();
        assert.equal((await testPage.outcome('create with token'))['status'], 'success');
        await testPage.waitFor({ token: 'ready' });
        assert.deepEqual(
          testPage.upstreamCalls().filter((call) => call.endsWith('with token')),
          ['POST /customers with token'],
        );
        await testPage.press('show the cache');
        await testPage.waitFor({ cached: /new-person-2/ });
        for (const line of ['cached', 'outcome']) assert.doesNotMatch(await testPage.read(line), /tkn_/);
      });

      test('the page MUST send ids with PERSISTED_ONLY=on, and texts otherwise', () => {
        assert.ok(testPage.sent.length >= 10);
        for (const body of testPage.sent) assert.equal('query' in body, persisted === 'off', JSON.stringify(body));
      });
    });
  }
}

test('the examples of the client README MUST render the first customer of a new sandbox', async () => {
  const readme = readFileSync('client/README.md', 'utf8');
  const examples = readme.slice(readme.indexOf('## Start'), readme.indexOf('## Outcomes'));
  const blocks = [...examples.matchAll(/```tsx\n\/\/ (.*)\n([\s\S]*?)```/g)];
  assert.deepEqual(
    blocks.map(([, name]) => name),
    ['fetch', 'React Query', 'urql', 'Apollo Client 4'],
  );
  // Inside the repository, so that imports of the package by name resolve.
  const root = fileURLToPath(new URL('../../.cache/readme/', import.meta.url));
  mkdirSync(root, { recursive: true });
  const sandbox = await startSandbox();
  const provider = { baseUrl: sandbox.url, merchantId: sandbox.merchantId, apiKey: new Secret(sandbox.apiKey) };
  const config = loadConfig({ PORT: '0' });
  const gateway = openGateway({ ...config, provider }, { log: createLog('silent') });
  const server = await startServer(gateway, config);
  const proxy = { '/graphql': server.url };
  for (const [index, [, , code = '']] of blocks.entries()) {
    writeFileSync(join(root, `block-${index}.tsx`), code);
    writeFileSync(
      join(root, `main-${index}.tsx`),
      `import { createElement, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import * as block from './block-${index}.tsx';
const { App } = block as { App?: () => React.ReactNode };
if (App) createRoot(document.body.appendChild(document.createElement('div'))).render(createElement(StrictMode, null, createElement(App)));`,
    );
    writeFileSync(
      join(root, `${index}.html`),
      `<!doctype html><html><head><link rel="icon" href="data:,"></head><body><script type="module" src="./main-${index}.tsx"></script></body></html>`,
    );
  }
  const input = Object.fromEntries(blocks.map((_, index) => [String(index), join(root, `${index}.html`)]));
  const common = { configFile: false, root, logLevel: 'error' } as const;
  const target = { outDir: join(root, 'built'), emptyOutDir: true, target: 'es2024', rollupOptions: { input } };
  await build({ ...common, plugins: [react()], build: target });
  const shown = await preview({ ...common, build: target, preview: { host: '127.0.0.1', port: 0, proxy } });
  const address = new URL(shown.resolvedUrls?.local[0] ?? '').origin;
  gateways.push(address);
  const context = await browser.newContext();
  try {
    for (const index of blocks.keys()) {
      const page = await context.newPage();
      page.on('pageerror', ({ message }) => pageErrors.push(message));
      page.on('console', (line) => line.type() === 'error' && pageErrors.push(line.text()));
      await page.goto(`${address}/${index}.html`);
      await page.getByText('Asha', { exact: true }).waitFor();
      await page.close();
    }
  } finally {
    await context.close();
    await shown.close();
    await server.stop(0);
    await gateway.dispose();
    await sandbox.close();
    rmSync(root, { recursive: true, force: true });
  }
});

test('no page MUST report an error or send a request to another host', () => {
  assert.deepEqual(pageErrors, []);
  assert.ok(browser.requested.length > 60);
  assert.deepEqual(foreignRequests(browser.requested, origin, ...gateways), []);
});
