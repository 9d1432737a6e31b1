import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

export interface Browser {
  /** A visitor of their own: no cookie, cache or storage is shared. */
  newContext(viewport?: { width: number; height: number }): Promise<BrowserContext>;
  /** The address of every request that a page made. */
  readonly requested: readonly string[];
  close(): Promise<void>;
}

/** The Chromium of this machine, with nothing to say to anybody by itself. */
export async function openBrowser(): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: findChromium(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const requested: string[] = [];
  return {
    async newContext(viewport = { width: 1440, height: 900 }) {
      const context = await browser.newContext({ viewport });
      context.setDefaultTimeout(30_000);
      context.on('request', (request) => requested.push(request.url()));
      return context;
    },
    requested,
    close: () => browser.close(),
  };
}

function findChromium(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const command = names.map((name) => `command -v ${name}`).join(' || ');
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trim();
}

/** Requests to anywhere but the given servers, pictures and scripts that a page holds itself aside. */
export function strangers(requested: readonly string[], ...servers: string[]): string[] {
  return requested.filter((url) => !/^(data|blob):/.test(url) && !servers.some((server) => url.startsWith(server)));
}

/** With `SCREENSHOTS=1` (`npm run screenshots`) a page is kept as a picture, in `screenshots/`; `size` is for this picture only. */
export async function keepPicture(page: Page, name: string, size?: { width: number; height: number }): Promise<void> {
  if (!process.env['SCREENSHOTS']) return;
  mkdirSync('screenshots', { recursive: true });
  const before = page.viewportSize();
  if (size) await page.setViewportSize(size);
  await page.screenshot({ path: join('screenshots', `${name}.png`), fullPage: true });
  if (size && before) await page.setViewportSize(before);
}
