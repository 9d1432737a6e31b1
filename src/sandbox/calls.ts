import type { IncomingMessage, ServerResponse } from 'node:http';

/** A received call and its result. */
export interface Call {
  readonly number: number;
  readonly method: string;
  /** The request target, unchanged. */
  readonly target: string;
  readonly route: 'create' | 'get' | 'update' | 'other';
  /** Decoded. The object reference id for a create. */
  readonly pathId: string;
  readonly query: Readonly<Record<string, string>>;
  readonly form: Readonly<Record<string, string>> | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Whether it changed a customer. */
  committed: boolean;
  fault?: string;
  /** Status of the response; 0 before it is sent. */
  status: number;
  /** Whether the caller disconnected before the response was complete. */
  abandoned: boolean;
  /** Resolves when the response is complete or the caller is disconnected. */
  readonly closed: Promise<void>;
}

/**
 * Records the calls, so that tests can assert them.
 *
 * @param json accepts flat JSON bodies as forms.
 */
export function createCallLog({ json }: { json: boolean }) {
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

/** Strings unchanged, numbers and booleans as strings. Other values are ignored. */
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
