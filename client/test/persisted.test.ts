import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { print } from 'graphql';
import { CustomerAst, customerErrorOf } from '../src/apollo.ts';
import { startTestGateway } from '../src/testing.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Apollo's own client, without the kit: it sends the hash alone, and the document beside it once the gateway does not know the hash. */
async function withApollo(
  settings: Record<string, string>,
  run: (apollo: ApolloClient, sent: object[]) => Promise<void>,
) {
  const gateway = await startTestGateway({ settings });
  const sent: object[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    const { query, extensions } = JSON.parse(String(init?.body)) as {
      query?: string;
      extensions?: { persistedQuery?: object };
    };
    sent.push({ hasText: query !== undefined, hasHash: extensions?.persistedQuery !== undefined });
    return gateway.fetch(input, init);
  };
  const apollo = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.from([new PersistedQueryLink({ sha256 }), new HttpLink({ uri: gateway.url, fetch })]),
  });
  try {
    await run(apollo, sent);
  } finally {
    apollo.stop();
    await gateway.close();
  }
}

const own = gql`query Own { customer(id: "u7") { id __typename } }`;

test('the link of Apollo Client MUST send the document where the gateway does not know its hash, and be answered', () =>
  withApollo({}, async (apollo, sent) => {
    const { data } = await apollo.query<{ customer: { id: string } }>({ query: own });
    assert.equal(data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [
      { hasText: false, hasHash: true },
      { hasText: true, hasHash: true },
    ]);
  }));

test('the link of Apollo Client MUST need the hash alone where the manifest has the document, also with PERSISTED_ONLY', () =>
  withApollo({ PERSISTED_ONLY: 'on' }, async (apollo, sent) => {
    assert.equal(CustomerAst.documentId, `sha256:${sha256(print(CustomerAst))}`);
    const { data } = await apollo.query<{ customer: { id: string } }>({ query: CustomerAst, variables: { id: 'u7' } });
    assert.equal(data?.customer.id, 'cst_0123456789abcdef');
    assert.deepEqual(sent, [{ hasText: false, hasHash: true }]);
    const failed = await apollo.query({ query: own, fetchPolicy: 'network-only' }).catch((error: unknown) => error);
    assert.equal(customerErrorOf(failed)?.code, 'PERSISTED_QUERY_ONLY');
  }));
