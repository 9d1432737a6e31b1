import { plugin as printTypes } from '@graphql-codegen/typescript-operations';
import type { DocumentNode, GraphQLSchema } from 'graphql';
import {
  banner,
  emitAstHooks,
  emitAsts,
  emitDocuments,
  emitMsw,
  emitPossibleTypes,
  emitReactQuery,
  type Imports,
} from './emit.ts';
import { emitFixtures } from './fixtures.ts';
import { manifestOf, type Operation, readOperations } from './operations.ts';
import { problemsOf } from './rules.ts';

/** A library for which hooks or handlers are generated. */
export type Flavour = 'react-query' | 'urql' | 'apollo' | 'msw';

export const flavours: readonly Flavour[] = ['react-query', 'urql', 'apollo', 'msw'];

export interface GenerateOptions {
  readonly flavours: readonly Flavour[];
  readonly imports: Imports;
  /** Entries of the previous manifest. They are kept. */
  readonly earlier?: Readonly<Record<string, string>>;
  /** Names that operations cannot have, because caches, mocks and hooks identify operations by name. */
  readonly reservedNames?: readonly string[];
}

/**
 * Generates all files for some operations.
 *
 * @returns the contents by file name.
 * @throws Error if a document is invalid for the schema or for the kit.
 */
export async function generate(
  schema: GraphQLSchema,
  documents: readonly DocumentNode[],
  { flavours, imports, earlier, reservedNames = [] }: GenerateOptions,
): Promise<Record<string, string>> {
  const operations = readOperations(schema, documents);
  const problems = operations.flatMap((operation) => [
    ...(reservedNames.includes(operation.name)
      ? [`${operation.name}: the kit has an operation with this name. Choose another name.`]
      : []),
    ...problemsOf(schema, operation),
  ]);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const files: Record<string, string> = {
    'operations.ts': await emitTypes(schema, operations, documents),
    'documents.ts': emitDocuments(operations, imports),
    'persisted-documents.json': manifestOf(operations, earlier),
  };
  if (flavours.includes('react-query')) files['react-query.ts'] = emitReactQuery(operations, imports);
  if (flavours.includes('urql') || flavours.includes('apollo')) files['asts.ts'] = emitAsts(operations, imports);
  if (flavours.includes('urql')) files['urql.ts'] = emitAstHooks('urql', operations, imports);
  if (flavours.includes('apollo')) {
    files['apollo.ts'] = emitAstHooks('apollo', operations, imports);
    files['possible-types.ts'] = emitPossibleTypes(schema);
  }
  if (flavours.includes('msw')) {
    files['fixtures.ts'] = emitFixtures(schema, operations, imports);
    files['msw.ts'] = emitMsw(operations, imports);
  }
  return files;
}

async function emitTypes(
  schema: GraphQLSchema,
  operations: readonly Operation[],
  documents: readonly DocumentNode[],
): Promise<string> {
  // Unused fragments get types too. A fragment that several operations use is printed once.
  const definitions = new Map(
    [...documents, ...operations.map(({ ast }) => ast)]
      .flatMap((document) => document.definitions)
      .flatMap((node) => ('name' in node && node.name ? [[`${node.kind} ${node.name.value}`, node] as const] : [])),
  );
  const document = { kind: 'Document', definitions: [...definitions.values()] } as DocumentNode;
  const config = {
    // The documents already select `__typename`.
    skipTypename: true,
    skipTypeNameForRoot: true,
    immutableTypes: true,
    arrayInputCoercion: false,
    strictScalars: true,
    scalars: { ID: 'string', DateTime: 'string', ...unknownScalars(schema) },
  };
  const files = [{ location: 'operations.graphql', document }];
  const { prepend = [], content } = asOutput(await printTypes(schema, files, config, { outputFile: 'operations.ts' }));
  return `${banner}${[...prepend, content]
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}

function unknownScalars(schema: GraphQLSchema): Record<string, string> {
  const known = ['ID', 'DateTime', 'String', 'Int', 'Float', 'Boolean'];
  return Object.fromEntries(
    Object.values(schema.getTypeMap())
      .filter((type) => type.astNode?.kind === 'ScalarTypeDefinition' && !known.includes(type.name))
      .map(({ name }) => [name, 'unknown']),
  );
}

const asOutput = (output: string | { prepend?: string[]; content: string }) =>
  typeof output === 'string' ? { content: output } : output;
