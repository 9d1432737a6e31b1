import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page, type Browser as Started } from 'playwright-core';

export interface Browser {
  /** Opens a context that shares no cookies, cache or storage with others. */
  newContext(viewport?: { width: number; height: number }): Promise<BrowserContext>;
  /** The URLs of all requests of all pages. */
  readonly requested: readonly string[];
  close(): Promise<void>;
}

/** Starts the installed Chromium with background network requests disabled. */
export async function openBrowser(): Promise<Browser> {
  const browser = await startUsable();
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

/** Time limit for the first page of a browser. Playwright itself would wait forever. */
const firstPageLimitMs = 30_000;
const starts = 3;

/** Starts the browser. If it does not open a page, starts another one. */
async function startUsable(): Promise<Started> {
  for (let left = starts; left > 0; left -= 1) {
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
    if (await Promise.race([opensPage(browser), wait(firstPageLimitMs, false, { ref: false })])) return browser;
    browser.close().catch(() => undefined);
  }
  throw new Error(`Chromium was started ${starts} times and opened no page.`);
}

async function opensPage(browser: Started): Promise<boolean> {
  try {
    const page = await browser.newPage();
    await page.close();
    return true;
  } catch {
    return false;
  }
}

function findChromium(): string {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const command = names.map((name) => `command -v ${name}`).join(' || ');
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trim();
}

/** Returns the requests to other servers. Ignores `data:` and `blob:` URLs. */
export function foreignRequests(requested: readonly string[], ...servers: string[]): string[] {
  return requested.filter((url) => !/^(data|blob):/.test(url) && !servers.some((server) => url.startsWith(server)));
}

/** Saves a screenshot in `screenshots/` if `SCREENSHOTS` is set (`npm run screenshots`). `size` applies to this screenshot only. */
export async function saveScreenshot(
  page: Page,
  name: string,
  size?: { width: number; height: number },
): Promise<void> {
  if (!process.env['SCREENSHOTS']) return;
  mkdirSync('screenshots', { recursive: true });
  const before = page.viewportSize();
  if (size) await page.setViewportSize(size);
  await page.screenshot({ path: join('screenshots', `${name}.png`), fullPage: true });
  if (size && before) await page.setViewportSize(before);
}
