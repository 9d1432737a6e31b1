import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setupServer } from 'msw/node';
import { newCustomer } from '../../test/support.ts';
import { CreateCustomerDocument, CustomerDocument, createCustomerClient } from '../src/client.ts';
import {
  createCustomerFixtures,
  customerFixtures,
  customerHandlers,
  mockCreateCustomer,
  mockCustomer,
} from '../src/msw.ts';

const url = 'http://gateway.test/graphql';
const server = setupServer(...customerHandlers());
before(() => server.listen({ onUnhandledRequest: 'error' }));
after(() => server.close());

for (const persisted of [false, true]) {
  const client = createCustomerClient({ url, persisted });
  const title = persisted ? 'by id' : 'by text';

  test(`the handlers MUST answer an operation sent ${title} with its fixture`, async () => {
    assert.deepEqual(await client.execute(CustomerDocument, { id: 'a' }), customerFixtures.byDefault);
    const outcome = await client.mutate(CreateCustomerDocument, { input: newCustomer('mocks-1') });
    assert.equal(outcome.status, 'success');
  });

  test(`the app’s own handler MUST take precedence for an operation sent ${title}`, async () => {
    server.use(
      mockCustomer(({ id }) =>
        id === 'gone'
          ? { customer: null }
          : { errors: [{ code: 'RATE_LIMITED', retryable: true, retryAfterSeconds: 3 }] },
      ),
      mockCreateCustomer(createCustomerFixtures.CustomerOutcomeUnknownError),
    );
    assert.deepEqual(await client.execute(CustomerDocument, { id: 'gone' }), { customer: null });
    await assert.rejects(client.execute(CustomerDocument, { id: 'busy' }), {
      code: 'RATE_LIMITED',
      retryAfterSeconds: 3,
    });
    const outcome = await client.mutate(CreateCustomerDocument, { input: newCustomer('mocks-2') });
    assert.equal(outcome.status, 'outcomeUnknown');
    server.resetHandlers();
  });
}
