import { createServer } from 'node:http';
import { createGatewayRuntime, type GatewayContext, type GatewayPlugin } from '@graphql-hive/gateway-runtime';
import { useDeduplicateRequest } from '@graphql-hive/plugin-deduplicate-request';
import rest from '@graphql-mesh/transport-rest';
import type { GraphQLResolveInfo } from 'graphql';
import { selectsField } from './graphql.ts';
import { type Customer, environment, headersFor, tokenOption } from './juspay.ts';

const { port, upstream } = environment();
const headers = Object.entries(headersFor('')).filter(([name]) => name !== 'x-routing-id');

/** A field with another name at the provider. */
const renamed = (name: string, type: string, theirs = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) =>
  `${name}: ${type} @source(name: "${theirs}", type: "${type}", subgraph: "juspay")`;

/**
 * One subgraph, the REST API, in the form that the compose command of GraphQL Mesh prints. The dates are texts: the transport prints
 * `DateTime` with milliseconds, unlike the provider.
 */
const supergraph = /* GraphQL */ `
  schema
    @link(url: "https://specs.apollo.dev/link/v1.0")
    @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
    @link(
      url: "https://the-guild.dev/graphql/mesh/spec/v1.0"
      import: [
        "@httpOperation"
        "@transport"
        "@source"
        "@resolveRoot"
        "@statusCodeTypeName"
        "@extraSchemaDefinitionDirective"
      ]
    ) {
    query: Query
    mutation: Mutation
  }

  directive @join__graph(name: String!, url: String!) on ENUM_VALUE
  directive @join__type(graph: join__Graph!) repeatable on ENUM | INPUT_OBJECT | OBJECT | SCALAR | UNION
  directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
  directive @extraSchemaDefinitionDirective(directives: _DirectiveExtensions) repeatable on OBJECT
  directive @transport(subgraph: String, kind: String, location: String, headers: [[String]]) repeatable on SCHEMA
  directive @httpOperation(
    subgraph: String
    path: String
    operationSpecificHeaders: [[String]]
    httpMethod: HTTPMethod
  ) repeatable on FIELD_DEFINITION
  directive @source(name: String!, type: String, subgraph: String!) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION
  directive @resolveRoot(subgraph: String) repeatable on FIELD_DEFINITION
  directive @statusCodeTypeName(subgraph: String, statusCode: String, typeName: String) repeatable on UNION

  scalar _DirectiveExtensions @join__type(graph: JUSPAY)
  enum HTTPMethod @join__type(graph: JUSPAY) {
    GET
    POST
  }
  enum join__Graph {
    JUSPAY @join__graph(name: "juspay", url: "${upstream}")
  }

  type Query
    @extraSchemaDefinitionDirective(
      directives: {
        transport: [
          { subgraph: "juspay", kind: "rest", location: "${upstream}", headers: ${JSON.stringify(headers)} }
        ]
      }
    )
    @join__type(graph: JUSPAY) {
    customer(id: ID!): Customer
      @httpOperation(
        subgraph: "juspay"
        path: "/customers/{args.id}"
        operationSpecificHeaders: [["x-routing-id", "{args.id}"]]
        httpMethod: GET
      )
  }

  type Mutation @join__type(graph: JUSPAY) {
    createCustomer(input: CreateCustomerInput!): CreateCustomerResult
      @httpOperation(
        subgraph: "juspay"
        path: "/customers"
        operationSpecificHeaders: [
          ["content-type", "application/x-www-form-urlencoded"]
          ["x-routing-id", "{args.input.object_reference_id}"]
        ]
        httpMethod: POST
      )
  }

  type Customer @join__type(graph: JUSPAY) {
    id: ID!
    ${renamed('objectReferenceId', 'String')}
    ${renamed('firstName', 'String')}
    ${renamed('lastName', 'String')}
    ${renamed('emailAddress', 'String')}
    ${renamed('mobileNumber', 'String')}
    ${renamed('mobileCountryCode', 'String')}
    ${renamed('dateCreated', 'String')}
    ${renamed('lastUpdated', 'String')}
    ${renamed('clientAuthToken', 'ClientAuthToken', 'juspay')}
  }

  type ClientAuthToken @join__type(graph: JUSPAY) {
    ${renamed('token', 'String!', 'client_auth_token')}
    ${renamed('expiresAt', 'String!', 'client_auth_token_expiry')}
  }

  input CreateCustomerInput @join__type(graph: JUSPAY) {
    ${renamed('objectReferenceId', 'String!')}
    ${renamed('mobileNumber', 'String!')}
    ${renamed('emailAddress', 'String!')}
    ${renamed('firstName', 'String')}
    ${renamed('lastName', 'String')}
    ${renamed('mobileCountryCode', 'String')}
  }

  union CreateCustomerResult
    @statusCodeTypeName(subgraph: "juspay", statusCode: "200", typeName: "CreateCustomerSuccess")
    @join__type(graph: JUSPAY)
    @join__unionMember(graph: JUSPAY, member: "CreateCustomerSuccess") =
      CreateCustomerSuccess

  type CreateCustomerSuccess @join__type(graph: JUSPAY) {
    customer: Customer! @resolveRoot(subgraph: "juspay")
  }
`;

type Context = GatewayContext & {
  /** Hive Gateway adds the root fields of each subgraph to the context. */
  readonly juspay: {
    readonly Query: {
      customer(call: {
        root: unknown;
        args: { id: string };
        context: Context;
        info: GraphQLResolveInfo;
      }): Promise<Customer | null>;
    };
  };
};

/** The configuration of the transport cannot depend on what is selected. */
const tokenIfSelected: GatewayPlugin = {
  onFetch({ url, setURL, options, setOptions, info }) {
    if (!selectsField(info, 'juspay')) return;
    if (options.method === 'GET') setURL(`${url}?${tokenOption}=true`);
    else setOptions({ ...options, body: `${options.body}&${tokenOption}=true` });
  },
};

const gateway = createGatewayRuntime({
  supergraph,
  transports: { rest },
  additionalTypeDefs: /* GraphQL */ `
    extend type Query {
      customers(ids: [ID!]!): [Customer]
    }
    extend type ClientAuthToken {
      expiresInSeconds: Int!
    }
    extend type CreateCustomerSuccess {
      origin: CreateCustomerOrigin!
    }
    enum CreateCustomerOrigin {
      CREATED
      RECONCILED
    }
  `,
  additionalResolvers: {
    Query: {
      customers: (root: unknown, { ids }: { ids: string[] }, context: Context, info: GraphQLResolveInfo) =>
        ids.map((id) => context.juspay.Query.customer({ root, args: { id }, context, info })),
    },
    ClientAuthToken: {
      expiresInSeconds: {
        selectionSet: '{ expiresAt }',
        resolve: ({ expiresAt }: { expiresAt: string }) =>
          Math.max(0, Math.floor((Date.parse(expiresAt) - Date.now()) / 1000)),
      },
    },
    CreateCustomerSuccess: { origin: () => 'CREATED' },
  },
  // The second plugin merges equal reads of an operation. Its types are those of an older version of Hive Gateway.
  plugins: () => [tokenIfSelected, useDeduplicateRequest() as never],
  logging: false,
});

createServer(gateway).listen(port, '127.0.0.1');
