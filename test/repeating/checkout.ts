import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import type { BrowserContext, Page } from 'playwright-core';
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
 * and presses "Send again" while the page does not know the outcome.
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
  const free: BrowserContext[] = [];

  return {
    clientOf: () => ({
      async mutate(mutation) {
        const context = free.pop() ?? (await browser.newContext());
        await context.clearCookies();
        const page = await context.newPage();
        try {
          await page.goto(url);
          return await save(page, mutation);
        } finally {
          await page.close();
          free.push(context);
        }
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

/** The texts by which a visitor knows the outcome. */
const texts = {
  done: /^(You are registered|Your changes are saved)$/,
  exists: 'You are registered already',
  failed: /Nothing was saved\.|This account no longer exists/,
  unknown: 'We do not know whether your details were saved',
} as const;

async function save(page: Page, { kind, variables }: Mutation): Promise<Reply> {
  const reference = 'id' in variables ? variables.id : variables.input.objectReferenceId;
  await page.getByRole('radio', { name: kind === 'create' ? /^No/ : /^Yes/ }).check();
  const fill = (label: string, text: string) => page.getByLabel(label, { exact: true }).fill(text);
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  await fill('E-mail address', reference);
  await button('Continue').click();
  if ('id' in variables) {
    // A read that failed is repeated by the page, and then by the visitor.
    const edit = button('Edit details');
    while (!(await isFirst(edit, button('Try again')))) await button('Try again').click();
    await edit.click();
  } else {
    await fill('E-mail', variables.input.emailAddress);
    await fill('Mobile number', variables.input.mobileNumber);
  }
  await fill('First name (optional)', variables.input.firstName);
  await button(kind === 'create' ? 'Save and continue' : 'Save changes').dblclick();

  for (let left = attempts - 1; ; left -= 1) {
    const seen = await outcomeOn(page);
    if (seen === 'unknown' && left > 0) {
      // React renders within the click, so that the old text is gone after it.
      await button('Send again').click();
      continue;
    }
    if (seen === 'unknown') return {};
    if (seen === 'failed') return { result: { __typename: 'CustomerValidationError' } };
    if (seen === 'done')
      return { result: { __typename: kind === 'create' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess' } };
    const differs = await page.getByText('Your saved details differ').isVisible();
    return { result: { __typename: 'CustomerAlreadyExistsError', differingFields: differs ? ['any'] : [] } };
  }
}

async function outcomeOn(page: Page): Promise<keyof typeof texts> {
  const kinds = Object.keys(texts) as (keyof typeof texts)[];
  const all = kinds.map((kind) => page.getByText(texts[kind], { exact: true }));
  await all
    .reduce((either, next) => either.or(next))
    .first()
    .waitFor();
  for (const [index, kind] of kinds.entries()) if (await all[index]?.first().isVisible()) return kind;
  return outcomeOn(page);
}

/** Waits for one of two elements. @returns whether it is the first one. */
async function isFirst(one: ReturnType<Page['locator']>, other: ReturnType<Page['locator']>): Promise<boolean> {
  await one.or(other).first().waitFor();
  return one.isVisible();
}
