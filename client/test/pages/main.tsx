import { type CreateCustomerInput, createCustomerClient } from 'juspay-customer-client/client';
import { CustomerProvider, useClientAuthToken } from 'juspay-customer-client/react';
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import type { Flavour, Shown } from './flavour.ts';

/** What the test says in the address: which hooks, where the gateway is, and a token that it takes. */
const settings = new URLSearchParams(location.hash.slice(1));
const setting = (name: string) => settings.get(name) ?? '';

/** Loaded one by one, as an app has one of them. */
const flavours: Readonly<Record<string, () => Promise<{ flavour: Flavour }>>> = {
  'react-query': () => import('./react-query.tsx'),
  urql: () => import('./urql.tsx'),
  apollo: () => import('./apollo.tsx'),
};

/** The sandbox's first new customer: asked for before there is one. */
const first = { id: 'cth_Sb00000000000001', reference: 'new-person-1' };
const person = (objectReferenceId: string, more: Partial<CreateCustomerInput> = {}): CreateCustomerInput => ({
  objectReferenceId,
  mobileNumber: '9000000042',
  emailAddress: 'noor@example.com',
  firstName: 'Noor',
  ...more,
});

let renewals = 0;
let token = 'a-token-that-is-none';
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
if (loaded === undefined) throw new Error('There is no such flavour.');
const { flavour } = loaded;
const { Provider, cached } = flavour.start(client);

function Board() {
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
  const [, look] = useState(0);

  const run = (send: () => Promise<object | undefined>) => () => {
    setOutcome(undefined);
    send().then(
      (result) => setOutcome(result ?? { status: 'none' }),
      (error) => setOutcome({ thrown: String(error) }),
    );
  };
  const actions: Readonly<Record<string, () => void>> = {
    create: run(() => create(person(first.reference))),
    'create otherwise': run(() => create(person(first.reference, { mobileNumber: '9000000043' }))),
    'create wrongly': run(() => create(person(first.reference, { mobileNumber: '+91 9' }))),
    'create with token': run(async () => {
      const result = await createWithToken(person('new-person-2'));
      if (result?.status === 'success') setTokenOf(result.customer.id);
      return result;
    }),
    update: run(() => update(first.reference, { firstName: 'Noor Inayat' })),
    'update nobody': run(() => update('nobody', { firstName: 'Noor' })),
    'read what fails': () => setWanted('fault_unauthorized'),
    'look into the cache': () => look((count) => count + 1),
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
  return customer === null ? 'nobody' : (customer.firstName ?? 'somebody');
}

function text<Value>({ value, code }: Shown<Value>, say: (value: Value) => string): string {
  if (code !== undefined) return code;
  return value === undefined ? 'waiting' : say(value);
}

createRoot(document.getElementById('root') ?? document.body).render(
  <StrictMode>
    <CustomerProvider client={client}>
      <Provider>
        <Board />
      </Provider>
    </CustomerProvider>
  </StrictMode>,
);
