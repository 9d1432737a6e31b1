import {
  type Customer,
  type CustomerApi,
  type CustomerKey,
  changedOperation,
  matchesKey,
  type Operation,
  pathIdOf,
  type Reader,
  type ReadingApi,
  type ReadOptions,
} from '../customers/customer.ts';
import { parseExactJson } from '../customers/exact-json.ts';
import { isPathId } from '../customers/identity.ts';
import type { CustomerChanges, NewCustomer } from '../customers/input.ts';
import type { CallKind } from '../customers/record.ts';
import { GatewayError } from '../errors.ts';
import { correlationOf, type Log } from '../telemetry/log.ts';
import type { Call, UpstreamResponse } from './exchange.ts';
import { type Policy, reading, writing } from './policy.ts';
import { CallFailure, isErrorBody, malformed, NoSuchCustomer, refusal, refusalOfRepeat } from './refusal.ts';
import type { Resilience } from './resilience.ts';
import type { Task } from './task.ts';
import { customerPath, decodeCustomer, encodeForm } from './wire.ts';
import { type Calls, createWrites, type Writes } from './writes.ts';

/**
 * Implements {@link ReadingApi} with the provider's three calls, for each operation. Create one client per merchant: it queues
 * the writes of one customer.
 *
 * @see Customer APIs 3.2
 */
export function createClient(resilience: Resilience, log: Log): (operation: Operation) => ReadingApi {
  const calls: Calls = {
    get: (key, operation, policy, withClientAuthToken) =>
      new Promise((resolve, reject) =>
        resilience.call(new ReadTask(key, { operation, policy, withToken: withClientAuthToken, log }), {
          resolve,
          reject,
        }),
      ),
    create(input, operation, withClientAuthToken) {
      const reference = input.objectReferenceId;
      const form = encodeForm(input, withClientAuthToken);
      const call: Call = {
        method: 'POST',
        path: '/customers',
        routingId: encodeURIComponent(reference),
        form,
        withToken: withClientAuthToken,
      };
      return write('create', call, operation, (answer, isRepeat) => {
        try {
          return customerOf('create', answer, { reference }, operation, withClientAuthToken, log);
        } catch (failure) {
          throw isRepeat && failure instanceof CallFailure ? refusalOfRepeat(failure) : failure;
        }
      });
    },
    update(id, changes, operation) {
      const form = encodeForm(changes);
      const routingId = encodeURIComponent(id);
      const call: Call = { method: 'POST', path: customerPath(routingId), routingId, form, withToken: false };
      return write('update', call, operation, (answer) =>
        customerOf('update', answer, { any: id }, operation, false, log),
      );
    },
  };
  const writes = createWrites(calls);

  const parts: ClientParts = { resilience, writes, log };

  return (operation) => new OperationClient(operation, parts);

  /** Makes a write. An unexpected error after it was sent is an ambiguous outcome, which `writes` settles. */
  function write(
    kind: 'create' | 'update',
    call: Call,
    operation: Operation,
    decode: (answer: UpstreamResponse, isRepeat: boolean) => Customer,
  ): Promise<Customer> {
    let isSent = false;
    const onWriteSent = () => {
      isSent = true;
      operation.onWriteSent?.();
    };
    const task: Task<Customer> = {
      call,
      operation: changedOperation(operation, { onWriteSent }),
      policy: writing(kind),
      decode,
      recover(failure) {
        if (!isSent || failure instanceof CallFailure || failure instanceof NoSuchCustomer) throw failure;
        // Logged here, because the write may still succeed.
        log.error('unexpected error', { ...correlationOf(operation), cause: failure });
        throw new CallFailure(new GatewayError('OUTCOME_UNKNOWN', { cause: failure }), 'unknown', 'never');
      },
    };
    return new Promise((resolve, reject) => resilience.call(task, { resolve, reject }));
  }
}

/** What the operations of a merchant share. */
interface ClientParts {
  readonly resilience: Resilience;
  readonly writes: Writes;
  readonly log: Log;
}

/** The client of one operation. */
class OperationClient implements ReadingApi {
  readonly #operation: Operation;
  readonly #shared: ClientParts;

  constructor(operation: Operation, shared: ClientParts) {
    this.#operation = operation;
    this.#shared = shared;
  }

  get(key: CustomerKey, options: ReadOptions = {}): Promise<Customer | null> {
    return new Promise((resolve, reject) => this.read(key, options, { resolve, reject }));
  }

  read(key: CustomerKey, { withClientAuthToken = false }: ReadOptions, reader: Reader): void {
    const operation = this.#operation;
    const { resilience, log } = this.#shared;
    if (isPathId(pathIdOf(key))) {
      resilience.call(new ReadTask(key, { operation, policy: reading, withToken: withClientAuthToken, log }), reader);
    } else {
      reader.reject(new GatewayError('BAD_USER_INPUT', { message: 'The id is not a valid customer id.' }));
    }
  }

  create(input: NewCustomer, { withClientAuthToken = false }: ReadOptions = {}): ReturnType<CustomerApi['create']> {
    return this.#shared.writes.create(input, this.#operation, withClientAuthToken);
  }

  update(id: string, changes: CustomerChanges): Promise<Customer> {
    return this.#shared.writes.update(id, changes, this.#operation);
  }
}

/** A read: the call, and what becomes of its responses. One object with methods, because lists create a hundred of them. */
class ReadTask implements Task<Customer | null>, Call {
  readonly method = 'GET';
  readonly path: string;
  readonly routingId: string;
  readonly withToken: boolean;
  readonly operation: Operation;
  readonly policy: Policy;
  readonly #key: CustomerKey;
  readonly #log: Log;

  constructor(
    key: CustomerKey,
    options: {
      readonly operation: Operation;
      readonly policy: Policy;
      readonly withToken: boolean;
      readonly log: Log;
    },
  ) {
    this.#key = key;
    this.#log = options.log;
    this.operation = options.operation;
    this.policy = options.policy;
    this.withToken = options.withToken;
    this.routingId = encodeURIComponent(pathIdOf(key));
    this.path = customerPath(this.routingId, options.withToken);
  }

  get call(): Call {
    return this;
  }

  decode(answer: UpstreamResponse): Customer | null {
    const key = this.#key;
    const any = 'any' in key ? key : { any: pathIdOf(key) };
    const customer = customerOf('get', answer, any, this.operation, this.withToken, this.#log);
    // The path accepts both identifiers. If the key names one of them, the other one must not match.
    return any === key || matchesKey(customer, key) ? customer : null;
  }

  recover(failure: unknown): null {
    if (failure instanceof NoSuchCustomer) return null;
    throw failure instanceof CallFailure ? failure.error : failure;
  }
}

/**
 * Decodes a response and checks that it has the requested customer.
 *
 * @throws NoSuchCustomer if the provider reports that there is none; CallFailure for every other response.
 */
function customerOf(
  kind: CallKind,
  { status, headers, body }: UpstreamResponse,
  key: CustomerKey,
  operation: Operation,
  withClientAuthToken: boolean,
  log: Log,
): Customer {
  const json = body === null ? undefined : parseJson(body);
  if (status < 200 || status > 299 || body === null || isErrorBody(json)) {
    throw refusal(kind, { status, headers, body: json, readable: body !== null });
  }
  const customer = decodeCustomer(json, withClientAuthToken, (field) =>
    log[levelOf(operation, `unreadable ${field}`)]('upstream field is unreadable', {
      ...correlationOf(operation),
      field,
    }),
  );
  if (customer?.clientAuthToken && !(customer.clientAuthToken instanceof GatewayError)) operation.record.tokens += 1;
  if (customer === undefined || !matchesKey(customer, key)) throw malformed();
  if (customer.clientAuthToken === null) {
    log[levelOf(operation, 'no client auth token')]('provider returned no client auth token', {
      ...correlationOf(operation),
      call: kind,
    });
  }
  return customer;
}

/** Only the first failure of a name in an operation is logged as a warning. */
function levelOf(operation: Operation, failure: string): 'warn' | 'debug' {
  return (operation.onFailure?.(failure) ?? true) ? 'warn' : 'debug';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Rejects a BOM and invalid UTF-8, so that a damaged body is never accepted as a customer. */
function parseJson(body: Buffer): unknown {
  try {
    return parseExactJson(utf8.decode(body));
  } catch {
    return undefined;
  }
}
