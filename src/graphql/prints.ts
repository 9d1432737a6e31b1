import {
  type FieldDefinitionNode,
  type GraphQLField,
  type GraphQLSchema,
  isObjectType,
  Kind,
  lexicographicSortSchema,
  type ObjectTypeDefinitionNode,
  parse,
  printSchema,
} from 'graphql';

/** Directives to add, by schema coordinate: `Customer`, `Query.customer`. */
type Directives = Readonly<Record<string, string>>;

/** The keys of a customer. Each is sufficient alone. */
const keys = ['id', 'objectReferenceId'];

/** The oldest version with `@requiresScopes`: some routers and composers stop at it. */
const federation = 'https://specs.apollo.dev/federation/v2.5';

/** The plain schema: sorted, with descriptions, without directives for composition. */
export function printPlain(plain: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(plain))}\n`;
}

/**
 * The Federation 2 subgraph: the plain schema with the two keys of a customer. It has no security directives, because
 * `@apollo/gateway` does not start with them.
 */
export function printSubgraph(plain: GraphQLSchema): string {
  return `extend schema @link(url: "${federation}", import: ["@key"])\n\n${decorated(plain, federationKeys())}`;
}

/**
 * The subgraph for routers that enforce scopes. Each field has the scope that the gateway checks for it. The gateway still
 * checks; a router that checks first avoids the call.
 */
function printSubgraphWithScopes(plain: GraphQLSchema): string {
  const scopes = Object.fromEntries(
    fieldsOf(plain).flatMap(([coordinate, field]) => {
      const scope = scopeOf(coordinate, field);
      return scope === undefined ? [] : [[coordinate, `@requiresScopes(scopes: [["${scope}"]])`]];
    }),
  );
  const link = `extend schema @link(url: "${federation}", import: ["@key", "@requiresScopes"])`;
  return `${link}\n\n${decorated(plain, { ...federationKeys(), ...scopes })}`;
}

/** The source schema of the Composite Schemas draft, with one lookup for each key. */
function printComposite(plain: GraphQLSchema): string {
  const header = [
    '# A source schema of the GraphQL Composite Schemas Specification, working draft of 2026-06-19',
    '# (https://graphql.github.io/composite-schemas-spec/draft). Tests validate it against the definitions of the draft. They do',
    '# not compose it, because no JavaScript implementation exists.',
    '',
    'directive @key(fields: FieldSelectionSet!) repeatable on OBJECT | INTERFACE',
    '',
    'directive @lookup on FIELD_DEFINITION',
    '',
    '"""The fields of a key."""',
    'scalar FieldSelectionSet',
  ];
  const lookups = { 'Query.customer': '@lookup', 'Query.customerByReference': '@lookup' };
  return `${header.join('\n')}\n\n${decorated(plain, { ...federationKeys(), ...lookups })}`;
}

/**
 * The subschema for `@graphql-tools/stitch` with `@graphql-tools/stitching-directives`: customers by `id`, in batches.
 * Directives cannot express the second entry point, by `objectReferenceId`; see `stitching.ts`.
 */
function printStitching(plain: GraphQLSchema): string {
  const definitions = [
    'directive @key(selectionSet: String!) on OBJECT',
    'directive @merge(argsExpr: String, keyArg: String, keyField: String, key: [String!], additionalArgs: String) on FIELD_DEFINITION',
  ];
  const directives = { Customer: '@key(selectionSet: "{ id }")', 'Query.customers': '@merge(keyField: "id")' };
  return `${definitions.join('\n\n')}\n\n${decorated(plain, directives)}`;
}

/** All prints, by their name in `schema --for`: the file below `schema/` and the function that prints `buildSchema()`. */
export const prints = {
  plain: { file: 'schema.graphql', print: printPlain },
  federation: { file: 'subgraph.graphql', print: printSubgraph },
  'federation-scopes': { file: 'subgraph-scopes.graphql', print: printSubgraphWithScopes },
  composite: { file: 'composite.graphql', print: printComposite },
  stitching: { file: 'stitching.graphql', print: printStitching },
} as const;

function federationKeys(): Directives {
  return { Customer: keys.map((fields) => `@key(fields: "${fields}")`).join(' ') };
}

function fieldsOf(schema: GraphQLSchema): [coordinate: string, GraphQLField<unknown, unknown>][] {
  return Object.values(schema.getTypeMap()).flatMap((type) =>
    isObjectType(type)
      ? Object.values(type.getFields()).map((field): [string, typeof field] => [`${type.name}.${field.name}`, field])
      : [],
  );
}

/** The scope that a field requires, read from its Pothos definition. */
function scopeOf(coordinate: string, { extensions }: GraphQLField<unknown, unknown>): string | undefined {
  const { authScopes } = (extensions['pothosOptions'] ?? {}) as { authScopes?: unknown };
  if (authScopes === undefined) return undefined;
  const { scope, ...others } = authScopes as { scope?: unknown };
  // Fail instead of omitting a rule from the print.
  if (typeof scope !== 'string' || Object.keys(others).length > 0)
    throw new Error(`The authorization rule of ${coordinate} is not a single scope, so it cannot be printed.`);
  return scope;
}

/** The plain print with directives inserted. */
function decorated(plain: GraphQLSchema, directives: Directives): string {
  const text = printPlain(plain);
  const missing = new Set(Object.keys(directives));
  const insertions: { at: number; directive: string }[] = [];
  const decorate = (coordinate: string, node: ObjectTypeDefinitionNode | FieldDefinitionNode) => {
    const directive = directives[coordinate];
    if (directive === undefined) return;
    missing.delete(coordinate);
    // A directive follows the definition of a field or the name of a type. Types that implement an interface are not supported.
    const at = node.kind === Kind.FIELD_DEFINITION ? node.loc?.end : node.name.loc?.end;
    if (at !== undefined) insertions.push({ at, directive });
  };
  for (const type of parse(text).definitions) {
    if (type.kind !== Kind.OBJECT_TYPE_DEFINITION) continue;
    decorate(type.name.value, type);
    for (const field of type.fields ?? []) decorate(`${type.name.value}.${field.name.value}`, field);
  }
  if (missing.size > 0) throw new Error(`The schema does not contain ${[...missing].join(', ')}.`);
  return insertions
    .toSorted((one, other) => other.at - one.at)
    .reduce((out, { at, directive }) => `${out.slice(0, at)} ${directive}${out.slice(at)}`, text);
}
