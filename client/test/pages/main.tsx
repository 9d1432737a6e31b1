import { type CreateCustomerInput, createCustomerClient } from 'juspay-customer-client/client';
import { CustomerProvider, useClientAuthToken } from 'juspay-customer-client/react';
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import type { Flavour, ReadResult } from './flavour.ts';

/** The test passes the flavour, the address of the gateway and a valid token in the fragment of the URL. */
const settings = new URLSearchParams(location.hash.slice(1));
const setting = (name: string) => settings.get(name) ?? '';

/** Imported lazily, so that the page contains one flavour only. */
const flavours: Readonly<Record<string, () => Promise<{ flavour: Flavour }>>> = {
  'react-query': () => import('./react-query.tsx'),
  urql: () => import('./urql.tsx'),
  apollo: () => import('./apollo.tsx'),
};

/** The first customer that the sandbox creates. The page reads it before it exists. */
const first = { id: 'cth_Sb00000000000001', reference: 'new-person-1' };
const person = (objectReferenceId: string, more: Partial<CreateCustomerInput> = {}): CreateCustomerInput => ({
  objectReferenceId,
  mobileNumber: '9000000042',
  emailAddress: 'noor@example.com',
  firstName: 'Noor',
  ...more,
});

let renewals = 0;
let token = 'an-invalid-token';
const client = createCustomerClient({
  url: setting('gateway'),
  persisted: setting('persisted') === 'on',
  headers: () => ({ authorization: `Bearer ${token}` }),
  refresh: async () => {
    renewals += 1;
    token = setting('token');
  },
});

const loaded = await flavours[setting('flavour')]?.();
if (loaded === undefined) throw new Error('Unknown flavour.');
const { flavour } = loaded;
const { Provider, cached } = flavour.start(client);

function TestPage() {
  const byId = flavour.useCustomer(first.id);
  const byReference = flavour.useCustomer(first.reference);
  const list = flavour.useCustomers(['asha.rao@example.com', first.id, first.reference]);
  const [wanted, setWanted] = useState<string>();
  const third = flavour.useCustomer(wanted);
  const create = flavour.useCreate();
  const createWithToken = flavour.useCreateWithToken();
  const update = flavour.useUpdate();
  const [outcome, setOutcome] = useState<object>();
  const [tokenOf, setTokenOf] = useState<string>();
  const clientAuthToken = useClientAuthToken(tokenOf);
  const [, rerender] = useState(0);

  const run = (send: () => Promise<object | undefined>) => () => {
    setOutcome(undefined);
    send().then(
      (result) => setOutcome(result ?? { status: 'none' }),
      (error) => setOutcome({ thrown: String(error) }),
    );
  };
  const actions: Readonly<Record<string, () => void>> = {
    create: run(() => create(person(first.reference))),
    'create with other values': run(() => create(person(first.reference, { mobileNumber: '9000000043' }))),
    'create with invalid values': run(() => create(person(first.reference, { mobileNumber: '+91 9' }))),
    'create with token': run(async () => {
      const result = await createWithToken(person('new-person-2'));
      if (result?.status === 'success') setTokenOf(result.customer.id);
      return result;
    }),
    update: run(() => update(first.reference, { firstName: 'Noor Inayat' })),
    'update a missing customer': run(() => update('no-such-customer', { firstName: 'Noor' })),
    'read a failing customer': () => setWanted('fault_unauthorized'),
    'show the cache': () => rerender((count) => count + 1),
  };
  return (
    <>
      {Object.entries(actions).map(([name, act]) => (
        <button type="button" key={name} onClick={act}>
          {name}
        </button>
      ))}
      <dl>
        <Line name="by id" text={text(byId, nameOf)} />
        <Line name="by reference" text={text(byReference, nameOf)} />
        <Line name="list" text={text(list, (customers) => customers.map(nameOf).join(', '))} />
        <Line name="third" text={text(third, nameOf)} />
        <Line name="outcome" text={outcome ? JSON.stringify(outcome) : 'waiting'} />
        <Line name="token" text={clientAuthToken.status} />
        <Line name="renewals" text={String(renewals)} />
        <Line name="cached" text={cached()} />
      </dl>
    </>
  );
}

function Line({ name, text: shown }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-testid={name}>{shown}</dd>
    </div>
  );
}

function nameOf(customer: { readonly firstName: string | null } | null): string {
  return customer === null ? 'none' : (customer.firstName ?? 'unnamed');
}

function text<Value>({ value, code }: ReadResult<Value>, format: (value: Value) => string): string {
  if (code !== undefined) return code;
  return value === undefined ? 'waiting' : format(value);
}

createRoot(document.getElementById('root') ?? document.body).render(
  <StrictMode>
    <CustomerProvider client={client}>
      <Provider>
        <TestPage />
      </Provider>
    </CustomerProvider>
  </StrictMode>,
);
