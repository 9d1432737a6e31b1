import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement, Suspense } from 'react';
import { renderToString } from 'react-dom/server';
import { renderToReadableStream } from 'react-dom/server.edge';
import { createCustomerClient } from '../src/client.ts';
import { CustomerProvider, useClientAuthToken, useCustomerClient } from '../src/react.ts';

const sent: unknown[] = [];
const client = createCustomerClient({
  url: 'http://gateway.test/graphql',
  async fetch(_input, init) {
    sent.push(init?.body);
    return Response.json({ data: { customer: null } });
  },
});

function Token({ id }: { id: string | undefined }) {
  return createElement('p', null, useClientAuthToken(id).status);
}

function Client() {
  return createElement('p', null, typeof useCustomerClient().execute);
}

const within = (child: ReturnType<typeof createElement>) => createElement(CustomerProvider, { client }, child);

test('useClientAuthToken MUST throw in server rendering and request no token', async () => {
  assert.throws(() => renderToString(within(createElement(Token, { id: 'u7' }))), /does not run in server rendering/);
  assert.deepEqual(sent, []);
});

test('inside Suspense the server MUST render the rest of the page, without the token', async () => {
  const errors: unknown[] = [];
  const page = within(
    createElement(
      'main',
      null,
      createElement(Suspense, { fallback: 'a moment' }, createElement(Token, { id: 'u7' })),
      createElement(Client),
    ),
  );
  const stream = await renderToReadableStream(page, { onError: (error: unknown) => void errors.push(error) });
  const html = await new Response(stream).text();
  assert.match(html, /a moment/);
  assert.match(html, /<p>function<\/p>/);
  assert.equal(errors.length, 1);
  assert.deepEqual(sent, []);
});

test('without an id useClientAuthToken MUST be idle in server rendering', () => {
  assert.equal(renderToString(within(createElement(Token, { id: undefined }))), '<p>idle</p>');
});

test('a hook outside a CustomerProvider MUST throw an error that names the provider', () => {
  assert.throws(() => renderToString(createElement(Client)), /<CustomerProvider client=/);
  assert.throws(() => renderToString(createElement(Token, { id: 'u7' })), /<CustomerProvider client=/);
});
