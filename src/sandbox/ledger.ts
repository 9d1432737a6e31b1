import type { IncomingMessage, ServerResponse } from 'node:http';

/** One call as it came in, and what became of it. */
export interface Call {
  readonly number: number;
  readonly method: string;
  /** The request target, as it was sent. */
  readonly target: string;
  readonly route: 'create' | 'get' | 'update' | 'other';
  /** Decoded; on a create the object reference id. */
  readonly pathId: string;
  readonly query: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>> | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Whether it changed a customer. */
  committed: boolean;
  fault?: string;
  /** Of the answer; 0 while there is none. */
  status: number;
  /** Whether the caller went away before the answer was complete. */
  abandoned: boolean;
  /** Resolves when the answer is complete, or the caller is gone. */
  readonly closed: Promise<void>;
}

/**
 * What was asked of the provider: the evidence of tests.
 *
 * @param json whether flat JSON counts as a form, where the call says that it is JSON.
 */
export function createLedger({ json }: { json: boolean }) {
  let calls: Call[] = [];
  let count = 0;
  const watchers = new Set<(call: Call) => void>();
  return {
    all: (): readonly Call[] => calls,
    clear() {
      calls = [];
    },
    record(request: IncomingMessage, response: ServerResponse, body: string): Call {
      count += 1;
      const { method = '', url = '/', headers } = request;
      const [path = '', query = ''] = url.split('?');
      const isJson = json && headers['content-type']?.startsWith('application/json');
      const form = method === 'POST' ? (isJson ? readJson(body) : Object.fromEntries(new URLSearchParams(body))) : null;
      const segment = /^\/customers\/([^/]+)$/.exec(path)?.[1];
      const isCreate = method === 'POST' && path === '/customers';
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      const call: Call = {
        number: count,
        method,
        target: url,
        route: isCreate
          ? 'create'
          : segment === undefined
            ? 'other'
            : method === 'GET'
              ? 'get'
              : method === 'POST'
                ? 'update'
                : 'other',
        pathId: isCreate ? (form?.['object_reference_id'] ?? '') : decode(segment ?? ''),
        query: Object.fromEntries(new URLSearchParams(query)),
        form,
        headers: { ...headers },
        committed: false,
        status: 0,
        abandoned: false,
        closed,
      };
      calls.push(call);
      response.once('finish', () => {
        call.status = response.statusCode;
      });
      response.once('close', () => {
        call.abandoned = !response.writableFinished;
        close();
      });
      for (const watcher of watchers) watcher(call);
      return call;
    },
    async whenCalled(matches: (call: Call) => boolean): Promise<Call> {
      const past = calls.find(matches);
      if (past !== undefined) return past;
      return new Promise((resolve) => {
        const watcher = (call: Call) => {
          if (!matches(call)) return;
          watchers.delete(watcher);
          resolve(call);
        };
        watchers.add(watcher);
      });
    },
  };
}

/** Texts as they are, numbers and booleans as text; anything else is left out. */
function readJson(body: string): Record<string, string> {
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    return {};
  }
  return Object.fromEntries(
    Object.entries(fields ?? {})
      .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
      .map(([name, value]) => [name, String(value)]),
  );
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
