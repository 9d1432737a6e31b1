import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  Lexer,
  type OperationDefinitionNode,
  type SelectionSetNode,
  Source,
  TokenKind,
} from 'graphql';
import { RequestError } from '../errors.ts';

export interface DocumentLimits {
  /** Levels of fields. A root field has depth 1. */
  readonly depth: number;
  readonly tokens: number;
  /** Fields with an alias, `__typename` included. A fragment counts at each spread. */
  readonly aliases: number;
  /** Root fields of one mutation. */
  readonly rootMutations: number;
  /** Items of `ids` and `representations` in one operation. */
  readonly items: number;
  /** Size of one response. */
  readonly responseBytes: number;
}

/** Characters of one name. The response repeats an alias for each item of a list. */
const maxNameLength = 128;

/** Directives in one operation. */
const maxDirectives = 100;

/**
 * Checks the number of tokens and the length of names.
 *
 * @returns the number of tokens.
 * @throws RequestError `OPERATION_TOO_COMPLEX` if a limit is exceeded.
 * @throws GraphQLError for text that the lexer cannot read.
 */
export function assertTokens(text: string, { tokens }: DocumentLimits): number {
  const lexer = new Lexer(new Source(text));
  let count = 0;
  for (; lexer.advance().kind !== TokenKind.EOF; count += 1) {
    if (count >= tokens) throw tooComplex(`The document has more than ${tokens} tokens.`);
    const { kind, start, end } = lexer.token;
    if (kind === TokenKind.NAME && end - start > maxNameLength) {
      throw tooComplex(`The document has a name of more than ${maxNameLength} characters.`);
    }
  }
  return count;
}

/**
 * Limit of `__schema` selections plus aliases below `__schema` and `__type`. Each of them multiplies the size of the
 * introspection result. Tools select `__schema` once and use no aliases.
 */
const maxIntrospections = 4;

/**
 * Checks the limits of each operation in linear time.
 *
 * @throws RequestError `OPERATION_TOO_COMPLEX` with the name of the limit in its message.
 */
export function assertLimits(document: DocumentNode, limits: DocumentLimits): void {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const node of document.definitions)
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
  const measure = createMeasure(fragments);
  for (const node of document.definitions) {
    if (node.kind !== Kind.OPERATION_DEFINITION) continue;
    const { depth, aliases, fields, ...rest } = measure(node.selectionSet);
    const directives = rest.directives + directivesOf(node, ...(node.variableDefinitions ?? []));
    if (depth > limits.depth) throw tooComplex(`The operation is more than ${limits.depth} levels deep.`);
    if (aliases > limits.aliases) throw tooComplex(`The operation has more than ${limits.aliases} aliases.`);
    if (directives > maxDirectives) throw tooComplex(`The operation has more than ${maxDirectives} directives.`);
    if (rest.introspections > maxIntrospections) {
      throw tooComplex(`The operation introspects more than ${maxIntrospections} times.`);
    }
    if (isMutation(node) && fields > limits.rootMutations) {
      throw tooComplex(`The operation has more than ${limits.rootMutations} mutation fields.`);
    }
  }
}

interface Size {
  /** Depth of the deepest field. */
  depth: number;
  aliases: number;
  directives: number;
  /** Selections of `__schema`, plus aliases below `__schema` and `__type`. */
  introspections: number;
  /** Fields at this level. */
  fields: number;
}

/** Measures selection sets. It measures each fragment once. A fragment cycle counts as empty; validation rejects it. */
function createMeasure(
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): (set: SelectionSetNode | undefined) => Size {
  const known = new Map<string, Size>();
  return measure;

  function measure(set: SelectionSetNode | undefined): Size {
    const size: Size = { depth: 0, aliases: 0, directives: 0, introspections: 0, fields: 0 };
    for (const node of set?.selections ?? []) {
      const inner = node.kind === Kind.FRAGMENT_SPREAD ? measureFragment(node.name.value) : measure(node.selectionSet);
      size.aliases += inner.aliases;
      size.introspections += inner.introspections;
      size.directives += inner.directives + directivesOf(node);
      if (node.kind === Kind.FIELD) {
        // Introspection queries of tools are deep, so `__schema` and `__type` count as one level.
        size.depth = Math.max(size.depth, isIntrospection(node) ? 1 : inner.depth + 1);
        if (isIntrospection(node)) size.introspections += inner.aliases + (node.name.value === '__schema' ? 1 : 0);
        // `__typename` is not a write.
        if (!node.name.value.startsWith('__')) size.fields += 1;
        if (node.alias !== undefined) size.aliases += 1;
      } else {
        size.depth = Math.max(size.depth, inner.depth);
        size.fields += inner.fields;
      }
    }
    return size;
  }

  function measureFragment(name: string): Size {
    const size = known.get(name);
    if (size !== undefined) return size;
    known.set(name, { depth: 0, aliases: 0, directives: 0, introspections: 0, fields: 0 });
    const fragment = fragments.get(name);
    const measured = measure(fragment?.selectionSet);
    if (fragment !== undefined) measured.directives += directivesOf(fragment);
    known.set(name, measured);
    return measured;
  }
}

function directivesOf(...nodes: readonly { readonly directives?: readonly unknown[] | undefined }[]): number {
  return nodes.reduce((sum, { directives = [] }) => sum + directives.length, 0);
}

function isIntrospection({ name }: FieldNode): boolean {
  return name.value === '__schema' || name.value === '__type';
}

function isMutation({ operation }: OperationDefinitionNode): boolean {
  return operation === 'mutation';
}

function tooComplex(message: string): RequestError {
  return invalid('OPERATION_TOO_COMPLEX', message);
}

export function invalid(code: 'GRAPHQL_VALIDATION_FAILED' | 'OPERATION_TOO_COMPLEX', message: string): RequestError {
  return new RequestError(code, { message, inDocument: true });
}
