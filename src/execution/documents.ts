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

/** Who shares the time for validation: callers by their credentials, anonymous ones by address. */
interface Requester {
  readonly caller?: { readonly counted: readonly string[] };
  readonly address?: string | undefined;
}

/**
 * Texts into checked documents: limits, parsing, validation, variables. What is wrong is said without a value of the
 * caller's and without suggestions; nothing is executed. Results are kept by text, bounded by the bytes of the texts,
 * since a syntax tree holds about 80 times its source.
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
    /** Reads a new document in a turn of its own, before the library asks for it. */
    async onParams({ params: { query: text }, request, context: { state }, setResult }) {
      if (typeof text !== 'string') return;
      const who = state.caller?.counted.join(' ') || state.address || '';
      try {
        // Known documents wait as many microtasks as new ones, so that simultaneous requests keep their order.
        await (parsed.has(text) ? undefined : turns.run(who, request.signal, () => prepareDocument(text)));
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
      const refusals = prepare(args);
      if (refusals.length > 0) {
        setExecuteFn(() => ({ errors: refusals }));
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
          // The outcome of a write is never dropped: in a mutation, single texts are.
          const isTooLarge = !isMutation && exceedsJsonBytes(result.data, limits.responseBytes - envelopeBytes(errors));
          // Errors first, as the specification recommends: people see them before a long answer.
          if (isTooLarge) setResult({ errors: [located(tooLarge())], data: null });
          else if (errors.length > 0) setResult(Object.assign({ errors }, result, { errors }));
        },
      };
    },
  };

  /** Fills the caches. The failures of parsing are thrown again where the library parses. */
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
          // Without a place: the library gave up comparing fields of the same name.
          originalError: error.nodes
            ? invalid('GRAPHQL_VALIDATION_FAILED', withoutSuggestion(error.message))
            : invalid('OPERATION_TOO_COMPLEX', 'The document repeats too many fields.'),
        }),
    );
    verdicts.set(document, errors);
    return errors;
  }

  /** The refusals of an operation that is not executed; otherwise its variables are ready. */
  function prepare(args: ExecutionArgs): GraphQLError[] {
    const { schema, document, operationName, variableValues } = args;
    const operation = getOperationAST(document, operationName);
    if (!operation) return [located(noSuchOperation())];
    if (countItems(args, operation) > limits.items) {
      const message = `The operation names more than ${limits.items} customers in lists.`;
      return [located(invalid('OPERATION_TOO_COMPLEX', message))];
    }
    const read = readVariables(schema, document, operation, variableValues ?? {}, maxReportedErrors);
    Object.assign(args, { variableValues: read.variables });
    return read.problems.map(aboutVariable);
  }
}

/** The bytes around the data of an answer, errors included: an upper bound. */
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
    // The parser quotes what it found, which may be a value: the place says enough.
    throw new RequestError('GRAPHQL_PARSE_FAILED', { at: error, inDocument: true });
  }
}

/**
 * The library compares every two fields of one name, and gives up before `LIMIT_TOKENS` is used up. A bare field that
 * stands in its set already is valid where the first one is.
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

/** One rule suggests in spite of `hideSuggestions`. */
function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*$/s, '');
}

/** The specification leaves a kind of operation that the schema has not to execution, where it is nobody's error. */
const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation) != null) return;
    context.reportError(new GraphQLError(`The schema has no ${node.operation}.`, { nodes: node }));
  },
});

/** The rule's findings quote the value they are about; which field it stands in is told by the place. */
function withoutValues(rule: ValidationRule): ValidationRule {
  return (context: ValidationContext) => {
    const quiet: ValidationContext = Object.create(context, {
      reportError: {
        value: (error: GraphQLError) =>
          context.reportError(new GraphQLError(aboutValue(error), { nodes: error.nodes ?? null })),
      },
    });
    return rule(quiet);
  };
}

/** What names a field that is missing or unknown stays; what quotes a value goes. */
function aboutValue(error: GraphQLError): string {
  const [node] = error.nodes ?? [];
  const isObject = node?.kind === Kind.OBJECT || node?.kind === Kind.OBJECT_FIELD;
  if (isObject && !error.message.includes(print(node))) return error.message;
  return 'The value does not fit the type that is expected here.';
}

/** What is wrong with a variable: by path and never by value. */
function aboutVariable({ node, path }: VariableProblem): GraphQLError {
  const at = path.length === 0 ? '' : ` at ${path.join('.')}`;
  const message = `The value of the variable $${node.variable.name.value} is not acceptable${at}.`;
  return located(new RequestError('BAD_USER_INPUT', { message, inDocument: true }), node);
}

function located(error: GatewayError, node?: ASTNode): GraphQLError {
  return new GraphQLError(error.message, { nodes: node ?? null, originalError: error });
}

const maxCachedBytes = 512 * 1024;

/** Least recently used goes first; bounded by what the keys weigh, twice a byte each in memory. */
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
