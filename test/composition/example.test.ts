import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Request } from 'playwright-core';
import { foreignRequests, openBrowser, saveScreenshot } from '../chromium.ts';

let example: ChildProcess;
let printed = '';
let url = '';
let sandboxUrl = '';

const address = (name: string) => new RegExp(`^ *${name} +(http\\S+)`, 'm').exec(printed)?.[1] ?? assert.fail(printed);

before(async () => {
  example = spawn(process.execPath, ['examples/bff/start.ts'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    example.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes('__admin/calls')) resolve();
    });
    example.once('exit', (code) => reject(new Error(`The example exited with ${code}: ${printed}`)));
  });
  url = address('GraphiQL');
  sandboxUrl = address('Sandbox');
});

after(() => example.kill('SIGKILL'));

async function ask(query: string): Promise<{ data: unknown; errors?: { extensions: { code: string } }[] }> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return (await response.json()) as Awaited<ReturnType<typeof ask>>;
}

/** Upstream calls, without the first `n`. */
async function callsFrom(n: number): Promise<string[]> {
  const calls = (await (await fetch(`${sandboxUrl}/__admin/calls`)).json()) as { method: string; target: string }[];
  return calls.slice(n).map(({ method, target }) => `${method} ${target}`);
}

for (const readme of ['docs/composing.md', 'examples/bff/README.md']) {
  test(`the federated query of ${readme} MUST return the customer and a token with the documented upstream calls`, async () => {
    const text = readFileSync(readme, 'utf8');
    const [, query = '', calls = ''] =
      /```graphql\n(\{\n {2}order[\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)\n```/.exec(text) ??
      assert.fail('The page has no such query.');
    const earlier = (await callsFrom(0)).length;
    assert.match(
      JSON.stringify(await ask(query)),
      /^\{"data":\{"order":\{"total":"2499.00 INR","customer":\{"firstName":"Asha","clientAuthToken":\{"token":"tkn_[0-9a-f]{32}"\}\}\}\}\}$/,
    );
    assert.deepEqual(await callsFrom(earlier), calls.split('\n'));
  });
}

test('five orders of four customers MUST cost four upstream calls, and missing or failing customers MUST NOT affect the others', async () => {
  const earlier = (await callsFrom(0)).length;
  const answer = await ask('{ orders { id customer { objectReferenceId } } }');
  assert.deepEqual(answer.data, {
    orders: [
      { id: '1001', customer: { objectReferenceId: 'asha.rao@example.com' } },
      { id: '1002', customer: { objectReferenceId: 'customer-10002' } },
      { id: '1003', customer: { objectReferenceId: 'asha.rao@example.com' } },
      { id: '1004', customer: { objectReferenceId: null } },
      { id: '1005', customer: { objectReferenceId: null } },
    ],
  });
  assert.deepEqual(
    answer.errors?.map(({ extensions }) => extensions.code),
    ['UPSTREAM_REJECTED'],
  );
  assert.equal((await callsFrom(earlier)).length, 4);
});

test('GraphiQL MUST run the first tab without changes, and load nothing from other origins', async () => {
  const browser = await openBrowser();
  try {
    const page = await (await browser.newContext()).newPage();
    await page.goto(url);
    await page.locator('.graphiql-execute-button').waitFor();
    // Until GraphiQL has loaded the text of the tab, a click has no effect. Retry the click.
    let isSent = false;
    for (let attempt = 0; attempt < 10 && !isSent; attempt += 1) {
      const isOwn = (request: Request) => Boolean(request.postData()?.includes('OrderWithToken'));
      const sending = page.waitForRequest(isOwn, { timeout: 2_000 }).then(
        () => true,
        () => false,
      );
      await page.locator('.graphiql-execute-button').dispatchEvent('click');
      isSent = await sending;
    }
    await page.locator('.result-window').getByText('tkn_').first().waitFor();
    await saveScreenshot(page, 'graphiql-bff');
    assert.deepEqual(foreignRequests(browser.requested, new URL(url).origin), []);
  } finally {
    await browser.close();
  }
});

test('a signal MUST stop all servers, with exit code 0', async () => {
  const stopped = once(example, 'exit');
  example.kill('SIGINT');
  assert.deepEqual(await stopped, [0, null]);
  await assert.rejects(fetch(`${sandboxUrl}/__admin/calls`));
});
