import { Kind, type ValueNode, valueFromASTUntyped } from 'graphql';
import { type Customer, type CustomerKey, matchesKey } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOption } from './customer.ts';

/**
 * What a router asks a subgraph for: entities by either key, read through the same layers as every other customer, each
 * null or failing on its own; and, where introspection is on, the subgraph's own text.
 *
 * Built here rather than on `@apollo/subgraph`, which brings an Elastic-licensed package along.
 *
 * @param sdl what `_service` tells; `undefined` leaves the field out.
 */
export function defineFederation(builder: Builder, CustomerRef: CustomerRef, sdl: (() => string) | undefined): void {
  builder.scalarType('_Any', {
    description: 'A representation of an entity: `__typename`, and the fields of one of its keys.',
    serialize: (value) => value,
    parseValue: (value) => value,
    parseLiteral: readLiteral,
  });
  const Entity = builder.unionType('_Entity', {
    description: 'Everything that this subgraph can resolve by a key.',
    types: [CustomerRef],
    resolveType: () => 'Customer',
  });
  builder.queryField('_entities', (t) =>
    t.field({
      type: [Entity],
      nullable: { list: false, items: true },
      description: 'For routers: customers by `id` or by `objectReferenceId`, in order; null where there is none.',
      args: {
        representations: t.arg({ type: ['_Any'], required: true, description: 'What the router knows of each.' }),
      },
      resolve: (_root, { representations }, context, info) => {
        // `_entities` itself cannot be null, so a missing scope fails each of them. One error serves all.
        if (!context.caller.scopes.has('customer:read')) {
          const refused = Promise.reject<null>(new GatewayError('FORBIDDEN'));
          // The list may be empty.
          refused.catch(() => undefined);
          return representations.map(() => refused);
        }
        const options = tokenOption(context, info);
        return representations.map((representation) => resolveEntity(representation, context, options));
      },
    }),
  );
  if (sdl === undefined) return;
  const Service = builder.objectRef<{ sdl: string }>('_Service').implement({
    description: 'For routers: what this subgraph is.',
    fields: (t) => ({ sdl: t.exposeString('sdl', { nullable: false, description: 'The text of the subgraph.' }) }),
  });
  builder.queryField('_service', (t) =>
    t.field({
      type: Service,
      nullable: false,
      description: 'For routers: what this subgraph is.',
      resolve: () => ({ sdl: sdl() }),
    }),
  );
}

/** A bad representation fails alone. */
async function resolveEntity(
  representation: unknown,
  { customers }: OperationContext,
  options: { withClientAuthToken: boolean },
): Promise<Customer | null> {
  const [key, other] = keysOf(representation);
  if (key === undefined) {
    throw new GatewayError('BAD_USER_INPUT', {
      message: 'A representation names a Customer by id or by objectReferenceId.',
    });
  }
  const customer = await customers.get(key, options);
  // Who names both means a customer that has both; one of them alone would be somebody else.
  return customer !== null && other !== undefined && !matchesKey(customer, other) ? null : customer;
}

/** One key, or both; none where the representation is no customer's. A key that is null is one that the router lacks. */
function keysOf(representation: unknown): readonly CustomerKey[] {
  if (typeof representation !== 'object' || representation === null) return [];
  const { __typename: typename, ...keys } = representation as Partial<Record<string, unknown>>;
  const id = keyOf(keys['id']);
  const reference = keyOf(keys['objectReferenceId']);
  if (typename !== 'Customer' || id === undefined || reference === undefined) return [];
  return [...(id === null ? [] : [{ id }]), ...(reference === null ? [] : [{ reference }])];
}

/** `undefined` is no key. A JSON number is its digits where it is exact; others were rounded before it got here. */
function keyOf(value: unknown): string | null | undefined {
  if (value == null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' ? value : undefined;
}

/** A literal as plain data. Integers stay texts, which are exact at any length; no key is written as a float. */
function readLiteral(node: ValueNode, variables: Readonly<Record<string, unknown>> | null | undefined): unknown {
  if (node.kind === Kind.INT) return node.value;
  if (node.kind === Kind.FLOAT) return Number.NaN;
  if (node.kind === Kind.LIST) return node.values.map((item) => readLiteral(item, variables));
  if (node.kind !== Kind.OBJECT) return valueFromASTUntyped(node, variables);
  return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, readLiteral(value, variables)]));
}
