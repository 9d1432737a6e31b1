import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { anonymous } from '../../src/auth/caller.ts';
import { never } from '../../src/customers/cancellation.ts';
import type { Customer, CustomerApi } from '../../src/customers/customer.ts';
import { LazyPromise } from '../../src/customers/lazy-promise.ts';
import { GatewayError } from '../../src/errors.ts';
import type { Engine, OperationParams } from '../../src/execution/engine.ts';
import type { OperationContext } from '../../src/graphql/context.ts';

const plain: Customer = {
  id: 'cst_1',
  objectReferenceId: 'reference-1',
  firstName: 'Asha',
  lastName: null,
  emailAddress: 'asha@example.com',
  mobileNumber: '9000000001',
  mobileCountryCode: '91',
  dateCreated: new Date('2026-01-31T09:30:00Z'),
  lastUpdated: new Date('2026-01-31T09:30:00.120Z'),
};

/** `expiresInSeconds` of these tokens does not depend on the time. */
const token = { token: 'tok_1', expiresAt: new Date('2001-01-01T00:00:00Z') };

/** Values that no decoder lets through: a wrong type, an error, a promise, a function, an invalid date. */
const odd = {
  ...plain,
  firstName: 5,
  lastName: new TypeError('a bug'),
  emailAddress: Promise.resolve('later@example.com'),
  mobileNumber: { text: 'no leaf' },
  mobileCountryCode: () => '44',
  dateCreated: new Date(Number.NaN),
  lastUpdated: '2026',
  clientAuthToken: { token: null, expiresAt: new Date(Number.NaN) },
};

/** The customer of an id. `withToken` is whether the read requests a token. */
function customerOf(id: string, withToken: boolean): Customer | null {
  if (id === 'none') return null;
  if (id === 'fails') throw new GatewayError('UPSTREAM_UNAVAILABLE');
  if (id === 'throws') throw new TypeError('a bug');
  // A non-null field without a value.
  if (id === 'broken') return { ...plain, id: null as unknown as string };
  if (id === 'escapes') return { ...plain, firstName: 'a"b\\c\u0001é\u{1f600}\ud800', lastName: '\u2028' };
  if (id === 'odd') return odd as unknown as Customer;
  if (id === 'refused-token')
    return { ...plain, clientAuthToken: withToken ? new GatewayError('UPSTREAM_TIMEOUT') : null };
  return { ...plain, id, ...(withToken && { clientAuthToken: id === 'token' ? token : null }) };
}

function settle<Value>(promise: LazyPromise<Value>, read: () => Value): void {
  let value: Value;
  try {
    value = read();
  } catch (error) {
    promise.reject(error);
    return;
  }
  promise.resolve(value);
}

/**
 * Runs an operation of an anonymous caller.
 *
 * @param onContext called right before the operation is executed.
 */
export function runOperation(
  engine: Engine,
  params: OperationParams,
  customers: CustomerApi,
  { requester = '', onContext }: { readonly requester?: string; readonly onContext?: () => void } = {},
): ReturnType<Engine['run']> {
  const context: OperationContext = {
    requestId: 'r',
    caller: anonymous,
    customers,
    audit: () => undefined,
    write: { isSent: false, isReplayed: false },
    onUnexpected: (cause) => assert.fail(String(cause)),
  };
  return engine.run(params, {
    correlation: { requestId: 'r' },
    isGet: false,
    mediaType: 'application/json',
    requester,
    cancellation: never,
    createContext() {
      onContext?.();
      return context;
    },
  });
}

/** Customers that behave by their id. `calls` lists all calls. Readers of one id get the same object, as from a shared read. */
export function fakeCustomers(): { api: CustomerApi; calls: string[] } {
  const calls: string[] = [];
  const kept = new Map<string, Customer | null>();
  const wait = async (id: string) => {
    if (id === 'late') await nextTurn();
  };
  const keptCustomerOf = (id: string, withToken: boolean) => {
    const name = `${id} ${withToken}`;
    const customer = kept.get(name) ?? customerOf(id, withToken);
    kept.set(name, customer);
    return customer;
  };
  const api: CustomerApi = {
    get(key, options) {
      calls.push(`get ${JSON.stringify([key, options])}`);
      const id = Object.values(key).join();
      const withToken = options?.withClientAuthToken ?? false;
      const native = async () => {
        await wait(id);
        return keptCustomerOf(id, withToken);
      };
      // In turn: a promise, a lazy promise, and a lazy promise whose result is known.
      const kind = id === 'late' ? calls.length % 2 : calls.length % 3;
      if (kind === 0) return native();
      const lazy = new LazyPromise<Customer | null>();
      if (kind === 1)
        native()
          .then((customer) => lazy.resolve(customer))
          .catch((error: unknown) => lazy.reject(error));
      else settle(lazy, () => keptCustomerOf(id, withToken));
      return lazy;
    },
    async create(input, options) {
      calls.push(`create ${JSON.stringify([input, options])}`);
      const { emailAddress, objectReferenceId: reference } = input;
      await wait(reference);
      if (emailAddress.startsWith('exists')) throw new GatewayError('ALREADY_EXISTS');
      if (emailAddress.startsWith('bug')) throw new TypeError('a bug');
      const origin = emailAddress.startsWith('odd') ? ('OTHER' as 'CREATED') : 'CREATED';
      return { customer: { ...plain, ...(options?.withClientAuthToken && { clientAuthToken: token }) }, origin };
    },
    async update(id, changes) {
      calls.push(`update ${JSON.stringify([id, changes])}`);
      await wait(id);
      const customer = customerOf(id, false);
      if (customer === null) throw new GatewayError('NOT_FOUND');
      return customer;
    },
  };
  return { api, calls };
}
