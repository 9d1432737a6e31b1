import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { composeServices as composeApollo } from '@apollo/composition';
import { composeServices as composeApolloUntil25 } from '@apollo/composition-2.5';
import { ApolloGateway } from '@apollo/gateway';
import { composeServices as composeGuild } from '@theguild/federation-composition';
import { federateSubgraphs, ROUTER_COMPATIBILITY_VERSION_ONE } from '@wundergraph/composition';
import { buildSchema, parse, print as printDocument } from 'graphql';
import { composeGrafbase, hasGrafbase } from './grafbase.ts';
import { parts } from './graph.ts';

/** The same subgraphs, with the print that has `@requiresScopes`. */
const scoped = parts.map((part) =>
  part.name === 'customers'
    ? { ...part, typeDefs: parse(readFileSync('schema/subgraph-scopes.graphql', 'utf8')) }
    : part,
);

for (const [print, services, hasScopes] of [
  ['schema/subgraph.graphql', parts, false],
  ['schema/subgraph-scopes.graphql', scoped, true],
] as const) {
  test(`${print} MUST compose with @apollo/composition without errors or hints`, () => {
    const { errors, hints, supergraphSdl = '' } = composeApollo(services);
    assert.deepEqual([errors ?? [], hints ?? []], [[], []]);
    assert.equal(supergraphSdl.includes('@requiresScopes(scopes: [["customer:token"]])'), hasScopes);
  });

  test(`${print} MUST compose with a composer that stops at federation 2.5, without errors or hints`, () => {
    const { errors, hints, supergraphSdl = '' } = composeApolloUntil25([...services]);
    assert.deepEqual([errors ?? [], hints ?? []], [[], []]);
    assert.equal(supergraphSdl.includes('@requiresScopes(scopes: [["customer:token"]])'), hasScopes);
  });

  test(`${print} MUST compose with @theguild/federation-composition`, () => {
    const { errors, supergraphSdl = '' } = composeGuild([...services]);
    assert.deepEqual(errors ?? [], []);
    assert.equal(supergraphSdl.includes('@requiresScopes(scopes: [["customer:token"]])'), hasScopes);
  });

  test(`${print} MUST compose with @wundergraph/composition without errors or warnings`, () => {
    const result = federateSubgraphs({
      subgraphs: services.map(({ name, url, typeDefs }) => ({ name, url, definitions: typeDefs })),
      version: ROUTER_COMPATIBILITY_VERSION_ONE,
    });
    assert.ok(result.success, result.success ? '' : result.errors.join('\n'));
    assert.deepEqual(result.warnings, []);
    const customers = result.subgraphConfigBySubgraphName.get('customers')?.configurationDataByTypeName;
    assert.deepEqual(
      customers?.get('Customer')?.keys?.map(({ selectionSet }) => selectionSet),
      ['id', 'objectReferenceId'],
    );
    const scopes = result.fieldConfigurations.flatMap(({ requiredScopes = [] }) => requiredScopes.flat());
    assert.deepEqual(new Set(scopes), new Set(hasScopes ? ['customer:read', 'customer:write', 'customer:token'] : []));
  });
}

if (hasGrafbase) {
  for (const [print, services, hasScopes] of [
    ['schema/subgraph.graphql', parts, false],
    ['schema/subgraph-scopes.graphql', scoped, true],
  ] as const) {
    test(`${print} MUST compose with the composer of Grafbase, with both keys`, () => {
      const { sdl, problems } = composeGrafbase(
        services.map(({ name, url, typeDefs }) => ({ name, url, sdl: printDocument(typeDefs) })),
      );
      assert.equal(problems, '');
      assert.match(
        sdl,
        /type Customer\s+@join__type\(graph: CUSTOMERS, key: "id"\)\s+@join__type\(graph: CUSTOMERS, key: "objectReferenceId"\)/,
      );
      assert.equal(sdl.includes('@requiresScopes(scopes: [["customer:token"]])'), hasScopes);
    });
  }
}

test('federation 2.5 is the oldest version that has @requiresScopes, and the composer that stops there MUST reject a newer one', () => {
  const errorsWith = (version: string) => {
    const sdl = readFileSync('schema/subgraph-scopes.graphql', 'utf8').replace(
      'federation/v2.5',
      `federation/${version}`,
    );
    const [customers, ...others] = parts;
    const { errors = [] } = composeApolloUntil25([
      { ...(customers ?? assert.fail()), typeDefs: parse(sdl) },
      ...others,
    ]);
    return errors.map(({ message }) => message).join('\n');
  };
  assert.equal(errorsWith('v2.5'), '');
  assert.match(errorsWith('v2.4'), /Cannot import unknown element "@requiresScopes"/);
  assert.match(errorsWith('v2.6'), /Invalid version v2\.6 for the federation feature/);
});

test('@apollo/gateway MUST use the print without scopes: it does not start with the other print', async () => {
  const { supergraphSdl = '' } = composeApollo(scoped);
  const silent = () => undefined;
  const logger = { debug: silent, info: silent, warn: silent, error: silent };
  await assert.rejects(new ApolloGateway({ supergraphSdl, logger }).load(), /requiresScopes/);
});

test('the supergraph of the example MUST have one customer type that only this gateway resolves, by either key', () => {
  const sdl = readFileSync('examples/bff/supergraph.graphql', 'utf8');
  assert.ok(buildSchema(sdl, { assumeValid: true }).getType('Customer'));
  const [line = ''] = /^type Customer .*$/m.exec(sdl) ?? [];
  assert.deepEqual(line.match(/@join__type\([^)]*\)/g), [
    '@join__type(graph: CUSTOMERS, key: "id")',
    '@join__type(graph: CUSTOMERS, key: "objectReferenceId")',
    '@join__type(graph: ORDERS, key: "id", resolvable: false)',
    '@join__type(graph: TICKETS, key: "objectReferenceId", resolvable: false)',
  ]);
});
