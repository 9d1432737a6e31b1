import { type ASTNode, type GraphQLSchema, isAbstractType, isInterfaceType } from 'graphql';
import type { Operation } from './operations.ts';

/** Where generated files find what they stand on: this repository's sources, or the package. */
export interface Imports {
  /** The specifier of a part of the kit. */
  readonly kit: (part: 'document' | 'ast' | 'react-query' | 'urql' | 'apollo' | 'msw') => string;
  /** The specifier of another generated file. */
  readonly sibling: (file: string) => string;
}

export const banner =
  '// Generated from the schema and the operations. Do not edit: change those, and generate again.\n';

export const typesOf = ({ name, kind }: Operation) => {
  const suffix = kind === 'query' ? 'Query' : 'Mutation';
  return { result: `${name}${suffix}`, variables: `${name}${suffix}Variables` };
};

const docFor = (operation: Operation) => `/** The ${operation.kind} \`${operation.name}\`. */\n`;

function typeImport(
  operations: readonly Operation[],
  imports: Imports,
  which: readonly ('result' | 'variables')[] = ['result', 'variables'],
): string {
  const names = operations.flatMap((operation) => which.map((type) => typesOf(operation)[type]));
  return `import type {\n${names.map((name) => `  ${name},\n`).join('')}} from '${imports.sibling('operations')}';\n`;
}

/** Documents as text, for `fetch`. */
export function emitDocuments(operations: readonly Operation[], imports: Imports): string {
  const documents = operations.map((operation) => {
    const { result, variables } = typesOf(operation);
    const { id, kind, name, text } = operation;
    return `${docFor(operation)}export const ${name}Document: TypedDocument<${result}, ${variables}> = {
  id: '${id}',
  kind: '${kind}',
  name: '${name}',
  text: \`${text.replace(/[\\`]|\$(?=\{)/g, '\\$&')}\`,
};\n`;
  });
  const head = `import type { TypedDocument } from '${imports.kit('document')}';\n${typeImport(operations, imports)}`;
  return [banner + head, ...documents].join('\n');
}

/** The same documents parsed, for clients that take no text. */
export function emitAsts(operations: readonly Operation[], imports: Imports): string {
  const documents = operations.map((operation) => {
    const { result, variables } = typesOf(operation);
    const { id, name, ast } = operation;
    const literal = JSON.stringify({ documentId: id, ...(bare(ast) as object) });
    return `${docFor(operation)}export const ${name}Ast = ${literal} as unknown as TypedAst<${result}, ${variables}>;\n`;
  });
  const head = `import type { TypedAst } from '${imports.kit('ast')}';\n${typeImport(operations, imports)}`;
  return [banner + head, ...documents].join('\n');
}

/** Without what only a parser has to say: positions. */
function bare(node: ASTNode): unknown {
  return JSON.parse(JSON.stringify(node, (key, value: unknown) => (key === 'loc' ? undefined : value)));
}

export const lower = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

/** `'customer'`, or `undefined` where an operation has several root fields. */
const fieldOf = ({ root }: Operation) => (root ? `'${root.key}'` : 'undefined');

const hasHook = ({ kind, root, selectsToken }: Operation) =>
  kind === 'query' ? !selectsToken : root?.isUnion === true;

/** Option factories and hooks of React Query. */
export function emitReactQuery(operations: readonly Operation[], imports: Imports): string {
  const hooked = operations.filter(hasHook);
  const queries = hooked.filter(({ kind }) => kind === 'query');
  const mutations = hooked.filter(({ kind }) => kind === 'mutation');
  const runtime = [
    ...(mutations.length > 0 ? ['type MutationHookOptions', 'mutationFactory', 'useMutationOf'] : []),
    ...(queries.length > 0 ? ['type DataOf', 'type QueryHookOptions', 'queryFactory', 'useQueryOf'] : []),
  ];
  return [
    `${banner}${queries.length > 0 ? "import type { SkipToken } from '@tanstack/react-query';\n" : ''}${importList(
      runtime,
      imports.kit('react-query'),
    )}${importList(
      hooked.map(({ name }) => `${name}Document`),
      imports.sibling('documents'),
    )}${queries.length > 0 ? typeImport(queries, imports, ['variables']) : ''}`,
    ...hooked.map((operation) => {
      const { name, kind } = operation;
      const options = `${lower(name)}Options`;
      const hook =
        kind === 'query'
          ? `export function use${name}<Selected = DataOf<typeof ${options}>>(
  variables: ${typesOf(operation).variables} | SkipToken,
  options?: QueryHookOptions<DataOf<typeof ${options}>, Selected>,
) {
  return useQueryOf(${options}, variables, options);
}`
          : `export function use${name}(options?: MutationHookOptions<typeof ${options}>) {
  return useMutationOf(${options}, options);
}`;
      return `${docFor(operation)}export const ${options} = /* @__PURE__ */ ${kind}Factory(${name}Document${kind === 'query' ? `, ${fieldOf(operation)}` : ''});
${docFor(operation)}${hook}\n`;
    }),
  ].join('\n');
}

/** Hooks of urql or Apollo Client: both are made from a parsed document. */
export function emitAstHooks(flavour: 'urql' | 'apollo', operations: readonly Operation[], imports: Imports): string {
  const hooked = operations.filter(hasHook);
  const kinds = new Set(hooked.map(({ kind }) => kind));
  const runtime = [
    ...(kinds.has('mutation') ? ['type MutationHookOptions', 'useMutationOf'] : []),
    ...(kinds.has('query') ? ['type QueryHookOptions', 'useQueryOf'] : []),
  ];
  return [
    `${banner}${importList(runtime, imports.kit(flavour))}${importList(
      hooked.map(({ name }) => `${name}Ast`),
      imports.sibling('asts'),
    )}${typeImport(hooked, imports)}`,
    ...hooked.map((operation) => {
      const { name, kind } = operation;
      const { result, variables } = typesOf(operation);
      const types = `<${result}, ${variables}>`;
      return kind === 'query'
        ? `${docFor(operation)}export function use${name}(variables: ${variables} | undefined, options?: QueryHookOptions${types}) {
  return useQueryOf(${name}Ast, variables, options);
}\n`
        : `${docFor(operation)}export function use${name}(options?: MutationHookOptions${types}) {
  return useMutationOf(${name}Ast, ${fieldOf(operation)}, options);
}\n`;
    }),
  ].join('\n');
}

/** Which types an interface or a union stands for: Apollo's cache drops fields of fragments on them otherwise. */
export function emitPossibleTypes(schema: GraphQLSchema): string {
  const entries = Object.values(schema.getTypeMap()).flatMap((type) => {
    if (!isAbstractType(type)) return [];
    const names = schema.getPossibleTypes(type).map(({ name }) => name);
    // A pattern: an error that comes later has the fields of its interface, and they would be dropped.
    return [[type.name, isInterfaceType(type) ? [...names, '.*Error'] : names]];
  });
  const types: unknown = Object.fromEntries(entries);
  return `${banner}/** For \`InMemoryCache\` of Apollo Client. */
export const possibleTypes: Record<string, string[]> = ${JSON.stringify(types, null, 2)};\n`;
}

/** Handlers of Mock Service Worker, and all of them at once, each answering with its fixture. */
export function emitMsw(operations: readonly Operation[], imports: Imports): string {
  const fixtureOf = ({ name }: Operation) => `${lower(name)}Fixtures`;
  return [
    `${banner}import { type HandlerOptions, mockOperation } from '${imports.kit('msw')}';\n${importList(
      operations.map(({ name }) => `${name}Document`),
      imports.sibling('documents'),
    )}${importList(operations.map(fixtureOf), imports.sibling('fixtures'))}`,
    ...operations.map(
      (operation) =>
        `${docFor(operation)}export const mock${operation.name} = /* @__PURE__ */ mockOperation(${operation.name}Document);\n`,
    ),
    `/** A handler for each operation. Put your own before them. */
export function customerHandlers(options?: HandlerOptions) {
  return [
${operations.map((operation) => `    mock${operation.name}(${fixtureOf(operation)}.byDefault, options),\n`).join('')}  ];
}\n`,
  ].join('\n');
}

function importList(names: readonly string[], from: string): string {
  return `import {\n${names
    .toSorted()
    .map((name) => `  ${name},\n`)
    .join('')}} from '${from}';\n`;
}
