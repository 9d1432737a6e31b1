export { printPlain, printSubgraph } from './graphql/federation.ts';
export { buildSchema, buildSubgraph } from './graphql/schema.ts';
