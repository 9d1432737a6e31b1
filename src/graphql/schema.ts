import { type GraphQLSchema, isInputObjectType, isObjectType } from 'graphql';
import { marks } from '../telemetry/privacy.ts';
import { type Builder, createBuilder } from './builder.ts';
import { type CustomerRef, defineCustomer, defineQueries } from './customer.ts';
import { defineFederation } from './federation.ts';
import { defineMutations } from './mutations.ts';
import { printSubgraph } from './prints.ts';
import { withDirectResolvers } from './scopes.ts';

/** Builds the executable schema without the fields for routers, sorted. Its context is an `OperationContext`. */
export function buildSchema(): GraphQLSchema {
  return build(() => undefined);
}

/**
 * Builds the schema that the gateway serves: `buildSchema()` and the fields for routers.
 *
 * @param exposesSdl whether the schema has the field `_service`. Set it like introspection.
 */
export function buildSubgraph({ exposesSdl }: { exposesSdl: boolean }): GraphQLSchema {
  let text: string | undefined;
  const sdl = () => {
    text ??= printSubgraph(buildSchema());
    return text;
  };
  return build((builder, CustomerRef) => defineFederation(builder, CustomerRef, exposesSdl ? sdl : undefined));
}

function build(extend: (builder: Builder, CustomerRef: CustomerRef) => void): GraphQLSchema {
  const builder = createBuilder();
  const CustomerRef = defineCustomer(builder);
  defineQueries(builder, CustomerRef);
  defineMutations(builder, CustomerRef);
  extend(builder, CustomerRef);
  return withDirectResolvers(marked(builder.toSchema({ sortSchema: true })));
}

/** Adds the privacy marks to the extensions of the fields, for tools that inspect the schema. */
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
