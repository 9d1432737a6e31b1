import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
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
import { GatewayError, RequestError } from '../errors.ts';
import { assertLimits, assertTokens, type DocumentLimits } from './limits.ts';
import { maxReportedErrors } from './outcome.ts';
import { createTurns } from './turns.ts';

/** Documents that passed the limits, parsed and validated. */
export interface Documents {
  /**
   * Parses a document and validates it, or takes it from the cache. Does both in a turn of the event loop that all requesters
   * share fairly.
   *
   * @throws RequestError if the document exceeds a limit or cannot be parsed; `OVERLOADED` if too many documents wait.
   */
  read(text: string, requester: string, cancellation: Cancellation): Promise<DocumentNode>;
  /** The errors of validation, at most {@link maxReportedErrors}. */
  check(document: DocumentNode): readonly GraphQLError[];
}

/**
 * Checks limits, parses and validates documents. Its errors contain neither values of the request nor suggestions. Parsed
 * documents are cached by their text. The cache is limited by the size of the texts, because a syntax tree needs about 80
 * times the memory of its text.
 */
export function createDocuments(options: {
  readonly schema: GraphQLSchema;
  readonly limits: DocumentLimits;
  readonly introspection: boolean;
}): Documents {
  const { schema, limits } = options;
  const turns = createTurns();
  const parsed = createCache<DocumentNode>();
  const verdicts = new WeakMap<DocumentNode, readonly GraphQLError[]>();
  const rules: ValidationRule[] = specifiedRules.map((rule) =>
    rule === ValuesOfCorrectTypeRule ? withoutValues(rule) : rule,
  );
  rules.push(knownOperations);
  if (!options.introspection) rules.push(NoSchemaIntrospectionCustomRule);

  return {
    async read(text, requester, cancellation) {
      // Cached documents wait as many microtasks as new ones, so that simultaneous requests keep their order.
      await (parsed.has(text) ? undefined : turns.run(requester, cancellation, () => prepare(text)));
      return readDocument(text);
    },
    check: checkDocument,
  };

  /** Fills the caches. Ignores the errors of this document, because `read` throws them afterwards. */
  function prepare(text: string): void {
    try {
      checkDocument(readDocument(text));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
    }
  }

  function readDocument(text: string): DocumentNode {
    const known = parsed.get(text);
    if (known !== undefined) return known;
    const document = parseText(text, limits);
    assertLimits(document, limits);
    parsed.set(text, document);
    return document;
  }

  function checkDocument(document: DocumentNode): readonly GraphQLError[] {
    const known = verdicts.get(document);
    if (known !== undefined) return known;
    const found = validate(schema, withoutRepeats(document), rules, {
      maxErrors: maxReportedErrors,
      hideSuggestions: true,
    });
    const errors = found.slice(0, maxReportedErrors).map(
      (error) =>
        new GraphQLError(error.message, {
          nodes: error.nodes ?? null,
          // An error without nodes means that graphql-js reached its limit of field comparisons.
          originalError: error.nodes
            ? invalid('GRAPHQL_VALIDATION_FAILED', withoutSuggestion(error.message))
            : invalid('OPERATION_TOO_COMPLEX', 'The document repeats too many fields.'),
        }),
    );
    verdicts.set(document, errors);
    return errors;
  }
}

function parseText(text: string, limits: DocumentLimits): DocumentNode {
  try {
    assertTokens(text, limits);
    return parse(text);
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

const maxCachedBytes = 512 * 1024;

/** LRU cache, limited by the length of its keys. */
function createCache<Value>() {
  const entries = new Map<string, Value>();
  let bytes = 0;
  return {
    has: (text: string) => entries.has(text),
    get(text: string): Value | undefined {
      const value = entries.get(text);
      if (value === undefined) return undefined;
      entries.delete(text);
      entries.set(text, value);
      return value;
    },
    set(text: string, value: Value): void {
      if (text.length > maxCachedBytes / 4) return;
      entries.set(text, value);
      bytes += text.length;
      for (const oldest of entries.keys()) {
        if (bytes <= maxCachedBytes) break;
        entries.delete(oldest);
        bytes -= oldest.length;
      }
    },
  };
}
