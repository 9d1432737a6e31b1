import {
  type ASTNode,
  type DocumentNode,
  type ExecutionArgs,
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
import type { Plugin } from 'graphql-yoga';
import { GatewayError, RequestError } from '../errors.ts';
import { collectFailures, tooLarge } from './failures.ts';
import { countItems } from './items.ts';
import { assertLimits, assertTokens, type DocumentLimits } from './limits.ts';
import { maxReportedErrors, noSuchOperation } from './outcome.ts';
import { exceedsJsonBytes } from './size.ts';
import { createTurns } from './turns.ts';
import { readVariables, type VariableProblem } from './variables.ts';

/** Identifies the caller for fair scheduling of validation: by credentials, or by address if anonymous. */
interface Requester {
  readonly caller?: { readonly counted: readonly string[] };
  readonly address?: string | undefined;
}

/**
 * Yoga plugin that checks limits, parses and validates documents, and reads variables. Its errors contain neither values of
 * the request nor suggestions. Parsed documents are cached by their text. The cache is limited by the size of the texts,
 * because a syntax tree needs about 80 times the memory of its text.
 */
export function useDocuments(options: {
  readonly schema: GraphQLSchema;
  readonly limits: DocumentLimits;
  readonly introspection: boolean;
}): Plugin<{ state: Requester }, { state: Requester }> {
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
    /** Parses and validates a new document in a separate turn of the event loop, before Yoga does. */
    async onParams({ params: { query: text }, request, context: { state }, setResult }) {
      if (typeof text !== 'string') return;
      const caller = state.caller?.counted.join(' ') || state.address || '';
      try {
        // Cached documents wait as many microtasks as new ones, so that simultaneous requests keep their order.
        await (parsed.has(text) ? undefined : turns.run(caller, request.signal, () => prepareDocument(text)));
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        setResult({ errors: [located(error)] });
      }
    },

    onParse({ setParseFn }) {
      setParseFn(readDocument);
    },

    onValidate({ setValidationFn }) {
      setValidationFn((_schema: GraphQLSchema, document: DocumentNode) => checkDocument(document));
    },

    onExecute({ args, setExecuteFn }) {
      const requestErrors = prepare(args);
      if (requestErrors.length > 0) {
        setExecuteFn(() => ({ errors: requestErrors }));
        return undefined;
      }
      const isMutation = getOperationAST(args.document, args.operationName)?.operation === 'mutation';
      const failures = collectFailures(args.contextValue as object, {
        maxReported: maxReportedErrors,
        maxTextBytes: isMutation ? limits.responseBytes : undefined,
      });
      return {
        onExecuteDone({ result, setResult }) {
          if (Symbol.asyncIterator in result) return;
          const errors = [...failures(), ...(result.errors ?? [])].slice(0, maxReportedErrors);
          // The outcome of a write must be reported, so in a mutation single texts become null instead.
          const isTooLarge = !isMutation && exceedsJsonBytes(result.data, limits.responseBytes - envelopeBytes(errors));
          // Errors first, as the specification recommends: people see them before a long answer.
          if (isTooLarge) setResult({ errors: [located(tooLarge())], data: null });
          else if (errors.length > 0) setResult(Object.assign({ errors }, result, { errors }));
        },
      };
    },
  };

  /** Fills the caches. Ignores parse errors, because Yoga parses again and reports them. */
  function prepareDocument(text: string): void {
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

  /** Reads the variables into `args`. Returns the errors that prevent execution. */
  function prepare(args: ExecutionArgs): GraphQLError[] {
    const { schema, document, operationName, variableValues } = args;
    const operation = getOperationAST(document, operationName);
    if (!operation) return [located(noSuchOperation())];
    if (countItems(args, operation) > limits.items) {
      const message = `The operation lists more than ${limits.items} customers.`;
      return [located(invalid('OPERATION_TOO_COMPLEX', message))];
    }
    const read = readVariables(schema, document, operation, variableValues ?? {}, maxReportedErrors);
    Object.assign(args, { variableValues: read.variables });
    return read.problems.map(variableError);
  }
}

/** Upper bound of the bytes of a response without its data, errors included. */
function envelopeBytes(errors: readonly GraphQLError[]): number {
  return errors.reduce(
    (sum, { message, path }) => sum + 400 + JSON.stringify([message, path]).length,
    '{"data":}'.length,
  );
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

function invalid(code: 'GRAPHQL_VALIDATION_FAILED' | 'OPERATION_TOO_COMPLEX', message: string): RequestError {
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

/** An error with the path of the invalid value, but without the value. */
function variableError({ node, path }: VariableProblem): GraphQLError {
  const at = path.length === 0 ? '' : ` at ${path.join('.')}`;
  const message = `The value of the variable $${node.variable.name.value} is invalid${at}.`;
  return located(new RequestError('BAD_USER_INPUT', { message, inDocument: true }), node);
}

function located(error: GatewayError, node?: ASTNode): GraphQLError {
  return new GraphQLError(error.message, { nodes: node ?? null, originalError: error });
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
