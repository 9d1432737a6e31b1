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
  /** Levels of fields; a root field is 1. */
  readonly depth: number;
  readonly tokens: number;
  /** Aliased fields, `__typename` included, with fragments counted wherever they are spread. */
  readonly aliases: number;
  /** Fields of one mutation at its root. */
  readonly rootMutations: number;
  /** Customers that one operation names in `ids` and `representations` together. */
  readonly items: number;
  /** Of one answer. */
  readonly responseBytes: number;
}

/** Characters of one name. Every alias stands in the answer once for each item of a list. */
const maxNameLength = 128;

/** Directives in one document: more than anybody writes, and too few to be a burden. */
const maxDirectives = 100;

/**
 * @throws RequestError `OPERATION_TOO_COMPLEX` when a text has more tokens than allowed, or a name of any kind that is too long.
 *   Invalid syntax is left to the parser.
 */
export function assertTokens(text: string, { tokens }: DocumentLimits): void {
  const lexer = new Lexer(new Source(text));
  for (let count = 0; lexer.advance().kind !== TokenKind.EOF; count += 1) {
    if (count >= tokens) throw tooComplex(`The document has more than ${tokens} tokens.`);
    const { kind, start, end } = lexer.token;
    if (kind === TokenKind.NAME && end - start > maxNameLength) {
      throw tooComplex(`The document has a name of more than ${maxNameLength} characters.`);
    }
  }
}

/**
 * How often `__schema` may be asked for, aliases below it included: each multiplies the whole description of the schema.
 * Tools ask for it once, without an alias.
 */
const maxIntrospections = 4;

/** @throws RequestError `OPERATION_TOO_COMPLEX` naming the limit. Linear in the size of the document. */
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
  /** Of the deepest field. */
  depth: number;
  aliases: number;
  directives: number;
  /** Selections of `__schema`, and aliases below it and below `__type`. */
  introspections: number;
  /** At this level. */
  fields: number;
}

/** Measures selection sets; each fragment once, however often it is spread. Cycles count as empty: validation refuses them. */
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
        // Introspection, where it is on, is as deep as tools need it to be.
        size.depth = Math.max(size.depth, isIntrospection(node) ? 1 : inner.depth + 1);
        if (isIntrospection(node)) size.introspections += inner.aliases + (node.name.value === '__schema' ? 1 : 0);
        // `__typename` writes nothing.
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
  return new RequestError('OPERATION_TOO_COMPLEX', { message, inDocument: true });
}
