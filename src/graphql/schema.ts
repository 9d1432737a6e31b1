import { type GraphQLSchema, isInputObjectType, isObjectType } from 'graphql';
import { marks } from '../privacy.ts';
import { createBuilder } from './builder.ts';
import { defineCustomer, defineQueries } from './customer.ts';
import { defineMutations } from './mutations.ts';

/** The executable schema, sorted. Its context is an `OperationContext`. */
export function buildSchema(): GraphQLSchema {
  const builder = createBuilder();
  const CustomerRef = defineCustomer(builder);
  defineQueries(builder, CustomerRef);
  defineMutations(builder, CustomerRef);
  return marked(builder.toSchema({ sortSchema: true }));
}

/** The marks of privacy, where tools that look at the schema find them. */
function marked(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const privacy = marks[field.name];
      if (privacy !== undefined) field.extensions = { ...field.extensions, privacy };
    }
  }
  return schema;
}
