import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { graphql } from 'graphql';
import { anonymous, type Caller } from '../../src/auth/caller.ts';
import { batched } from '../../src/customers/batching.ts';
import { never } from '../../src/customers/cancellation.ts';
import { coalescing } from '../../src/customers/coalescing.ts';
import { type Customer, type CustomerApi, type Operation, reading } from '../../src/customers/customer.ts';
import { InFlightReads } from '../../src/customers/in-flight-reads.ts';
import { owned } from '../../src/customers/ownership.ts';
import { OperationRecord } from '../../src/customers/record.ts';
import { type Resource, tracked } from '../../src/customers/tracking.ts';
import { GatewayError } from '../../src/errors.ts';
import type { OperationContext } from '../../src/graphql/context.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { storedCustomer as stored } from '../support.ts';

const schema = buildSchema();
/** A customer whose reference cannot be read: an error in any layer that inspects the result of a write. */
const broken: Customer = {
  ...stored,
  get objectReferenceId(): never {
    throw new TypeError('a fault of the gateway');
  },
};

interface Setup {
  readonly caller?: Caller;
  /** The client at the bottom of the layers. */
  readonly client?: (operation: Operation) => Partial<CustomerApi>;
  /** Held during each write. */
  readonly resources?: readonly Resource[];
  readonly layer?: (api: CustomerApi) => CustomerApi;
}

/** Runs a mutation with the layers of the gateway. Returns the result, the audited outcomes and the reported errors. */
async function run(source: string, { caller = anonymous, client, resources = [], layer = (api) => api }: Setup) {
  const audited: string[] = [];
  const reported: unknown[] = [];
  const write = { isSent: false, isReplayed: false };
  const operation: Operation = {
    requestId: 'r',
    caller: 'c',
    record: new OperationRecord(),
    cancellation: never,
    deadlineAtMs: performance.now() + 60_000,
    onWriteSent: () => {
      write.isSent = true;
    },
  };
  const api = (own: Operation): CustomerApi => ({
    get: async () => stored,
    async create() {
      own.onWriteSent?.();
      return { customer: stored, origin: 'CREATED' };
    },
    async update() {
      own.onWriteSent?.();
      return stored;
    },
    ...client?.(own),
  });
  const open = tracked(coalescing(new InFlightReads((own) => reading(api(own))))(operation), resources);
  const contextValue: OperationContext = {
    requestId: 'r',
    caller,
    audit: ({ outcome }) => audited.push(outcome),
    write,
    onUnexpected: (cause) => reported.push(cause),
    customers: layer(owned(batched(open, { maxReads: 10, record: operation.record }), caller)),
  };
  const { data, errors } = await graphql({ schema, source, contextValue });
  return {
    data: JSON.parse(JSON.stringify(data)) as unknown,
    errors: errors?.map(({ path, originalError }) => [path?.join('.'), originalError?.name]),
    audited,
    reported: reported.map((cause) => (cause instanceof Error ? cause.name : cause)),
  };
}

const mutations = {
  createCustomer:
    'createCustomer(input: { objectReferenceId: "reference-1", mobileNumber: "1", emailAddress: "a@b.io" })',
  updateCustomer: 'updateCustomer(id: "reference-1", input: { firstName: "A" })',
};
const selection = '{ __typename ... on CustomerError { code retryable } }';
const unknownOutcome = { __typename: 'CustomerOutcomeUnknownError', code: 'OUTCOME_UNKNOWN', retryable: true };

const fails = async () => {
  throw new TypeError('a fault of the gateway');
};
const failing = { create: fails, update: fails };
const bound: Caller = { ...anonymous, customers: ['reference-1'] };
/** Faults after the write was sent, by the layer that throws. */
const faultsAfterwards: Readonly<Record<string, Setup>> = {
  'the client': {
    client: ({ onWriteSent }) => ({
      create: () => Promise.resolve(onWriteSent?.()).then(fails),
      update: () => Promise.resolve(onWriteSent?.()).then(fails),
    }),
  },
  'coalescing reads': {
    client: (operation) => ({
      async create() {
        operation.onWriteSent?.();
        return { customer: broken, origin: 'CREATED' };
      },
      async update() {
        operation.onWriteSent?.();
        return broken;
      },
    }),
  },
  'the outermost layer': {
    layer: (api) => ({
      get: (key, options) => api.get(key, options),
      create: async (...args) => api.create(...args).then(fails),
      update: async (...args) => api.update(...args).then(fails),
    }),
  },
  'the outermost layer, with an error of another meaning': {
    layer: (api) => ({
      get: (key, options) => api.get(key, options),
      create: (...args) => api.create(...args).then(() => Promise.reject(new GatewayError('FORBIDDEN'))),
      update: (...args) => api.update(...args).then(() => Promise.reject(new GatewayError('OPERATION_TOO_COMPLEX'))),
    }),
  },
};

for (const [field, call] of Object.entries(mutations)) {
  for (const [layer, setup] of Object.entries(faultsAfterwards)) {
    test(`an error of ${layer} after the write was sent MUST be the unknown outcome, and MUST be reported: ${field}`, async () => {
      const { data, errors, audited, reported } = await run(`mutation { ${call} ${selection} }`, setup);
      assert.deepEqual([data, errors], [{ [field]: unknownOutcome }, undefined]);
      assert.deepEqual(audited, ['OUTCOME_UNKNOWN']);
      assert.deepEqual(reported, [layer.endsWith('meaning') ? 'GatewayError' : 'TypeError']);
    });
  }

  test(`an unexpected error before the write was sent MUST stay one, also after another write: ${field}`, async () => {
    let writes = 0;
    const layer = (api: CustomerApi): CustomerApi => ({
      get: (key, options) => api.get(key, options),
      create: (...args) => (writes++ > 0 ? fails() : api.create(...args)),
      update: (...args) => (writes++ > 0 ? fails() : api.update(...args)),
    });
    const { data, errors, audited, reported } = await run(
      `mutation { a: ${call} { __typename } ${call} ${selection} }`,
      {
        layer,
      },
    );
    const success = { __typename: field === 'createCustomer' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess' };
    assert.deepEqual([data, errors], [{ a: success, [field]: null }, [[field, 'TypeError']]]);
    assert.deepEqual(audited.slice(1), ['INTERNAL_SERVER_ERROR']);
    // The executor reports it.
    assert.deepEqual(reported, []);
  });

  test(`a fault in counting writes in progress MUST NOT change the result of the write: ${field}`, async () => {
    const fault = () => {
      throw new TypeError('a fault');
    };
    const { data, errors } = await run(`mutation { ${call} { __typename } }`, {
      resources: [{ acquire: fault, release: fault }],
    });
    const success = { __typename: field === 'createCustomer' ? 'CreateCustomerSuccess' : 'UpdateCustomerSuccess' };
    assert.deepEqual([data, errors], [{ [field]: success }, undefined]);
  });

  test(`an unexpected error behind an unknown outcome MUST be reported: ${field}`, async () => {
    const unknown = () => Promise.reject(new GatewayError('OUTCOME_UNKNOWN', { cause: new TypeError('a fault') }));
    const { data, reported } = await run(`mutation { ${call} ${selection} }`, {
      client: () => ({ create: unknown, update: unknown }),
    });
    assert.deepEqual([data, reported], [{ [field]: unknownOutcome }, ['TypeError']]);
  });
}

test('an unexpected error of the read that checks the owner MUST stay one: the write was not sent', async () => {
  const { data, errors } = await run(`mutation { ${mutations.updateCustomer} ${selection} }`, {
    caller: bound,
    client: () => ({ get: fails, ...failing }),
  });
  assert.deepEqual([data, errors], [{ updateCustomer: null }, [['updateCustomer', 'TypeError']]]);
});

test('an unexpected error of the read of a token after an update MUST fail only the token', async () => {
  const { data, errors } = await run(
    `mutation { ${mutations.updateCustomer} { ... on UpdateCustomerSuccess { customer { id clientAuthToken { token } } } } }`,
    { client: () => ({ get: fails }) },
  );
  assert.deepEqual(data, { updateCustomer: { customer: { id: 'cth_1', clientAuthToken: null } } });
  assert.deepEqual(errors, [['updateCustomer.customer.clientAuthToken', 'TypeError']]);
});

for (const [kind, error, reported] of [
  ['an unexpected error', new TypeError('a fault of the gateway'), ['TypeError', 'TypeError']],
  ['a failed call', new GatewayError('UPSTREAM_TIMEOUT'), []],
] as const) {
  test(`existing and differingFields MUST be null without a GraphQL error after ${kind}`, async () => {
    const fields = '{ ... on CustomerAlreadyExistsError { existing { id } differingFields } }';
    const result = await run(`mutation { ${mutations.createCustomer} ${fields} }`, {
      client: () => ({
        get: () => Promise.reject(error),
        create: () => Promise.reject(new GatewayError('ALREADY_EXISTS')),
      }),
    });
    assert.deepEqual(result.data, { createCustomer: { existing: null, differingFields: null } });
    assert.equal(result.errors, undefined);
    // Both fields share one read.
    assert.deepEqual(result.reported, reported);
  });
}
