import { buildASTSchema, parse } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';

/** Addresses in the committed supergraph. `start.ts` replaces them with the real ones. */
export const addresses = {
  customers: 'http://127.0.0.1:4000/graphql',
  orders: 'http://127.0.0.1:4001/graphql',
  tickets: 'http://127.0.0.1:4002/graphql',
} as const;

export type SubgraphName = keyof typeof addresses;

const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])';

/**
 * Orders reference a customer by the provider's id. The stub declares only the key that every order has.
 * `Order.customer` is nullable, because a customer can be deleted, invisible to this caller, or fail.
 */
export const ordersSdl = `${link}

type Query {
  order(id: ID!): Order
  orders: [Order!]!
}

type Order {
  id: ID!
  total: String!
  customer: Customer
}

type Customer @key(fields: "id", resolvable: false) {
  id: ID!
}
`;

/** Tickets reference a customer by your object reference id. */
export const ticketsSdl = `${link}

type Query {
  ticket(id: ID!): Ticket
  tickets: [Ticket!]!
}

type Ticket {
  id: ID!
  subject: String!
  customer: Customer
}

type Customer @key(fields: "objectReferenceId", resolvable: false) {
  objectReferenceId: String
}
`;

export interface Order {
  readonly id: string;
  readonly total: string;
  readonly customer: { readonly id: string } | null;
}

export interface Ticket {
  readonly id: string;
  readonly subject: string;
  readonly customer: { readonly objectReferenceId: string } | null;
}

/** The subgraph of orders, in memory. It resolves no entities, because no other subgraph extends its types. */
export function createOrders(orders: readonly Order[]) {
  const order = ({ id }: { id: string }) => orders.find((one) => one.id === id) ?? null;
  return serve(ordersSdl, { order, orders });
}

/** The subgraph of tickets, in memory. */
export function createTickets(tickets: readonly Ticket[]) {
  const ticket = ({ id }: { id: string }) => tickets.find((one) => one.id === id) ?? null;
  return serve(ticketsSdl, { ticket, tickets });
}

function serve(sdl: string, rootValue: object) {
  const withRoot: Plugin = {
    onExecute({ args }) {
      args.rootValue = rootValue;
    },
  };
  return createYoga({
    // Only the composer uses the directives, so the executed schema does not define them.
    schema: buildASTSchema(parse(sdl), { assumeValidSDL: true }),
    plugins: [withRoot],
    graphiql: false,
    landingPage: false,
    logging: false,
  });
}
