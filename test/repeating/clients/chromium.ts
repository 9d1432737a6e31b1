import { openBrowser } from '../../chromium.ts';
import { attempts, documents, headersOfKey, replyOf } from '../operations.ts';
import type { OpenProgram } from '../programs.ts';
import { headersOf, type World } from '../world.ts';

interface Sent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly attempts: number;
}

/**
 * `fetch` of Chromium. The browser itself sends a request again, a POST too, if a connection that was kept alive closes before the answer. The
 * person sends again after a failure that the page sees.
 */
export async function openChromium({ networks }: World): Promise<OpenProgram> {
  const browser = await openBrowser();
  const page = await (await browser.newContext()).newPage();
  // Any page of this origin, so that no other origin is involved.
  await page.goto(`http://127.0.0.1:${networks[0]?.port}/health`);
  return {
    clientOf: (person) => ({
      async mutate({ kind, variables, key }) {
        const headers = { 'content-type': 'application/json', ...headersOf(person), ...headersOfKey(key) };
        const sent: Sent = { headers, body: JSON.stringify({ query: documents[kind], variables }), attempts };
        const answer = await page.evaluate<Parameters<typeof replyOf>[0] | undefined, Sent>(sendInPage, sent);
        return answer === undefined ? {} : replyOf(answer);
      },
    }),
    close: () => browser.close(),
  };
}

/** Runs in the page. */
async function sendInPage({ headers, body, attempts: most }: Sent): Promise<object | undefined> {
  for (let left = most; left > 0; left -= 1) {
    const response = await fetch('/graphql', { method: 'POST', headers, body }).catch(() => undefined);
    const answer = (await response?.json().catch(() => undefined)) as object | undefined;
    if (answer !== undefined) return answer;
  }
  return undefined;
}
