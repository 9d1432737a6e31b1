import SchemaBuilder from '@pothos/core';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { GraphQLError } from 'graphql';
import type { Scope } from '../customers/access.ts';
import { GatewayError } from '../errors.ts';
import type { OperationContext } from './context.ts';

/** Context, scalars and scopes of the schema. */
export interface Types {
  Context: OperationContext;
  AuthScopes: { scope: Scope };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    /** Of routers; see `federation.ts`. */
    _Any: { Input: unknown; Output: unknown };
  };
}

export type Builder = ReturnType<typeof createBuilder>;

/** A builder with the scalars, and no types. One per schema, so that two schemas never share anything. */
export function createBuilder() {
  // One error for all: it says the same everywhere, and thousands of fields may lack one scope.
  const forbidden = new GatewayError('FORBIDDEN');
  const builder = new SchemaBuilder<Types>({
    plugins: [ScopeAuthPlugin],
    scopeAuth: {
      authScopes: ({ caller }) => ({ scope: (scope) => caller.scopes.has(scope) }),
      // At the field alone: the rest of the answer stands.
      unauthorizedError: (_parent, { audit }, { parentType, fieldName }) => {
        if (parentType.name === 'Mutation') audit({ field: fieldName, subject: '', changed: {}, outcome: 'FORBIDDEN' });
        return forbidden;
      },
    },
  });
  builder.scalarType('DateTime', {
    description:
      'A moment in time, RFC 3339, always printed in UTC: `2026-01-31T09:30:00Z`, with milliseconds only where they are not zero.',
    serialize: (value) => value.toISOString().replace('.000Z', 'Z'),
    parseValue: (value) => {
      const date = new Date(typeof value === 'string' ? value : Number.NaN);
      if (Number.isNaN(date.getTime())) throw new GraphQLError('A DateTime is RFC 3339 text.');
      return date;
    },
  });
  return builder;
}
