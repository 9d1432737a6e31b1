import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page, Route } from 'playwright-core';
import { buildApp, type ExampleOptions, startExample } from '../examples/checkout/start.ts';
import type { Sandbox } from '../src/sandbox/server.ts';
import { type Browser, foreignRequests, openBrowser, saveScreenshot } from './chromium.ts';

const desktop = { width: 1280, height: 860 };
const phone = { width: 390, height: 844 };
/** The smallest supported screen. */
const smallest = { width: 320, height: 700 };
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

const built = mkdtempSync(join(tmpdir(), 'checkout-'));
let browser: Browser;
/** The servers of the pages of these tests, and the errors that the pages logged. */
const origins: string[] = [];
const loggedErrors: string[] = [];

before(async () => {
  [browser] = await Promise.all([openBrowser(), buildApp(built)]);
});

after(async () => {
  await browser.close();
  rmSync(built, { recursive: true, force: true });
});

interface Shop {
  readonly page: Page;
  readonly url: string;
  readonly sandbox: Sandbox;
  /** Upstream calls since the last call of this function, as `METHOD target`. */
  takeCalls(): string[];
  /** Opens another window of the same visitor. */
  open(): Promise<Page>;
}

/** For tests that wait until the gateway gives up, or for what it does when little time is left. */
const shortDeadline = { timeoutMs: 1500 };

/**
 * Starts the shop with gateway and sandbox, and opens it as a new visitor. By default, the upstream time limit is long enough for a
 * slow machine: a timeout would add calls and change the outcome.
 */
async function withShop(visit: (shop: Shop) => Promise<void>, options: ExampleOptions = {}): Promise<void> {
  const { url, sandbox, close } = await startExample({ built, timeoutMs: 6000, ...options });
  origins.push(url);
  const context = await browser.newContext(desktop);
  const open = async () => {
    const page = await context.newPage();
    page.on('pageerror', ({ message }) => loggedErrors.push(message));
    page.on('console', (line) => {
      // The browser logs every response with an error status. The tests cause such responses on purpose.
      if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) loggedErrors.push(line.text());
    });
    return page;
  };
  try {
    const page = await open();
    await page.goto(url);
    await heading(page, 'Checkout');
    const takeCalls = () => {
      const calls = sandbox.calls.map(({ method, target }) => `${method} ${target}`);
      sandbox.clearCalls();
      return calls;
    };
    await visit({ page, url, sandbox, takeCalls, open });
  } finally {
    await context.close();
    await close();
  }
}

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor();
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
/** Labels match exactly: "E-mail" is on one page and "E-mail address" on another. */
const input = (page: Page, label: string) => page.getByLabel(label, { exact: true });
const focused = (page: Page) =>
  page.evaluate<string>('document.activeElement.id || document.activeElement.textContent');

/** Signs in, and waits until the next page is there. */
async function signIn(page: Page, reference: string, visit: 'new' | 'returning'): Promise<void> {
  await page.getByRole('radio', { name: visit === 'new' ? /^No/ : /^Yes/ }).check();
  await input(page, 'E-mail address').fill(reference);
  await button(page, 'Continue').click();
  await page.getByRole('list', { name: 'Checkout' }).waitFor();
}

async function fillIn(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [label, text] of Object.entries(fields)) await input(page, label).fill(text);
}

/** Checks a state in the light and the dark theme: axe reports nothing and no content overflows. Saves screenshots. */
async function checkPage(page: Page, name: string): Promise<void> {
  if (!(await page.evaluate<boolean>('"axe" in window'))) await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // The second theme only needs the checks that depend on colours.
    const rules = colorScheme === 'light' ? {} : { runOnly: ['color-contrast'] };
    const options = JSON.stringify({ resultTypes: ['violations'], ...rules });
    const findings = await page.evaluate<string[]>(`axe.run(document, ${options}).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ': ' + target.join(' '))))`);
    assert.deepEqual(findings, [], `${name}, ${colorScheme}`);
    await saveScreenshot(page, `checkout-${name}-${colorScheme}-desktop`);
    await saveScreenshot(page, `checkout-${name}-${colorScheme}-phone`, phone);
  }
  await page.setViewportSize(smallest);
  const beyond = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  assert.ok(beyond <= 0, `${name} is ${beyond} px too wide for a small phone`);
  await page.setViewportSize(desktop);
}

/** The forms of all writes that the provider received. */
const forms = (sandbox: Sandbox) => sandbox.calls.filter(({ form }) => form).map(({ form }) => ({ ...form }));

// The tests run concurrently, each with its own shop and visitor: they mostly wait.
describe('the checkout', { concurrency: 3 }, () => {
  test('a new visitor MUST be able to sign in, register and open the payment with the keyboard only', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await checkPage(page, 'sign-in');
      await page.keyboard.press('Tab');
      assert.equal(await focused(page), 'Skip to the checkout');
      await page.keyboard.press('Tab');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Tab');
      await page.keyboard.type('noor');
      await page.keyboard.press('Enter');
      await page.getByText('Enter an e-mail address').waitFor();
      assert.equal(await focused(page), 'reference');
      await page.keyboard.press('End');
      await page.keyboard.type('@example.com');
      await page.keyboard.press('Enter');

      await heading(page, 'Register');
      assert.equal(await focused(page), 'Register');
      await checkPage(page, 'register');
      await input(page, 'Country code').fill('+91');
      await input(page, 'Mobile number').press('Enter');
      await page.getByText('Please check: Mobile number.').waitFor();
      assert.equal(await focused(page), 'mobileNumber');
      assert.deepEqual(takeCalls(), [], 'invalid input is not sent');
      await page.keyboard.type('90000 abc');
      await page.keyboard.press('Enter');
      await page.getByText('Digits only, without the country code.').waitFor();
      await checkPage(page, 'field-errors');
      await input(page, 'Mobile number').fill('90000 00042 ');
      await page.getByText('Please check').waitFor({ state: 'detached' });
      await input(page, 'First name (optional)').fill('Noor');
      await page.keyboard.press('Enter');

      await page.getByText('You are registered', { exact: true }).waitFor();
      assert.equal(await focused(page), 'Hello, Noor');
      assert.deepEqual(forms(sandbox), [
        {
          object_reference_id: 'noor@example.com',
          mobile_number: '9000000042',
          email_address: 'noor@example.com',
          first_name: 'Noor',
          mobile_country_code: '91',
        },
      ]);
      assert.deepEqual(takeCalls(), ['POST /customers'], 'the response to the create is not read again');
      await checkPage(page, 'details');

      await button(page, 'Continue to payment').press('Enter');
      await page.getByRole('timer').waitFor();
      assert.match((await page.getByRole('timer').textContent()) ?? '', /^14:[0-5]\d$/);
      assert.match((await page.locator('code').textContent()) ?? '', /^tkn_•+[0-9a-f]{4}$/);
      assert.deepEqual(takeCalls(), ['GET /customers/noor%40example.com?options.get_client_auth_token=true']);
      await checkPage(page, 'payment');
      assert.doesNotMatch(await page.content(), /tkn_[0-9a-f]{32}/);
      assert.deepEqual(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]'), [
        '',
        0,
        0,
      ]);
    }));

  test('a returning visitor MUST be found, and an update MUST send only changed fields', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await page.getByText('Examples for the sandbox').click();
      await checkPage(page, 'examples');
      await page.getByRole('button', { name: 'asha.rao@example.com has an account' }).click();
      assert.equal(await input(page, 'E-mail address').inputValue(), 'asha.rao@example.com');
      await signIn(page, ' Asha.Rao@example.com ', 'returning');
      await heading(page, 'Hello, Asha');
      assert.deepEqual(takeCalls(), ['GET /customers/asha.rao%40example.com']);
      await button(page, 'Edit details').click();
      await fillIn(page, { 'First name (optional)': 'Asha Devi', 'Last name (optional)': '' });
      await button(page, 'Save changes').click();
      await page.getByText('You can change this, but not remove it.').waitFor();
      assert.equal(await focused(page), 'lastName');
      await checkPage(page, 'edit');
      await fillIn(page, { 'Last name (optional)': 'Rao' });
      await button(page, 'Save changes').click();
      await page.getByText('Your changes are saved').waitFor();
      await heading(page, 'Hello, Asha Devi');
      assert.deepEqual(forms(sandbox), [{ first_name: 'Asha Devi' }]);
      // A read establishes the owner before each update of a bound caller.
      assert.deepEqual(takeCalls(), [
        'GET /customers/asha.rao%40example.com',
        'POST /customers/asha.rao%40example.com',
      ]);

      await button(page, 'Edit details').click();
      await button(page, 'Save changes').click();
      await page.getByText('Change at least one field.').waitFor();
      await button(page, 'Cancel').click();
      await page.reload();
      await heading(page, 'Hello, Asha Devi');
    }));

  test('registering an existing customer MUST show the differences and offer the existing customer', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'asha.rao@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9999999999' });
      await button(page, 'Save and continue').click();
      await page.getByText('You are registered already').waitFor();
      await page.getByText('Your saved details differ from your input: Mobile number.').waitFor();
      await checkPage(page, 'registered-already');
      assert.deepEqual(takeCalls(), ['POST /customers', 'GET /customers/asha.rao%40example.com']);
      await button(page, 'Back to the form').click();
      assert.equal(await input(page, 'Mobile number').inputValue(), '9999999999');
      await button(page, 'Save and continue').click();
      await button(page, 'Use existing account').click();
      await heading(page, 'Hello, Asha');
      await page.getByText('+91 9000000001').waitFor();
      assert.deepEqual(
        takeCalls(),
        ['POST /customers', 'GET /customers/asha.rao%40example.com'],
        'it came with the refusal',
      );
      assert.equal(sandbox.customers.length, 4);
    }));

  test('an existing customer that the gateway could not read MUST NOT be shown as equal', () =>
    withShop(async ({ page }) => {
      await signIn(page, 'asha.rao@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000001' });
      // The answer of the gateway when the look-up after a refused create fails.
      const withoutLookUp = async (route: Route) => {
        const response = await route.fetch();
        const { data } = (await response.json()) as { data: { createCustomer: object } };
        const createCustomer = { ...data.createCustomer, existing: null, differingFields: null };
        await route.fulfill({ response, json: { data: { ...data, createCustomer } } });
      };
      await page.route('**/graphql', withoutLookUp, { times: 1 });
      await button(page, 'Save and continue').click();
      await page.getByText('You are registered already').waitFor();
      await page.getByText('We could not compare your input with your saved details.').waitFor();
      await button(page, 'Use existing account').click();
      await heading(page, 'Hello, Asha');
    }));

  test('a validation error of the provider MUST be shown at its field', () =>
    withShop(async ({ page, takeCalls }) => {
      await page.getByText('Simulate a failure').click();
      await page.getByRole('button', { name: 'Number rejected' }).click();
      await page.getByText('Active: Number rejected').waitFor();
      await checkPage(page, 'sandbox');
      await signIn(page, 'noor@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000042', 'Last name (optional)': 'Inayat' });
      await button(page, 'Save and continue').click();
      await page.getByText('The payment provider does not accept this value.').waitFor();
      assert.equal(await focused(page), 'mobileNumber');
      assert.equal(await input(page, 'Last name (optional)').inputValue(), 'Inayat');
      assert.deepEqual(takeCalls(), ['POST /customers']);
      await page.getByRole('button', { name: /^None/ }).click();
      await page.getByText('Active: Number rejected').waitFor({ state: 'detached' });
      await button(page, 'Save and continue').click();
      await page.getByText('You are registered', { exact: true }).waitFor();
    }));

  test('a reconciled create MUST be shown as a success with a notice', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'fault_500_after_commit_x1', 'new');
      await fillIn(page, { 'E-mail': 'noor@example.com', 'Mobile number': '9000000042' });
      await button(page, 'Save and continue').click();
      await page.getByText('reply did not reach us').waitFor();
      assert.deepEqual(takeCalls(), ['POST /customers', 'GET /customers/fault_500_after_commit_x1']);
      assert.equal(sandbox.customers.length, 5);
      await checkPage(page, 'reconciled');
    }));

  test('an ambiguous outcome MUST be shown as unknown, and sending again MUST settle it', () =>
    withShop(async ({ page, sandbox }) => {
      await page.getByText('Simulate a failure').click();
      await page.getByRole('button', { name: 'Outage while saving' }).click();
      await page.getByText('Active: Outage while saving').waitFor();
      await signIn(page, 'noor@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000042' });
      await button(page, 'Save and continue').click();
      await page.getByText('We do not know whether your details were saved').waitFor();
      assert.match(await focused(page), /^We do not know/);
      await checkPage(page, 'unknown-outcome');
      await button(page, 'Send again').click();
      await page.getByText('Sending again…').waitFor();
      await page.getByText('We do not know whether your details were saved').waitFor();
      await page.getByRole('button', { name: /^None/ }).click();
      await page.getByText('Active: Outage while saving').waitFor({ state: 'detached' });
      // A definite failure of the repeat says nothing about the first attempt, which was saved.
      sandbox.arm({ fault: 'unauthorized', on: 'create' });
      await button(page, 'Send again').click();
      await page.getByText('We still do not know whether your details were saved').waitFor();
      assert.equal(await page.getByText('Nothing was saved').count(), 0);
      await button(page, 'Try again').click();
      await page.getByText('You are registered', { exact: true }).waitFor();
      assert.equal(sandbox.customers.length, 5, 'sent four times, created once');
      assert.equal(new Set(forms(sandbox).map((form) => JSON.stringify(form))).size, 1, 'identical requests');

      await button(page, 'Edit details').click();
      await fillIn(page, { 'First name (optional)': 'Noor' });
      sandbox.arm({ fault: '503', on: 'update', afterCommit: true });
      const earlier = sandbox.calls.at(-1)?.number ?? 0;
      // The read that establishes the owner still succeeds; the one that would settle the outcome does not.
      const outage = sandbox
        .whenCalled(({ route, number }) => route === 'update' && number > earlier)
        .then(() => sandbox.arm({ fault: '503', on: 'get', times: 1000 }));
      await button(page, 'Save changes').click();
      await outage;
      await page.getByText('We do not know whether your details were saved').waitFor();
      sandbox.disarm();
      await button(page, 'Send again').click();
      await page.getByText('Your changes are saved').waitFor();
      await heading(page, 'Hello, Noor');
    }, shortDeadline));

  test('a provider that does not respond MUST lead to an unknown outcome, after a notice that it takes long', () =>
    withShop(async ({ page, takeCalls }) => {
      await signIn(page, 'fault_timeout', 'new');
      await fillIn(page, { 'E-mail': 'noor@example.com', 'Mobile number': '9000000042' });
      // Delay the response during the checks: the gateway's deadline is near.
      const seen = Promise.withResolvers<void>();
      await page.route('**/graphql', (route) => seen.promise.then(() => route.continue()));
      await button(page, 'Save and continue').click();
      await page.getByText('Still working.').waitFor();
      await checkPage(page, 'still-working');
      seen.resolve();
      await page.getByText('We do not know whether your details were saved').waitFor();
      assert.deepEqual(takeCalls().slice(0, 2), ['POST /customers', 'GET /customers/fault_timeout']);
    }, shortDeadline));

  test('a failed look-up MUST be retried visibly, and then offer a manual retry', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'fault_503', 'returning');
      await page.getByText('The payment provider is slow to respond').waitFor();
      await checkPage(page, 'retrying');
      await page.getByText('The payment provider is not responding').waitFor();
      await page.getByText('Support reference').waitFor();
      await checkPage(page, 'upstream-down');
      assert.deepEqual(new Set(takeCalls()), new Set(['GET /customers/fault_503']));
      await button(page, 'Sign out').click();

      sandbox.arm({ fault: '503', on: 'get', times: 1000 });
      await signIn(page, 'asha.rao@example.com', 'returning');
      await page.getByText('The payment provider is not responding').waitFor();
      sandbox.disarm();
      await button(page, 'Try again').click();
      await heading(page, 'Hello, Asha');
      assert.equal(await focused(page), 'Hello, Asha');
    }));

  test('a rejection MUST say that nothing was saved, and when to try again', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'noor@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000042' });
      sandbox.arm({ fault: 'unauthorized' });
      await button(page, 'Save and continue').click();
      await page.getByText('Payments are not available at the moment').waitFor();
      await page.getByText('Nothing was saved.').waitFor();
      assert.equal(await button(page, 'Try again').count(), 0, 'a retry cannot help');
      await button(page, 'Back to the form').click();
      takeCalls();
      sandbox.arm({ fault: '429', retryAfter: '30', times: 1000 });
      await button(page, 'Save and continue').click();
      await page.getByText('There are too many requests at the moment').waitFor();
      await page.getByRole('button', { name: /^Try again in \d+ s$/ }).waitFor();
      assert.deepEqual(takeCalls(), ['POST /customers']);
      await checkPage(page, 'too-many');
      assert.equal(sandbox.customers.length, 4);
    }));

  test('an unreachable gateway MUST be shown as such, reads MUST be retried, and sent writes MUST have an unknown outcome', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await page.route('**/graphql', (route) => route.fulfill({ status: 502, body: '<h1>Bad gateway</h1>' }));
      await signIn(page, 'asha.rao@example.com', 'returning');
      await page.getByText('The shop has a technical problem').waitFor();
      await checkPage(page, 'gateway-down');
      await page.unroute('**/graphql');
      await button(page, 'Try again').click();
      await heading(page, 'Hello, Asha');

      await button(page, 'Edit details').click();
      await fillIn(page, { 'First name (optional)': 'Asha Devi' });
      takeCalls();
      // The write was executed, but a router returns its own error. The page then reads the customer again.
      const withRouterError = async (route: Route) => {
        await route.fetch();
        const errors = [{ message: 'upstream', extensions: { code: 'SUBREQUEST_HTTP_ERROR' } }];
        await route.fulfill({ json: { data: { updateCustomer: null }, errors } });
      };
      await page.route('**/graphql', withRouterError, { times: 1 });
      await button(page, 'Save changes').click();
      await page.getByText('We do not know whether your details were saved').waitFor();
      await button(page, 'Send again').click();
      await page.getByText('Your changes are saved').waitFor();
      assert.deepEqual(forms(sandbox), [{ first_name: 'Asha Devi' }, { first_name: 'Asha Devi' }]);
    }));

  test('a backend without a token MUST lead to a page with a way to continue', () =>
    withShop(async ({ page, takeCalls }) => {
      await page.route('**/session/token', (route) => route.fulfill({ status: 503, body: '' }));
      await signIn(page, 'asha.rao@example.com', 'returning');
      await page.getByText('The shop has a technical problem').waitFor();
      assert.deepEqual(takeCalls(), []);
      await page.unroute('**/session/token');
      await button(page, 'Try again').click();
      await heading(page, 'Hello, Asha');
    }));

  test('the page MUST show that the browser is offline, and continue when it is online again', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'noor@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000042' });
      await page.context().setOffline(true);
      await button(page, 'Save and continue').click();
      await page.getByText('You are offline.').waitFor();
      await checkPage(page, 'offline');
      assert.deepEqual(takeCalls(), []);
      await page.context().setOffline(false);
      await page.getByText('You are registered', { exact: true }).waitFor();
      assert.equal(forms(sandbox).length, 1);
    }));

  test('a payment that cannot be opened MUST show an error', () =>
    withShop(async ({ page, sandbox, takeCalls }) => {
      await signIn(page, 'asha.rao@example.com', 'returning');
      await heading(page, 'Hello, Asha');
      takeCalls();
      sandbox.arm({ fault: 'no_token', on: 'get' });
      await button(page, 'Continue to payment').click();
      await page.getByText('The payment could not be prepared').waitFor();
      await checkPage(page, 'no-token');
      await button(page, 'Try again').click();
      await page.getByRole('timer').waitFor();
      const withToken = 'GET /customers/asha.rao%40example.com?options.get_client_auth_token=true';
      assert.deepEqual(takeCalls(), [withToken, withToken]);
    }));

  test('a token MUST be renewed before it expires, not while the page is hidden, and at once when it becomes visible', () =>
    withShop(async ({ page, takeCalls }) => {
      await page.clock.install();
      await signIn(page, 'asha.rao@example.com', 'returning');
      await button(page, 'Continue to payment').click();
      await page.getByRole('timer').waitFor();
      const shown = () => page.locator('code').textContent();
      const first = await shown();
      takeCalls();
      await page.clock.fastForward('10:00');
      await page.getByText(/^4:\d\d$/).waitFor();
      assert.deepEqual(takeCalls(), [], 'the token is still valid for minutes');
      await page.clock.fastForward('04:10');
      await page.getByText(/^14:\d\d$/).waitFor();
      const second = await shown();
      assert.notEqual(second, first);
      assert.equal(takeCalls().length, 1);

      await hide(page, true);
      await page.clock.fastForward('20:00');
      assert.deepEqual(takeCalls(), [], 'no request while the page is hidden');
      await hide(page, false);
      await page.getByText(/^14:\d\d$/).waitFor();
      assert.notEqual(await shown(), second);
      const tokens = takeCalls().filter((call) => call.includes('?'));
      assert.deepEqual(tokens, ['GET /customers/asha.rao%40example.com?options.get_client_auth_token=true']);
    }));

  /** Simulates page visibility: in headless Chromium, every page is visible. */
  async function hide(page: Page, isHidden: boolean): Promise<void> {
    const state = isHidden ? 'hidden' : 'visible';
    await page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true });
    Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
    document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`);
  }

  test('an expired gateway token MUST be replaced without an error', () => {
    let minted = 0;
    // The first token expired an hour ago.
    const now = () => {
      minted += 1;
      return minted === 1 ? Date.now() - 3_600_000 : Date.now();
    };
    return withShop(
      async ({ page, takeCalls }) => {
        await signIn(page, 'asha.rao@example.com', 'returning');
        await heading(page, 'Hello, Asha');
        assert.equal(minted, 2);
        assert.equal(takeCalls().length, 1);
      },
      { now },
    );
  });

  test('a session that ended in another window MUST lead to the sign-in page', () =>
    withShop(async ({ page, takeCalls, open, url }) => {
      await signIn(page, 'noor@example.com', 'new');
      await fillIn(page, { 'Mobile number': '9000000042' });
      const other = await open();
      await other.goto(url);
      await button(other, 'Sign out').click();
      await heading(other, 'Checkout');
      await page.bringToFront();
      await button(page, 'Save and continue').click();
      await page.getByText('Your session has ended').waitFor();
      assert.equal(await focused(page), 'Checkout');
      assert.deepEqual(
        takeCalls().filter((call) => call.startsWith('POST')),
        [],
      );
      await checkPage(page, 'session-ended');
    }));

  test('scripts and other sites MUST NOT reach the session, and its token MUST be valid for one customer only', () =>
    withShop(async ({ page, url, takeCalls }) => {
      await signIn(page, 'noor@example.com', 'returning');
      await heading(page, 'Register');
      const [cookie] = await page.context().cookies(`${url}session`);
      assert.deepEqual(
        [cookie?.name, cookie?.httpOnly, cookie?.sameSite, cookie?.path],
        ['session', true, 'Strict', '/session'],
      );
      const session = `session=${cookie?.value}`;
      const post = (path: string, body: object, headers: Record<string, string> = {}) =>
        fetch(new URL(path, url), {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        });
      // The form of another site can send this request. Other requests need a preflight, which the backend rejects.
      const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'content-type': 'text/plain' };
      assert.equal((await post('session', { reference: 'eve@example.com' }, foreign)).status, 403);
      assert.equal((await post('session/token', {}, { ...foreign, cookie: session })).status, 403);
      const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
      const asking = { method: 'OPTIONS', headers: { ...preflight, origin: foreign.origin } };
      const permission = await fetch(new URL('session/token', url), asking);
      assert.equal(permission.headers.get('access-control-allow-origin'), null);
      assert.equal((await post('session/token', {})).status, 401);
      // Reject references in the format of a provider id: the token would be bound to the customer with that id.
      assert.equal((await post('session', { reference: 'cth_A1b2C3d4E5f6G7h8' })).status, 400);
      assert.equal((await post('session', { reference: ['eve@example.com'] })).status, 400);
      assert.equal((await post('session', { reference: 'e'.repeat(2000) })).status, 413);

      const { token } = (await (await post('session/token', {}, { cookie: session })).json()) as { token: string };
      const ask = async (document: string, variables: object) => {
        const headers = { authorization: `Bearer ${token}` };
        const answer = await post('graphql', { documentId: documentId(document), variables }, headers);
        return JSON.parse(await answer.text()) as { data: unknown; errors?: { extensions: { code: string } }[] };
      };
      takeCalls();
      assert.deepEqual((await ask('query Customer(', { id: 'u7' })).data, { customer: null });
      const input = {
        objectReferenceId: 'someone@example.com',
        mobileNumber: '9',
        emailAddress: 'someone@example.com',
      };
      const refused = await ask('mutation CreateCustomer(', { input });
      assert.deepEqual(
        refused.errors?.map(({ extensions }) => extensions.code),
        ['FORBIDDEN'],
      );
      assert.deepEqual(takeCalls(), ['GET /customers/u7'], 'a create for another customer is not sent upstream');
      const own = await post('graphql', { query: '{ __typename }' }, { authorization: `Bearer ${token}` });
      assert.match(await own.text(), /PERSISTED_QUERY_ONLY/);
    }));

  function documentId(beginning: string): string | undefined {
    const manifest = readFileSync('schema/generated/persisted-documents.json', 'utf8');
    const documents = Object.entries(JSON.parse(manifest) as Record<string, string>);
    return documents.find(([, text]) => text.startsWith(beginning))?.[0];
  }

  test('the command MUST start all servers, print the URL, and stop on SIGINT', async () => {
    const child = spawn(process.execPath, ['examples/checkout/start.ts'], { env: { ...process.env, PORT: '0' } });
    try {
      let printed = '';
      const address = await new Promise<string>((resolve, reject) => {
        child.stdout.on('data', (data) => {
          printed += String(data);
          const [, url] = /Checkout +(http:\S+)/.exec(printed) ?? [];
          if (url) resolve(url);
        });
        child.on('exit', () => reject(new Error(`It ended. Output: ${printed}`)));
      });
      origins.push(address);
      const context = await browser.newContext(desktop);
      const page = await context.newPage();
      await page.goto(address);
      await heading(page, 'Checkout');
      await signIn(page, 'asha.rao@example.com', 'returning');
      await heading(page, 'Hello, Asha');
      await context.close();
      child.removeAllListeners('exit');
      child.kill('SIGINT');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
      await assert.rejects(fetch(address));
    } finally {
      child.kill('SIGKILL');
    }
  });
});

test('pages MUST NOT log errors or send requests to other servers', () => {
  assert.deepEqual(loggedErrors, []);
  assert.ok(browser.requested.length > 50);
  assert.deepEqual(foreignRequests(browser.requested, ...origins), []);
});
