import { type DocumentNode, GraphQLError, type GraphQLSchema, getOperationAST } from 'graphql';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';
import { createCache } from './cache.ts';
import { createCompiler, type Operation } from './compiler.ts';
import { assertLimits, assertTokens, type DocumentLimits } from './limits.ts';
import { type Slots, slotsOf, type Template, templateOf } from './literals.ts';
import { parsePositions } from './locations.ts';
import { plannableFields, type Resolvers } from './plan.ts';
import { hashOf } from './signature.ts';
import { createTurns } from './turns.ts';
import { createValidator } from './validation.ts';

/** A document that passed the limits and was parsed and validated. */
export interface CheckedDocument {
  /** The errors of validation, at most `maxReportedErrors`. */
  readonly errors: readonly GraphQLError[];
  /** Finds an operation by its name, or the only one. Its compiled parts are kept with the document. */
  operation(name: string | undefined): Operation | undefined;
  /** Identifies the document in the log, see {@link hashOf}. Kept after the first call. */
  hash(): string;
}

/** A document, with the literals of its text if the document is a template that several texts share. */
export interface FoundDocument {
  readonly document: CheckedDocument;
  readonly literals: readonly string[];
}

export interface Documents {
  /**
   * Returns a document of the cache.
   *
   * @param isWhole whether the document must not be a template.
   */
  find(text: string, isWhole: boolean): FoundDocument | undefined;
  /**
   * Parses and validates a document in a turn of the event loop that all requesters share fairly.
   *
   * @throws RequestError if the document exceeds a limit or cannot be parsed; `OVERLOADED` if too many documents wait.
   */
  read(
    text: string,
    requester: string,
    cancellation: Cancellation,
    isWhole: boolean,
  ): FoundDocument | Promise<FoundDocument>;
}

/**
 * Checks limits, parses and validates documents. Its errors contain neither values of the request nor suggestions. Parsed
 * documents are cached by their template, or by their text if its literals matter.
 */
export function createDocuments(options: {
  readonly schema: GraphQLSchema;
  readonly resolvers: Resolvers;
  readonly limits: DocumentLimits;
  readonly introspection: boolean;
}): Documents {
  const { schema, limits, resolvers } = options;
  const turns = createTurns();
  const checked = createCache<CheckedDocument>(maxNodes.documents);
  /** By template. `undefined` for a template whose texts do not share a document. */
  const templates = createCache<{ readonly document: CheckedDocument | undefined }>(maxNodes.templates);
  const plannable = plannableFields(schema);
  const compile = createCompiler(schema, resolvers, plannable);
  const validate = createValidator(schema, options.introspection);

  return {
    find,
    read(text, requester, cancellation, isWhole) {
      const steps = planIn(text, isWhole);
      let read: () => FoundDocument = () => {
        throw new Error('The turn ended without its work.');
      };
      const turn = turns.run(requester, cancellation, () => {
        const { done, result } = attempt(steps);
        if (done) read = result;
        return done;
      });
      return turn === undefined ? read() : turn.then(() => read());
    },
  };

  function* planIn(text: string, isWhole: boolean): Planning<FoundDocument> {
    return (isWhole ? undefined : yield* checkTemplate(text)) ?? (yield* check(text));
  }

  function find(text: string, isWhole: boolean): FoundDocument | undefined {
    const template = isWhole ? undefined : templateOf(text);
    const shared = template && templates.get(template.text)?.document;
    if (template !== undefined && shared !== undefined) return { document: shared, literals: template.literals };
    const document = checked.get(text);
    return document && { document, literals: noLiterals };
  }

  /** @returns `undefined` if the document of this text is not shared. */
  function* checkTemplate(text: string): Planning<FoundDocument | undefined> {
    const template = templateOf(text);
    if (template === undefined) return undefined;
    const known = templates.get(template.text);
    const document = known === undefined ? yield* attemptTemplate(template) : known.document;
    return document && { document, literals: template.literals };
  }

  function* attemptTemplate({ text, literals }: Template): Planning<CheckedDocument | undefined> {
    try {
      const parsed = yield* parseText(text, limits);
      if (parsed.isLarge) yield;
      const slots = slotsOf(schema, plannable, parsed.document, literals.length);
      const document = slots && (yield* checkedOf(parsed, slots));
      templates.set(text, { document }, document === undefined ? nodesOf(text) : parsed.nodes);
      return document;
    } catch (error) {
      // Its text exceeds the same limit, and is reported with its own positions.
      if (error instanceof RequestError) return undefined;
      throw error;
    }
  }

  function* check(text: string): Planning<FoundDocument> {
    const known = checked.get(text);
    if (known !== undefined) return { document: known, literals: noLiterals };
    const parsed = yield* parseText(text, limits);
    const document = yield* checkedOf(parsed, new Map());
    if (parsed.nodes <= maxNodes.documents / 4) checked.set(text, document, parsed.nodes);
    return { document, literals: noLiterals };
  }

  function* checkedOf({ document, isLarge }: Parsed, slots: Slots): Planning<CheckedDocument> {
    if (isLarge) yield;
    assertLimits(document, limits);
    const errors = yield* validate(document, isLarge);
    const operations = new Map<string | undefined, Operation>();
    const onCompiled = slots.size > 0 ? templates.grow : checked.grow;
    let hash: string | undefined;
    return {
      errors,
      hash() {
        hash ??= hashOf(document);
        return hash;
      },
      operation(name) {
        const operation = operations.get(name);
        if (operation !== undefined) return operation;
        const node = getOperationAST(document, name);
        if (!node) return undefined;
        const compiled = compile(document, node, slots, onCompiled);
        operations.set(name, compiled);
        return compiled;
      },
    };
  }
}

interface Parsed {
  readonly document: DocumentNode;
  /** The weight in a cache. */
  readonly nodes: number;
  readonly isLarge: boolean;
}

/** Work in steps, so that the event loop runs between the steps of a large document. */
type Planning<Result> = Generator<void, Result>;

/** A larger document is planned in steps. An ordinary document has 60 tokens and 1,000 characters. */
const maxAtOnce = { tokens: 300, characters: 16_384 };

function* parseText(text: string, limits: DocumentLimits): Planning<Parsed> {
  try {
    const tokens = assertTokens(text, limits);
    const isLarge = tokens > maxAtOnce.tokens || text.length > maxAtOnce.characters;
    if (isLarge) yield;
    return { document: parsePositions(text), nodes: tokens + nodesOf(text), isLarge };
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    // The parser's message quotes the document and may contain a value. The position is sufficient.
    throw new RequestError('GRAPHQL_PARSE_FAILED', { at: error, inDocument: true });
  }
}

const noLiterals: readonly string[] = [];

/**
 * Weight of the caches. A node of the syntax tree and its tokens need about 500 bytes, a compiled field 300. The shortest text of
 * a node has two characters, so the length of the texts is no measure. An ordinary document has 60 nodes.
 */
const maxNodes = { documents: 96 * 1024, templates: 64 * 1024 };

/** The weight of a text. */
function nodesOf({ length }: string): number {
  return Math.ceil(length / 256);
}

/** Takes one step. `result` returns the result of the last step or throws the error that ended the work. */
function attempt<Result>(steps: Planning<Result>): { readonly done: boolean; readonly result: () => Result } {
  try {
    const step = steps.next();
    return { done: step.done === true, result: () => step.value as Result };
  } catch (error) {
    return {
      done: true,
      result: () => {
        throw error;
      },
    };
  }
}
