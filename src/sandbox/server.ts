import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerAdmin } from './admin.ts';
import { type Call, createCallLog } from './calls.ts';
import { errorBodies } from './errors.ts';
import { type ArmedFault, faults, readMagic } from './faults.ts';
import type { Sandbox, SandboxOptions } from './sandbox.ts';
import { createStore, type Fields, formatCustomer, type Stored } from './store.ts';

export type { ArmedFault } from './faults.ts';
export type { Sandbox, SandboxOptions } from './sandbox.ts';
export { dateForms, dialects } from './store.ts';

const maxBodyBytes = 256 * 1024;

/**
 * Serves the provider's three calls on a local port. The state is in memory, ids are deterministic, and every fault of the
 * error catalogue can be provoked.
 *
 * @throws the system's error, such as `EADDRINUSE`.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { host = '127.0.0.1', apiKey = 'sandbox_api_key', merchantId = 'sandbox_merchant' } = options;
  const { dialect = 'real', dates = 'utc', strict = false, json = false, now = () => new Date() } = options;
  const store = createStore({ uniqueReferences: options.uniqueReferences ?? true, tidy: options.tidy ?? false, now });
  const callLog = createCallLog({ json });
  const timers = new Set<NodeJS.Timeout>();
  const triggeredIds = new Set<string>();
  let armed: { fault: ArmedFault; left: number }[] = [];

  const server = createServer((request, response) => {
    const answer = async () => {
      const body = await readBody(request);
      if (request.url?.startsWith('/__admin')) answerAdmin({ request, response, body, sandbox });
      else handle(request, response, body);
    };
    // An armed fault can be invalid, for example a header with a line break. Only this call fails then.
    answer().catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  if (options.background) server.unref().on('connection', (socket) => socket.unref());

  const sandbox: Sandbox = {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    apiKey,
    merchantId,
    get customers() {
      return store.all();
    },
    get calls() {
      return callLog.all();
    },
    clearCalls: callLog.clear,
    whenCalled: callLog.whenCalled,
    arm(fault) {
      armed.push({ fault, left: fault.times ?? 1 });
    },
    disarm() {
      armed = [];
    },
    reset() {
      store.reset();
      callLog.clear();
      triggeredIds.clear();
      armed = [];
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return sandbox;

  function handle(request: IncomingMessage, response: ServerResponse, body: string): void {
    const call = callLog.record(request, response, body);
    const reply = (status: number, content: object | string) => {
      const isText = typeof content === 'string';
      response
        .writeHead(status, {
          'content-type': isText ? 'text/plain' : 'application/json',
          'x-request-id': `req_${call.number}`,
        })
        .end(isText ? content : JSON.stringify(content));
    };
    const refused = authorise(request, apiKey);
    if (refused !== undefined) return reply(refused, refused === 403 ? 'Forbidden' : errorBodies.unauthorized);
    if (call.route === 'other') return reply(404, 'Not Found');
    if (strict && call.route !== 'update' && request.headers['x-merchantid'] === undefined) {
      return reply(400, errorBodies.missing('x-merchantid'));
    }

    const fault = takeFault(call);
    const proceed = (): void => {
      const outcome = execute(call);
      if (outcome.customer) reply(200, formatFor(call, outcome.customer));
      else reply(outcome.status, outcome.error);
    };
    if (fault === undefined) return proceed();
    call.fault = fault.fault;
    // Many faults need a customer object. Execute the write first if `afterCommit` is set. If no customer exists, invent one.
    const done = fault.afterCommit ? execute(call).customer : undefined;
    faults[fault.fault].respond({
      response,
      customer: formatFor(call, done ?? store.find(call.pathId) ?? invented(call)),
      retryAfter: fault.retryAfter !== undefined ? fault.retryAfter : fault.fault === '429' ? '1' : null,
      delayMs: fault.delayMs ?? 1000,
      proceed: fault.afterCommit && done ? () => reply(200, formatFor(call, done)) : proceed,
      after(ms, then) {
        const timer = setTimeout(() => {
          timers.delete(timer);
          if (!response.destroyed) then();
        }, ms);
        timers.add(timer);
      },
    });
  }

  /** Returns the first armed fault that matches, or else the fault that the options choose, or else that of a magic id. */
  function takeFault(call: Call): ArmedFault | undefined {
    const match = armed.find(
      ({ fault: { on, pathId } }) =>
        (on === undefined || on === call.route) && (pathId === undefined || pathId === call.pathId),
    );
    if (match !== undefined) {
      match.left -= 1;
      if (match.left <= 0) armed = armed.filter((entry) => entry !== match);
      return match.fault;
    }
    const chosen = options.faultOf?.(call);
    if (chosen !== undefined) return chosen;
    const magic = readMagic(call.pathId);
    if (magic === undefined || (magic.afterCommit && call.route === 'get')) return undefined;
    if (magic.once && triggeredIds.has(call.pathId)) return undefined;
    triggeredIds.add(call.pathId);
    return { fault: magic.fault, afterCommit: magic.afterCommit };
  }

  /** Executes the call on the store. */
  function execute(call: Call): { customer: Stored } | { customer?: undefined; status: number; error: object } {
    if (call.route === 'get') {
      const customer = store.find(call.pathId);
      return customer ? { customer } : { status: 404, error: errorBodies.notFound };
    }
    const fields = call.form ?? {};
    const wrong = findWrongField(call.route, fields, strict);
    if (wrong !== undefined) return { status: 400, error: wrong };
    const customer = call.route === 'create' ? store.create(fields) : store.find(call.pathId);
    if (customer === undefined) {
      return call.route === 'create'
        ? { status: 400, error: errorBodies.duplicate }
        : { status: 404, error: errorBodies.notFound };
    }
    if (call.route === 'update') store.update(customer, fields);
    call.committed = true;
    return { customer };
  }

  function formatFor(call: Call, customer: Stored): Record<string, unknown> {
    const asked = call.route === 'get' ? call.query : call.route === 'create' ? (call.form ?? {}) : {};
    return formatCustomer(customer, {
      dialect,
      dates,
      now,
      withToken: asked['options.get_client_auth_token'] === 'true',
    });
  }

  function invented(call: Call): Stored {
    const text = (name: string) => call.form?.[name] ?? null;
    return {
      id: 'cth_Fa0ultFa0ultFa0u',
      objectReferenceId: call.pathId,
      mobileNumber: text('mobile_number') ?? '9000000000',
      emailAddress: text('email_address'),
      firstName: text('first_name'),
      lastName: text('last_name'),
      mobileCountryCode: text('mobile_country_code') ?? '91',
      dateCreated: now(),
      lastUpdated: now(),
    };
  }
}

/**
 * Checks the key: 403 if it is missing or unreadable, 401 if it is wrong. Both encodings in use are accepted: the key with
 * and without a trailing colon.
 */
function authorise(request: IncomingMessage, apiKey: string): 401 | 403 | undefined {
  const [scheme, encoded] = (request.headers.authorization ?? '').split(' ');
  if (scheme !== 'Basic' || !encoded || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return 403;
  return Buffer.from(encoded, 'base64').toString().replace(/:.*$/s, '') === apiKey ? undefined : 401;
}

function findWrongField(route: Call['route'], fields: Fields, strict: boolean): object | undefined {
  const mobile = fields['mobile_number'];
  const referenceLength = [...(fields['object_reference_id'] ?? '')].length;
  if (route === 'create' && (referenceLength < 1 || referenceLength > 128))
    return errorBodies.invalid('object_reference_id');
  if (route === 'create' && mobile === undefined) return errorBodies.missing('mobile_number');
  if (mobile !== undefined && !/^\d{1,16}$/.test(mobile)) return errorBodies.invalid('mobile_number');
  if (!strict) return undefined;
  if (route === 'create' && referenceLength < 8) return errorBodies.invalid('object_reference_id');
  if (route === 'create' && !fields['email_address']) return errorBodies.missing('email_address');
  return Object.keys(fields).length === 0 ? errorBodies.missing('mobile_number') : undefined;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes <= maxBodyBytes) chunks.push(chunk);
    }
  } catch {
    // The caller disconnected during the upload. The log keeps the part that arrived.
  }
  return Buffer.concat(chunks).toString();
}
