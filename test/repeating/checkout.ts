import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import type { Locator, Page } from 'playwright-core';
import { preview } from 'vite';
import { createBackend } from '../../examples/checkout/backend.ts';
import { buildApp } from '../../examples/checkout/start.ts';
import { openBrowser } from '../chromium.ts';
import { jwtSettings } from '../support.ts';
import { attempts, type Mutation, type Reply } from './operations.ts';
import type { OpenProgram } from './programs.ts';
import type { World } from './world.ts';

const configFile = fileURLToPath(new URL('../../examples/checkout/vite.config.ts', import.meta.url));

/**
 * The example checkout in Chromium, in front of the gateway and the network of the world. Each visitor double-clicks the button that saves,
 * and presses "Send again" or "Try again" where the page offers it.
 */
export async function openCheckout({ networks }: World): Promise<OpenProgram> {
  const built = mkdtempSync(join(tmpdir(), 'repeating-'));
  const [browser] = await Promise.all([openBrowser(), buildApp(built)]);
  const { AUTH_JWT_SECRET: secret, AUTH_JWT_ISSUER: iss, AUTH_JWT_AUDIENCE: aud } = jwtSettings;
  const backend = createServer(getRequestListener(createBackend({ secret, iss, aud }).fetch)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const proxy = {
    '/graphql': { target: `http://127.0.0.1:${networks[0]?.port}` },
    '/session': { target: `http://127.0.0.1:${(backend.address() as AddressInfo).port}` },
  };
  // Lost answers are errors of the proxy, which would be printed.
  const common = { configFile, logLevel: 'silent', build: { outDir: built } } as const;
  const app = await preview({ ...common, preview: { host: '127.0.0.1', port: 0, proxy } });
  const [url = ''] = app.resolvedUrls?.local ?? [];
  // The visitors of a page come one after the other, and sign out. Loading the app again takes as long as everything that a visitor does.
  const free: Page[] = [];

  async function openPage(): Promise<Page> {
    const page = await (await browser.newContext(viewport)).newPage();
    page.setDefaultTimeout(patienceMs);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.goto(url);
    return page;
  }

  return {
    clientOf: () => ({
      async mutate(mutation) {
        const page = free.pop() ?? (await openPage());
        const reply = await save(page, mutation);
        await page.getByRole('button', { name: 'Sign out' }).dispatchEvent('click');
        free.push(page);
        return reply;
      },
    }),
    async close() {
      await browser.close();
      await app.close();
      backend.close();
      backend.closeAllConnections();
      rmSync(built, { recursive: true, force: true });
    },
  };
}

/** Several lost answers in a row take the deadline of an operation each. */
const patienceMs = 120_000;
/** How often a page that changes meanwhile is looked at again. */
const maxLooks = 100;
/** The size of a phone: a smaller page takes the browser less time. */
const viewport = { width: 390, height: 844 };

/** The lines by which a visitor knows the outcome. */
const lines = {
  done: /^(You are registered|Your changes are saved)$/m,
  exists: /^You are registered already$/m,
  failed: /Nothing was saved\.|This account no longer exists/,
  unknown: /We (still )?do not know whether your details were saved/,
} as const;

async function save(page: Page, { kind, variables }: Mutation): Promise<Reply> {
  const reference = 'id' in variables ? variables.id : variables.input.objectReferenceId;
  // Not of the whole page: most of its elements are the order and the faults of the sandbox, and each look-up visits all.
  const main = page.locator('#main');
  const button = (name: string) => main.getByRole('button', { name, exact: true });
  await fill(main, { 'E-mail address': reference }, { choice: kind === 'create' ? 'No' : 'Yes', press: 'Continue' });
  const { firstName } = variables.input;
  if ('id' in variables) {
    // A read that failed is repeated by the page, and then by the visitor, unless the page was faster.
    const edit = button('Edit details');
    for (let left = maxLooks; !(await isFirst(edit, button('Try again'))); left -= 1) {
      if (left === 0) throw new Error('The details of the customer are not shown.');
      await button('Try again')
        .click({ timeout: 1_000 })
        .catch(() => undefined);
    }
    await edit.dispatchEvent('click');
    // An update of unknown outcome has happened. The page sends only what differs from the saved details.
    const saved = await main.getByLabel('First name (optional)', { exact: true }).inputValue();
    if (saved === firstName) return { result: { __typename: 'UpdateCustomerSuccess' } };
    await fill(main, { 'First name (optional)': firstName });
  } else {
    const { emailAddress, mobileNumber } = variables.input;
    await fill(main, { 'E-mail': emailAddress, 'Mobile number': mobileNumber, 'First name (optional)': firstName });
  }
  await button(kind === 'create' ? 'Save and continue' : 'Save changes').dblclick();

  for (let left = attempts - 1; ; left -= 1) {
    const { seen, text } = await outcomeOn(main);
    // The page offers to send an unknown write again, and to try again if the provider failed before the write was sent.
    const again = button('Send again').or(button('Try again'));
    if ((seen === 'unknown' || seen === 'failed') && left > 0 && (await again.isVisible())) {
      // After a click, React has replaced the old text. If the button is gone, the second click of the double click has pressed it.
      await again.click({ timeout: 2_000 }).catch(() => undefined);
      continue;
    }
    if (seen === 'unknown') return {};
    if (seen === 'failed') return { result: { __typename: 'CustomerValidationError' } };
    if (seen === 'done')
      return { result: { __typename: kind === 'create' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess' } };
    const isUncompared = text.includes('We could not compare your input');
    const differingFields = isUncompared ? null : text.includes('Your saved details differ') ? ['any'] : [];
    return { result: { __typename: 'CustomerAlreadyExistsError', differingFields } };
  }
}

/**
 * Fills in fields by their labels, chooses the radio button whose label begins with a text, and presses a button. In one step: with mouse
 * and keyboard, all this takes longer than everything that the row is about.
 */
async function fill(
  main: Locator,
  values: Readonly<Record<string, string>>,
  { choice, press }: { choice?: string; press?: string } = {},
): Promise<void> {
  const [first = ''] = Object.keys(values);
  await main.getByLabel(first, { exact: true }).waitFor();
  await main.evaluate(
    (element, given) => {
      const labels = [...element.querySelectorAll('label')];
      const labelled = (isWanted: (text: string) => boolean) =>
        labels.find(({ textContent }) => isWanted(textContent.trim()))?.control as HTMLInputElement;
      const { choice, press } = given;
      if (choice !== undefined) labelled((text) => text.startsWith(choice)).click();
      for (const [label, value] of Object.entries(given.values)) {
        const input = labelled((text) => text === label);
        // React reads the value of an `input` event, and ignores one that sets the value it knows.
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, value);
        input.dispatchEvent(new Event('input', { bubbles: true }));
      }
      const buttons = [...element.querySelectorAll('button')];
      if (press !== undefined) buttons.find(({ textContent }) => textContent.trim() === press)?.click();
    },
    { values, choice, press },
  );
}

/** Waits for a line that says the outcome. @returns the text that the visitor sees. */
async function outcomeOn(main: Locator): Promise<{ seen: keyof typeof lines; text: string }> {
  const any = new RegExp(
    Object.values(lines)
      .map(({ source }) => source)
      .join('|'),
  );
  const kinds = Object.keys(lines) as (keyof typeof lines)[];
  for (let left = maxLooks; left > 0; left -= 1) {
    await main.getByText(any).first().waitFor();
    // React may have replaced the line meanwhile.
    const [text = ''] = await main.allInnerTexts();
    const seen = kinds.find((kind) => lines[kind].test(text));
    if (seen !== undefined) return { seen, text };
  }
  throw new Error('No line says the outcome.');
}

/** Waits for one of two elements. @returns whether it is the first one. */
async function isFirst(one: Locator, other: Locator): Promise<boolean> {
  await one.or(other).first().waitFor();
  return one.isVisible();
}
