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

test('pages MUST NOT send requests to other servers', () => {
  assert.ok(browser.requested.length > 7);
  assert.deepEqual(foreignRequests(browser.requested, server.url), []);
});
