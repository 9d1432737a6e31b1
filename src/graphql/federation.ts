import { Kind, type ValueNode, valueFromASTUntyped } from 'graphql';
import { type Customer, type CustomerKey, matchesKey } from '../customers/customer.ts';
import { GatewayError } from '../errors.ts';
import type { Builder } from './builder.ts';
import type { OperationContext } from './context.ts';
import { type CustomerRef, tokenOption } from './customer.ts';

/**
 * Defines the fields that a router needs from a subgraph. `_entities` reads customers by either key, through the same
 * layers as every other read; each entity fails alone. `_service` returns the SDL.
 *
 * `@apollo/subgraph` is not used, because it depends on a package with an Elastic license.
 *
 * @param sdl the result of `_service`; `undefined` omits the field.
 */
export function defineFederation(builder: Builder, CustomerRef: CustomerRef, sdl: (() => string) | undefined): void {
  builder.scalarType('_Any', {
    description: 'A representation of an entity: `__typename` and the fields of a key.',
    serialize: (value) => value,
    parseValue: (value) => value,
    parseLiteral: readLiteral,
  });
  const Entity = builder.unionType('_Entity', {
    description: 'The entities of this subgraph.',
    types: [CustomerRef],
    resolveType: () => 'Customer',
  });
  builder.queryField('_entities', (t) =>
    t.field({
      type: [Entity],
      nullable: { list: false, items: true },
      description:
        'For routers: customers by `id` or by `objectReferenceId`, in the order of `representations`. An item is null if the customer does not exist or you may not read it.',
      args: {
        representations: t.arg({ type: ['_Any'], required: true, description: 'The key fields of each entity.' }),
      },
      resolve: (_root, { representations }, context, info) => {
        // `_entities` is non-null, so a missing scope fails each item. All items share one error.
        if (!context.caller.scopes.has('customer:read')) {
          const refused = Promise.reject<null>(new GatewayError('FORBIDDEN'));
          // If the list is empty, no one else handles the rejection.
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
    description: 'For routers: the definition of this subgraph.',
    fields: (t) => ({ sdl: t.exposeString('sdl', { nullable: false, description: 'The SDL of the subgraph.' }) }),
  });
  builder.queryField('_service', (t) =>
    t.field({
      type: Service,
      nullable: false,
      description: 'For routers: the definition of this subgraph.',
      resolve: () => ({ sdl: sdl() }),
    }),
  );
}

/** Not async: a list has a hundred of them, and one key is the usual case. */
function resolveEntity(
  representation: unknown,
  { customers }: OperationContext,
  options: { withClientAuthToken: boolean },
): Promise<Customer | null> {
  const [key, other] = keysOf(representation);
  if (key === undefined) {
    const message = 'A representation must have __typename "Customer" and an id or an objectReferenceId.';
    return Promise.reject(new GatewayError('BAD_USER_INPUT', { message }));
  }
  const found = customers.get(key, options);
  if (other === undefined) return found;
  // With both keys, the customer must match both.
  return found.then((customer) => (customer !== null && matchesKey(customer, other) ? customer : null));
}

/** The keys of a representation: one or both; none if it is invalid. Routers send `null` for a key that they do not have. */
function keysOf(representation: unknown): readonly CustomerKey[] {
  if (typeof representation !== 'object' || representation === null) return [];
  const { __typename: typename, id: givenId, objectReferenceId } = representation as Partial<Record<string, unknown>>;
  const id = keyOf(givenId);
  const reference = keyOf(objectReferenceId);
  if (typename !== 'Customer' || id === undefined || reference === undefined) return [];
  if (reference === null) return id === null ? [] : [{ id }];
  return id === null ? [{ reference }] : [{ id }, { reference }];
}

/** `undefined`: invalid. A safe integer becomes its digits. Other numbers are invalid: JSON parsing may have rounded them. */
function keyOf(value: unknown): string | null | undefined {
  if (value == null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' ? value : undefined;
}

/** Converts a literal to plain data. An integer stays a string, which is exact at any length. A float becomes NaN: no key is a float. */
function readLiteral(node: ValueNode, variables: Readonly<Record<string, unknown>> | null | undefined): unknown {
  if (node.kind === Kind.INT) return node.value;
  if (node.kind === Kind.FLOAT) return Number.NaN;
  if (node.kind === Kind.LIST) return node.values.map((item) => readLiteral(item, variables));
  if (node.kind !== Kind.OBJECT) return valueFromASTUntyped(node, variables);
  return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, readLiteral(value, variables)]));
}
