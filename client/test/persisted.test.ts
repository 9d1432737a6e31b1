import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { persistedExchange } from '@urql/exchange-persisted';
import { type DocumentNode, print } from 'graphql';
import { Client, fetchExchange } from 'urql';
import { CustomerAst, customerErrorOf } from '../src/apollo.ts';
import { startTestGateway } from '../src/testing.ts';

// The persisted-query middleware of Apollo Client and of urql, without the kit, against the running gateway.

interface SentRequest {
  readonly hasText: boolean;
  readonly hasHash: boolean;
}

interface Endpoint {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly sent: readonly SentRequest[];
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const unlisted = 'query Own { customer(id: "u7") { id __typename } }';
const hashOnly: SentRequest = { hasText: false, hasHash: true };
const hashAndText: SentRequest = { hasText: true, hasHash: true };

/** Runs a test against a gateway and records which of the hash and the text each request contains. */
async function withGateway(settings: Record<string, string>, run: (endpoint: Endpoint) => Promise<void>) {
  const gateway = await startTestGateway({ settings });
  const sent: SentRequest[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    const { query, extensions } = JSON.parse(String(init?.body)) as {
      query?: string;
      extensions?: { persistedQuery?: object };
    };
    sent.push({ hasText: query !== undefined, hasHash: extensions?.persistedQuery !== undefined });
    return gateway.fetch(input, init);
  };
  try {
    await run({ url: gateway.url, fetch, sent });
  } finally {
    await gateway.close();
  }
}

async function withApollo(
  settings: Record<string, string>,
  run: (apollo: ApolloClient, sent: readonly SentRequest[]) => Promise<void>,
) {
  await withGateway(settings, async ({ url, fetch, sent }) => {
    const apollo = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([new PersistedQueryLink({ sha256 }), new HttpLink({ uri: url, fetch })]),
    });
    try {
      await run(apollo, sent);
    } finally {
      apollo.stop();
    }
  });
}

async function withUrql(
  settings: Record<string, string>,
  run: (urql: Client, sent: readonly SentRequest[]) => Promise<void>,
) {
  await withGateway(settings, ({ url, fetch, sent }) => {
    // urql prints documents in its own layout, so the hash of a listed document must come from its `documentId`.
    const generateHash = async (text: string, document: DocumentNode & { documentId?: string }) =>
      document.documentId?.replace('sha256:', '') ?? sha256(text);
    const persisted = persistedExchange({ preferGetForPersistedQueries: false, generateHash });
    const exchanges = [persisted, fetchExchange];
    return run(new Client({ url, fetch, preferGetMethod: false, exchanges }), sent);
  });
}

test('the persisted-query link of Apollo Client MUST send the text after the gateway reports an unknown hash, and get the data', () =>
  withApollo({}, async (apollo, sent) => {
    const { data } = await apollo.query<{ customer: { id: string } }>({ query: gql(unlisted) });
    assert.equal(data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [hashOnly, hashAndText]);
  }));

test('with PERSISTED_ONLY the link of Apollo Client MUST get data with the hash of a document in the manifest, and an error for any other', () =>
  withApollo({ PERSISTED_ONLY: 'on' }, async (apollo, sent) => {
    assert.equal(CustomerAst.documentId, `sha256:${sha256(print(CustomerAst))}`);
    const { data } = await apollo.query<{ customer: { id: string } }>({ query: CustomerAst, variables: { id: 'u7' } });
    assert.equal(data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [hashOnly]);
    const failed = await apollo
      .query({ query: gql(unlisted), fetchPolicy: 'network-only' })
      .catch((error: unknown) => error);
    assert.equal(customerErrorOf(failed)?.code, 'PERSISTED_QUERY_ONLY');
  }));

test('the persisted exchange of urql MUST send the text after the message PersistedQueryNotFound, and get the data', () =>
  withUrql({}, async (urql, sent) => {
    const { data, error } = await urql.query<{ customer: { id: string } }>(unlisted, {}).toPromise();
    assert.equal(error, undefined);
    assert.equal(data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [hashOnly, hashAndText]);
  }));

test('with PERSISTED_ONLY the persisted exchange of urql MUST get data with the hash of a document in the manifest, and an error for any other', () =>
  withUrql({ PERSISTED_ONLY: 'on' }, async (urql, sent) => {
    const known = await urql.query(CustomerAst as DocumentNode, { id: 'u7' }).toPromise();
    assert.equal(known.data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [hashOnly]);
    const { data, error } = await urql.query(unlisted, {}).toPromise();
    assert.equal(data, undefined);
    assert.equal(customerErrorOf(error)?.code, 'PERSISTED_QUERY_ONLY');
  }));
