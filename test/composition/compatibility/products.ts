import SchemaBuilder from '@pothos/core';
import DirectivesPlugin from '@pothos/plugin-directives';
import FederationPlugin from '@pothos/plugin-federation';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { DirectiveLocation, GraphQLDirective, type GraphQLSchema } from 'graphql';

// The subgraph that the compatibility suite requires, with its data. Like the gateway's schema, it uses Pothos and its scopes. The federation
// plugin is for tests only, because it depends on a package with the Elastic license.

interface Research {
  readonly study: { readonly caseNumber: string; readonly description?: string };
  readonly outcome?: string;
}
interface Product {
  readonly id: string;
  readonly sku: string;
  readonly package: string;
  readonly variation: { readonly id: string };
  readonly research: readonly Research[];
}
interface DeprecatedProduct {
  readonly sku: string;
  readonly package: string;
  readonly reason: string;
}
interface User {
  readonly email: string;
  readonly name?: string;
  readonly totalProductsCreated?: number;
  readonly yearsOfEmployment?: number;
}

const federation: Research = { study: { caseNumber: '1234', description: 'Federation Study' } };
const studio: Research = { study: { caseNumber: '1235', description: 'Studio Study' } };
const products: readonly Product[] = [
  {
    id: 'apollo-federation',
    sku: 'federation',
    package: '@apollo/federation',
    variation: { id: 'OSS' },
    research: [federation],
  },
  { id: 'apollo-studio', sku: 'studio', package: '', variation: { id: 'platform' }, research: [studio] },
];
const deprecated: DeprecatedProduct = {
  sku: 'apollo-federation-v1',
  package: '@apollo/federation-v1',
  reason: 'Migrate to Federation V2',
};
const author: User = {
  email: 'support@apollographql.com',
  name: 'Jane Smith',
  totalProductsCreated: 1337,
  yearsOfEmployment: 10,
};

export function buildProducts(): GraphQLSchema {
  const builder = new SchemaBuilder<{ AuthScopes: { reader: boolean } }>({
    plugins: [ScopeAuthPlugin, DirectivesPlugin, FederationPlugin],
    scopeAuth: { authScopes: () => ({ reader: true }) },
    // Without this option the printed schema contains `@0(name: …)`.
    directives: { useGraphQLToolsUnorderedDirectives: true },
  });

  const UserRef = builder
    .externalRef('User', builder.selection<{ email: string }>('email'), ({ email }): User | null =>
      email === author.email ? author : null,
    )
    .implement({
      externalFields: (t) => ({
        email: t.id({ nullable: false }),
        totalProductsCreated: t.int(),
        yearsOfEmployment: t.int({ nullable: false }),
      }),
      fields: (t) => ({
        name: t.string({ override: { from: 'users' }, resolve: ({ name }) => name ?? null }),
        averageProductsCreatedPerYear: t.int({
          requires: builder.selection<{ totalProductsCreated?: number; yearsOfEmployment: number }>(
            'totalProductsCreated yearsOfEmployment',
          ),
          resolve: ({ totalProductsCreated, yearsOfEmployment }) =>
            totalProductsCreated === undefined ? null : Math.round(totalProductsCreated / yearsOfEmployment),
        }),
      }),
    });

  const Variation = builder.objectRef<Product['variation']>('ProductVariation').implement({
    fields: (t) => ({ id: t.exposeID('id', { nullable: false }) }),
  });
  const Dimension = builder.objectRef<{ size: string; weight: number; unit: string }>('ProductDimension').implement({
    shareable: true,
    fields: (t) => ({
      size: t.exposeString('size'),
      weight: t.exposeFloat('weight'),
      unit: t.exposeString('unit', { inaccessible: true }),
    }),
  });
  const Study = builder.objectRef<Research['study']>('CaseStudy').implement({
    fields: (t) => ({
      caseNumber: t.exposeID('caseNumber', { nullable: false }),
      description: t.string({ resolve: ({ description }) => description ?? null }),
    }),
  });
  const ResearchRef = builder.objectRef<Research>('ProductResearch').implement({
    fields: (t) => ({
      study: t.field({ type: Study, nullable: false, resolve: ({ study }) => study }),
      outcome: t.string({ resolve: ({ outcome }) => outcome ?? null }),
    }),
  });
  builder.asEntity(ResearchRef, {
    key: builder.selection<{ study: { caseNumber: string } }>('study { caseNumber }'),
    resolveReference: ({ study: { caseNumber } }) =>
      [federation, studio].find(({ study }) => study.caseNumber === caseNumber) ?? null,
  });

  const DeprecatedRef = builder.objectRef<DeprecatedProduct>('DeprecatedProduct').implement({
    fields: (t) => ({
      sku: t.exposeString('sku', { nullable: false }),
      package: t.exposeString('package', { nullable: false }),
      reason: t.exposeString('reason'),
      createdBy: t.field({ type: UserRef, resolve: () => author }),
    }),
  });
  builder.asEntity(DeprecatedRef, {
    key: builder.selection<{ sku: string; package: string }>('sku package'),
    resolveReference: ({ sku }) => (sku === deprecated.sku ? deprecated : null),
  });

  const ProductRef = builder.objectRef<Product>('Product').implement({
    directives: [{ name: 'custom', args: {} }],
    fields: (t) => ({
      id: t.exposeID('id', { nullable: false }),
      sku: t.exposeString('sku'),
      package: t.exposeString('package'),
      variation: t.field({ type: Variation, resolve: ({ variation }) => variation }),
      dimensions: t.field({ type: Dimension, resolve: () => ({ size: 'small', weight: 1, unit: 'kg' }) }),
      createdBy: t.field({
        type: UserRef.provides<{ totalProductsCreated: number }>('totalProductsCreated'),
        resolve: () => ({ ...author, totalProductsCreated: author.totalProductsCreated ?? 0 }),
      }),
      notes: t.string({ tag: 'internal', resolve: () => null }),
      research: t.field({ type: [ResearchRef], nullable: false, resolve: ({ research }) => [...research] }),
    }),
  });
  builder.asEntity(ProductRef, {
    key: [
      builder.selection<{ id: string }>('id'),
      builder.selection<{ sku: string; package: string }>('sku package'),
      builder.selection<{ sku: string; variation: { id: string } }>('sku variation { id }'),
    ],
    resolveReference: (key) =>
      products.find((product) =>
        'id' in key
          ? product.id === key.id
          : product.sku === key.sku &&
            ('package' in key ? product.package === key.package : product.variation.id === key.variation.id),
      ) ?? null,
  });

  const Inventory = builder.objectRef<{ id: string }>('Inventory').implement({
    fields: (t) => ({
      id: t.exposeID('id', { nullable: false }),
      deprecatedProducts: t.field({ type: [DeprecatedRef], nullable: false, resolve: () => [deprecated] }),
    }),
  });
  builder.asEntity(Inventory, {
    key: builder.selection<{ id: string }>('id'),
    resolveReference: ({ id }) => ({ id }),
    interfaceObject: true,
  });

  builder.queryType({
    fields: (t) => ({
      product: t.field({
        type: ProductRef,
        authScopes: { reader: true },
        args: { id: t.arg.id({ required: true }) },
        resolve: (_root, { id }) => products.find((product) => product.id === id) ?? null,
      }),
      deprecatedProduct: t.field({
        type: DeprecatedRef,
        authScopes: { reader: true },
        deprecationReason: 'Use product query instead',
        args: { sku: t.arg.string({ required: true }), package: t.arg.string({ required: true }) },
        resolve: (_root, { sku, package: name }) =>
          sku === deprecated.sku && name === deprecated.package ? deprecated : null,
      }),
    }),
  });

  return builder.toSubGraphSchema({
    linkUrl: 'https://specs.apollo.dev/federation/v2.3',
    composeDirectives: ['@custom'],
    directives: [new GraphQLDirective({ name: 'custom', locations: [DirectiveLocation.OBJECT] })],
    extensions: {
      directives: [{ name: 'link', args: { url: 'https://myspecs.dev/myCustomDirective/v1.0', import: ['@custom'] } }],
    },
  });
}
