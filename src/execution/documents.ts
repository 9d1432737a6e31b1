import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  NoSchemaIntrospectionCustomRule,
  parse,
  print,
  specifiedRules,
  type ValidationContext,
  type ValidationRule,
  ValuesOfCorrectTypeRule,
  validate,
  visit,
} from 'graphql';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';
import { createCache } from './cache.ts';
import { createCompiler, type Operation } from './compiler.ts';
import { assertLimits, assertTokens, type DocumentLimits } from './limits.ts';
import { type Slots, slotsOf, type Template, templateOf } from './literals.ts';
import { maxReportedErrors } from './outcome.ts';
import { plannableFields, type Resolvers } from './plan.ts';
import { hashOf } from './signature.ts';
import { createTurns } from './turns.ts';

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
  const rules: ValidationRule[] = specifiedRules.map((rule) =>
    rule === ValuesOfCorrectTypeRule ? withoutValues(rule) : rule,
  );
  rules.push(knownOperations);
  if (!options.introspection) rules.push(NoSchemaIntrospectionCustomRule);

  return {
    find,
    read(text, requester, cancellation, isWhole) {
      let read: () => FoundDocument = () => {
        throw new Error('The turn ended without its work.');
      };
      const turn = turns.run(requester, cancellation, () => {
        read = attempt(() => (isWhole ? undefined : checkTemplate(text)) ?? check(text));
      });
      return turn === undefined ? read() : turn.then(() => read());
    },
  };

  function find(text: string, isWhole: boolean): FoundDocument | undefined {
    const template = isWhole ? undefined : templateOf(text);
    const shared = template && templates.get(template.text)?.document;
    if (template !== undefined && shared !== undefined) return { document: shared, literals: template.literals };
    const document = checked.get(text);
    return document && { document, literals: noLiterals };
  }

  /** @returns `undefined` if the document of this text is not shared. */
  function checkTemplate(text: string): FoundDocument | undefined {
    const template = templateOf(text);
    if (template === undefined) return undefined;
    const known = templates.get(template.text);
    const document = known === undefined ? attemptTemplate(template) : known.document;
    return document && { document, literals: template.literals };
  }

  function attemptTemplate({ text, literals }: Template): CheckedDocument | undefined {
    try {
      const parsed = parseText(text, limits);
      const slots = slotsOf(schema, plannable, parsed.document, literals.length);
      const document = slots && checkedOf(parsed.document, slots);
      templates.set(text, { document }, document === undefined ? nodesOf(text) : parsed.nodes);
      return document;
    } catch (error) {
      // Its text exceeds the same limit, and is reported with its own positions.
      if (error instanceof RequestError) return undefined;
      throw error;
    }
  }

  function check(text: string): FoundDocument {
    const known = checked.get(text);
    if (known !== undefined) return { document: known, literals: noLiterals };
    const parsed = parseText(text, limits);
    const document = checkedOf(parsed.document, new Map());
    if (parsed.nodes <= maxNodes.documents / 4) checked.set(text, document, parsed.nodes);
    return { document, literals: noLiterals };
  }

  function checkedOf(document: DocumentNode, slots: Slots): CheckedDocument {
    assertLimits(document, limits);
    const operations = new Map<string | undefined, Operation>();
    const onCompiled = slots.size > 0 ? templates.grow : checked.grow;
    let hash: string | undefined;
    return {
      errors: validated(document),
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

  function validated(document: DocumentNode): GraphQLError[] {
    const found = validate(schema, withoutRepeats(document), rules, {
      maxErrors: maxReportedErrors,
      hideSuggestions: true,
    });
    return found.slice(0, maxReportedErrors).map(
      (error) =>
        new GraphQLError(error.message, {
          nodes: error.nodes ?? null,
          // An error without nodes means that graphql-js reached its limit of field comparisons.
          originalError: error.nodes
            ? invalid('GRAPHQL_VALIDATION_FAILED', withoutSuggestion(error.message))
            : invalid('OPERATION_TOO_COMPLEX', 'The document repeats too many fields.'),
        }),
    );
  }
}

function parseText(text: string, limits: DocumentLimits): { document: DocumentNode; nodes: number } {
  try {
    const tokens = assertTokens(text, limits);
    return { document: parse(text), nodes: tokens + nodesOf(text) };
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    // The parser's message quotes the document and may contain a value. The position is sufficient.
    throw new RequestError('GRAPHQL_PARSE_FAILED', { at: error, inDocument: true });
  }
}

/**
 * Removes repeated fields that have no alias, arguments, directives or selections. graphql-js compares each pair of fields with
 * the same name and stops before a document reaches `LIMIT_TOKENS`. A repeated bare field is valid if the first one is.
 */
function withoutRepeats(document: DocumentNode): DocumentNode {
  return visit(document, {
    SelectionSet(set) {
      const bare = new Set<string>();
      const selections = set.selections.filter((node) => {
        if (node.kind !== Kind.FIELD || node.alias || node.selectionSet || node.arguments?.length) return true;
        if (node.directives?.length) return true;
        const isNew = !bare.has(node.name.value);
        bare.add(node.name.value);
        return isNew;
      });
      return selections.length < set.selections.length ? { ...set, selections } : undefined;
    },
  });
}

export function invalid(code: 'GRAPHQL_VALIDATION_FAILED' | 'OPERATION_TOO_COMPLEX', message: string): RequestError {
  return new RequestError(code, { message, inDocument: true });
}

/** Needed because one rule ignores `hideSuggestions`. */
function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*$/s, '');
}

/** Rejects operation types that the schema does not have. The specified rules accept them, and execution fails without a code. */
const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation) != null) return;
    context.reportError(new GraphQLError(`The schema has no ${node.operation}.`, { nodes: node }));
  },
});

/** Replaces the messages of a rule, because they quote values. The position shows the field. */
function withoutValues(rule: ValidationRule): ValidationRule {
  return (context: ValidationContext) => {
    const redacting: ValidationContext = Object.create(context, {
      reportError: {
        value: (error: GraphQLError) =>
          context.reportError(new GraphQLError(valueMessage(error), { nodes: error.nodes ?? null })),
      },
    });
    return rule(redacting);
  };
}

/** Keeps a message that names a missing or unknown field. Replaces a message that quotes a value. */
function valueMessage(error: GraphQLError): string {
  const [node] = error.nodes ?? [];
  const isObject = node?.kind === Kind.OBJECT || node?.kind === Kind.OBJECT_FIELD;
  if (isObject && !error.message.includes(print(node))) return error.message;
  return 'The value is not valid for the expected type.';
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

/** Runs `work` now and returns a function that returns its result or throws its error. */
function attempt<Result>(work: () => Result): () => Result {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
