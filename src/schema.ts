export { printPlain, printSubgraph, prints } from './graphql/prints.ts';
export { buildSchema, buildSubgraph } from './graphql/schema.ts';
