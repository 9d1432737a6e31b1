import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page, Request } from 'playwright-core';
import { createRoles } from '../src/cli/tokens.ts';
import { loadConfig } from '../src/config/config.ts';
import { Secret } from '../src/config/secret.ts';
import { openGateway } from '../src/gateway.ts';
import { type Server, startServer } from '../src/http/server.ts';
import { type Sandbox, startSandbox } from '../src/sandbox/server.ts';
import { createLog } from '../src/telemetry/log.ts';
import { type Browser, foreignRequests, openBrowser, saveScreenshot } from './chromium.ts';

let sandbox: Sandbox;
let server: Server;
let browser: Browser;
let page: Page;
let stop: () => Promise<void>;

before(async () => {
  sandbox = await startSandbox();
  const { url: baseUrl, merchantId, apiKey, customers } = sandbox;
  const [first] = customers;
  assert.ok(first);
  const { auth, tokens } = await createRoles(first.id);
  const gateway = openGateway(
    { ...loadConfig({}), provider: { baseUrl, merchantId, apiKey: new Secret(apiKey) }, auth },
    { log: createLog('silent'), examples: { id: first.id, reference: first.objectReferenceId, tokens } },
  );
  server = await startServer(gateway, { host: '127.0.0.1', port: 0 });
  browser = await openBrowser();
  page = await (await browser.newContext()).newPage();
  await page.goto(`${server.url}/graphql`);
  await page.locator('.graphiql-execute-button').waitFor();
  stop = async () => {
    await browser.close();
    await server.stop(0);
    await gateway.dispose();
    await sandbox.close();
  };
});

after(() => stop());

/** Runs the unchanged tab. @returns the response. */
async function run(tab: string): Promise<string> {
  // Use mouse events, as a person does.
  await page.locator('.graphiql-tab-button', { hasText: new RegExp(`^${tab}$`) }).click();
  await page.locator('.graphiql-tab-active', { hasText: tab }).waitFor();
  const isOwn = (request: Request) => request.method() === 'POST' && request.postData()?.includes(tab) === true;
  // The button receives the text of the new tab asynchronously. Until then, a click has no effect or runs an incomplete document.
  let sent: Request | undefined;
  for (let attempt = 0; attempt < 10 && sent === undefined; attempt += 1) {
    const waiting = page.waitForRequest(isOwn, { timeout: 1000 }).catch(() => undefined);
    await page.locator('.graphiql-execute-button').dispatchEvent('click');
    sent = await waiting;
  }
  const response = await sent?.response();
  await page.locator('.result-window').getByText('data').first().waitFor();
  await saveScreenshot(page, `graphiql-${tab}`);
  return (await response?.text()) ?? '';
}

test('GraphiQL MUST have a title', async () => {
  assert.equal(await page.title(), 'Customer gateway');
});

for (const [tab, expected] of [
  ['ReadCustomer', /"firstName":"Asha"/],
  ['ReadWithToken', /"token":"tkn_[0-9a-f]{32}"/],
  ['CreateCustomer', /"origin":"CREATED"/],
  ['DuplicateCustomer', /"code":"ALREADY_EXISTS".*"differingFields":\["mobileNumber","emailAddress"\]/],
  ['InvalidCustomer', /"TOO_SHORT".*"INVALID_FORMAT"/],
  ['UpdateCustomer', /"firstName":"Asha Devi"/],
  ['ProvokedFault', /"code":"UPSTREAM_UNAVAILABLE"/],
  ['AsBoundCustomer', /"own":{[^}]*"expiresInSeconds":\d+}},"other":null/],
  ['AsUnbound', /"own":{[^}]*"expiresInSeconds":\d+}},"other":{"objectReferenceId":"customer-10002"}/],
  ['AsReadOnly', /"code":"FORBIDDEN".*"clientAuthToken":null},"other":{"objectReferenceId":"customer-10002"}/],
] as const) {
  test(`the tab ${tab} MUST run unchanged`, async () => {
    assert.match(await run(tab), expected);
  });
}

test('every tab and the title MUST be fully visible and MUST NOT overlap the editor', async () => {
  const editor = await page.locator('#graphiql-session').boundingBox();
  for (const item of [...(await page.locator('.graphiql-tab').all()), page.locator('.graphiql-logo span')]) {
    const box = await item.boundingBox();
    const name = (await item.textContent()) ?? '';
    assert.ok(editor && box && box.x >= 0 && box.x + box.width <= 1440, name);
    assert.ok(box.y >= 0 && box.y + box.height <= editor.y + 1, name);
    assert.ok(box.height < 40, name);
  }
});

test('the docs pane MUST show the descriptions of the schema', async () => {
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.getByRole('link', { name: 'Query' }).click();
  await page
    .getByText('by the provider’s id or by your object reference id')
    .or(page.getByText("Reads one customer by the provider's id"))
    .first()
    .waitFor();
  await saveScreenshot(page, 'graphiql-docs');
});

test('the panel MUST plan a mutation without executing it, by keyboard, and trace a run', async () => {
  await page.locator('.graphiql-tab-button', { hasText: /^UpdateCustomer$/ }).click();
  await page.locator('.graphiql-tab-active', { hasText: 'UpdateCustomer' }).waitFor();
  sandbox.clearCalls();
  const title = page.locator('#upstream-content h3');
  // GraphiQL reports the new tab asynchronously. Until then the plan is that of the tab before.
  const update = page.locator('#upstream-content', { hasText: 'POST /customers/{customer_id}' });
  for (let attempt = 0; attempt < 10 && !(await update.isVisible()); attempt += 1) {
    await page.getByRole('button', { name: 'Plan' }).focus();
    const planned = page.waitForResponse((response) => response.request().headers()['x-gateway-explain'] === 'plan');
    await page.keyboard.press('Enter');
    await planned;
    await update.waitFor({ timeout: 1000 }).catch(() => undefined);
  }
  assert.equal(await title.textContent(), 'Plan: 1 call');
  assert.deepEqual(sandbox.calls, []);
  await saveScreenshot(page, 'graphiql-plan');
  assert.match(await run('UpdateCustomer'), /"explain":{"mode":"trace"/);
  await page.locator('#upstream-content h3', { hasText: 'Trace: 1 call' }).waitFor();
  assert.equal(sandbox.calls.length, 1);
  // The result does not repeat what the panel shows.
  assert.doesNotMatch((await page.locator('.result-window').textContent()) ?? '', /explain/);
  await saveScreenshot(page, 'graphiql-trace');
});

test('the panel MUST have the colors of the theme, and leave room for the result', async () => {
  const background = () =>
    page.locator('.upstream-calls').evaluate((element) => getComputedStyle(element).backgroundColor);
  const light = await background();
  await page.emulateMedia({ colorScheme: 'dark' });
  assert.notEqual(await background(), light);
  await saveScreenshot(page, 'graphiql-trace-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  const [panel, result] = [
    await page.locator('#upstream-panel').boundingBox(),
    await page.locator('.result-window').boundingBox(),
  ];
  assert.ok(panel && result && result.width > 200 && result.x + result.width <= panel.x + 1);
  const toggle = page.getByRole('button', { name: 'Upstream calls' });
  await toggle.press('Space');
  assert.equal(await toggle.getAttribute('aria-expanded'), 'false');
  await page.locator('#upstream-panel').waitFor({ state: 'hidden' });
  await toggle.press('Space');
  await page.locator('#upstream-panel').waitFor();
});

test('without the scope, the panel MUST name it, and operations MUST run once', async () => {
  const { auth } = await createRoles('x');
  const gateway = openGateway(
    {
      ...loadConfig({}),
      isSandbox: false,
      provider: { baseUrl: sandbox.url, merchantId: sandbox.merchantId, apiKey: new Secret(sandbox.apiKey) },
      auth: { ...auth, modes: [], optional: false },
    },
    { log: createLog('silent'), examples: { id: 'u7', reference: 'u7' } },
  );
  const other = await startServer(gateway, { host: '127.0.0.1', port: 0 });
  try {
    const own = await (await browser.newContext()).newPage();
    await own.goto(`${other.url}/graphql`);
    await own.locator('.graphiql-execute-button').waitFor();
    sandbox.clearCalls();
    for (let attempt = 0; attempt < 10 && sandbox.calls.length === 0; attempt += 1) {
      const sent = own.waitForResponse((response) => response.request().postData()?.includes('ReadCustomer') === true, {
        timeout: 2000,
      });
      await own.locator('.graphiql-execute-button').dispatchEvent('click');
      await sent.catch(() => undefined);
      await own
        .locator('.result-window')
        .getByText('data')
        .first()
        .waitFor({ timeout: 2000 })
        .catch(() => undefined);
    }
    await own.locator('#upstream-content', { hasText: 'gateway:explain' }).waitFor();
    await own.locator('.result-window').getByText('objectReferenceId').first().waitFor();
    assert.equal(sandbox.calls.length, 1);
    await own.close();
    assert.deepEqual(foreignRequests(browser.requested, server.url, other.url), []);
    await saveScreenshot(page, 'graphiql-scope');
  } finally {
    await other.stop(0);
    await gateway.dispose();
  }
});

test('pages MUST NOT send requests to other servers', () => {
  assert.ok(browser.requested.length > 7);
  assert.deepEqual(
    foreignRequests(browser.requested, server.url).filter((url) => !/^http:\/\/127\.0\.0\.1:\d+\/graphql$/.test(url)),
    [],
  );
});
