import SchemaBuilder from '@pothos/core';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import { GraphQLError } from 'graphql';
import type { Scope } from '../customers/access.ts';
import type { OperationContext } from './context.ts';
import { createDatePrinter } from './dates.ts';
import { hasScope, scopeError } from './scopes.ts';

/** Context, scalars and scopes of the schema. */
export interface Types {
  Context: OperationContext;
  AuthScopes: { scope: Scope };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    /** Used by routers; see `federation.ts`. */
    _Any: { Input: unknown; Output: unknown };
  };
}

export type Builder = ReturnType<typeof createBuilder>;

/** Creates a builder with scalars and scopes but without types. Create one per schema: schemas must not share state. */
export function createBuilder() {
  const builder = new SchemaBuilder<Types>({
    plugins: [ScopeAuthPlugin],
    scopeAuth: {
      authScopes: (context) => ({ scope: (scope) => hasScope(context, scope) }),
      // Only this field fails; the rest of the response is kept.
      unauthorizedError: (_parent, context, info) => scopeError(context, info),
    },
  });
  builder.scalarType('DateTime', {
    description:
      'A date and time as RFC 3339 text, always in UTC: `2026-01-31T09:30:00Z`. Milliseconds are printed only if they are not zero.',
    serialize: createDatePrinter(),
    parseValue: (value) => {
      const date = new Date(typeof value === 'string' ? value : Number.NaN);
      if (Number.isNaN(date.getTime())) throw new GraphQLError('A DateTime must be RFC 3339 text.');
      return date;
    },
  });
  return builder;
}
