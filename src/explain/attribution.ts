import { type GraphQLFieldResolver, type GraphQLSchema, isObjectType } from 'graphql';
import type { Asks } from './asks.ts';

type Resolver = GraphQLFieldResolver<unknown, unknown>;

/** Contexts of operations whose fields are attributed. */
export interface AttributedContext {
  readonly asks: Asks;
}

/** Makes each resolver of a schema report its field to the `asks` of the context before it runs. Modifies the schema. */
export function attributed(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const { direct } = field.extensions;
      // The direct resolver calls the field's own one at once, so that no other field is entered in between.
      const resolve = typeof direct === 'function' ? (direct as Resolver) : field.resolve;
      if (resolve === undefined) continue;
      field.resolve = reporting(resolve);
      if (direct !== undefined) field.extensions = { ...field.extensions, direct: field.resolve };
    }
  }
  return schema;
}

function reporting(resolve: Resolver): Resolver {
  return (source, args, context, info) => {
    (context as AttributedContext).asks.enter(info);
    return resolve(source, args, context, info);
  };
}
