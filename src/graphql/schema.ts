import type { GraphQLSchema } from 'graphql';
import { createBuilder } from './builder.ts';
import { defineCustomer, defineQueries } from './customer.ts';
import { defineMutations } from './mutations.ts';

/** The executable schema, sorted. Its context is an `OperationContext`. */
export function buildSchema(): GraphQLSchema {
  const builder = createBuilder();
  const CustomerRef = defineCustomer(builder);
  defineQueries(builder, CustomerRef);
  defineMutations(builder, CustomerRef);
  return builder.toSchema({ sortSchema: true });
}
