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

test('the hook of the token MUST refuse server rendering, and mint nothing there', async () => {
  assert.throws(() => renderToString(within(createElement(Token, { id: 'u7' }))), /mints nothing in server rendering/);
  assert.deepEqual(sent, []);
});

test('in a Suspense the rest of the page MUST be rendered, and the token be left to the browser', async () => {
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

test('without an id there is nothing to refuse, and the hook MUST wait', () => {
  assert.equal(renderToString(within(createElement(Token, { id: undefined }))), '<p>idle</p>');
});

test('a hook outside the provider MUST say what is missing', () => {
  assert.throws(() => renderToString(createElement(Client)), /<CustomerProvider client=/);
  assert.throws(() => renderToString(createElement(Token, { id: 'u7' })), /<CustomerProvider client=/);
});
