import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  NoFragmentCyclesRule,
  NoSchemaIntrospectionCustomRule,
  NoUndefinedVariablesRule,
  NoUnusedFragmentsRule,
  NoUnusedVariablesRule,
  OverlappingFieldsCanBeMergedRule,
  print,
  SingleFieldSubscriptionsRule,
  specifiedRules,
  type ValidationContext,
  type ValidationRule,
  ValuesOfCorrectTypeRule,
  VariablesInAllowedPositionRule,
  validate,
  visit,
} from 'graphql';
import { invalid } from './limits.ts';
import { needsComparisons, repeatsTooMuch } from './merging.ts';
import { maxReportedErrors } from './outcome.ts';

/** Validates a document. A large document takes several steps. Returns at most `maxReportedErrors` errors. */
export type Validate = (document: DocumentNode, isLarge: boolean) => Generator<void, readonly GraphQLError[]>;

/** Creates a validator. Its errors contain neither values of the document nor suggestions. */
export function createValidator(schema: GraphQLSchema, introspection: boolean): Validate {
  const rules: ValidationRule[] = specifiedRules.map((rule) =>
    rule === ValuesOfCorrectTypeRule ? withoutValues(rule) : rule,
  );
  rules.push(knownOperations);
  if (!introspection) rules.push(NoSchemaIntrospectionCustomRule);
  return function* (document, isLarge) {
    const reduced = withoutRepeats(document);
    const found = isLarge ? yield* validateInSteps(schema, reduced, rules) : validateAtOnce(schema, reduced, rules);
    return found.map(
      ({ message, nodes }) =>
        new GraphQLError(message, {
          nodes: nodes ?? null,
          originalError: invalid('GRAPHQL_VALIDATION_FAILED', withoutSuggestion(message)),
        }),
    );
  };
}

const options = { maxErrors: maxReportedErrors, hideSuggestions: true };

/** @throws RequestError `OPERATION_TOO_COMPLEX` if graphql-js reached a limit of its work. */
export function validateAtOnce(
  schema: GraphQLSchema,
  document: DocumentNode,
  rules: readonly ValidationRule[],
): readonly GraphQLError[] {
  const errors = validate(schema, document, rules, options).slice(0, maxReportedErrors);
  // That error has no nodes.
  if (errors.some(({ nodes }) => !nodes)) throw repeatsTooMuch();
  return errors;
}

/** An error, and its place in the order of a validation with all rules at once: by node, then by rule. */
interface Found {
  readonly error: GraphQLError;
  readonly step: number;
  readonly rule: number;
}

/**
 * Validates in steps, one for each group of rules. The errors and their order are those of {@link validateAtOnce}.
 *
 * @throws RequestError `OPERATION_TOO_COMPLEX` if graphql-js reached or would reach a limit of its work.
 */
export function* validateInSteps(
  schema: GraphQLSchema,
  document: DocumentNode,
  rules: readonly ValidationRule[],
): Generator<void, readonly GraphQLError[]> {
  const isCompared = needsComparisons(schema, document);
  const found: Found[] = [];
  for (const group of groupsOf(rules)) {
    if (group[0] === OverlappingFieldsCanBeMergedRule && !isCompared) continue;
    yield;
    const place = { step: 0 };
    const count = () => {
      place.step += 1;
    };
    const ordered = group.map((rule) => inOrder(rule, rules.indexOf(rule), place, found));
    validateAtOnce(schema, document, [() => ({ enter: count, leave: count }), ...ordered]);
  }
  found.sort((one, other) => one.step - other.step || one.rule - other.rule);
  return found.slice(0, maxReportedErrors).map(({ error }) => error);
}

/** Rules whose cost depends on more than the nodes of a document: on fragments, on variables, on repeated fields. */
const costly: readonly (readonly ValidationRule[])[] = [
  [SingleFieldSubscriptionsRule, NoUnusedFragmentsRule, NoFragmentCyclesRule],
  [NoUndefinedVariablesRule],
  [NoUnusedVariablesRule],
  [VariablesInAllowedPositionRule],
  [OverlappingFieldsCanBeMergedRule],
];

/** Other rules of one step. Together they take up to 3 ms for the largest document, and up to 20 ms in a new process. */
const rulesPerStep = 7;

function groupsOf(rules: readonly ValidationRule[]): readonly (readonly ValidationRule[])[] {
  const others = rules.filter((rule) => !costly.some((group) => group.includes(rule)));
  const groups = [...costly];
  for (let at = 0; at < others.length; at += rulesPerStep) groups.push(others.slice(at, at + rulesPerStep));
  return groups;
}

/** Records the place of each error of a rule. */
function inOrder(
  rule: ValidationRule,
  index: number,
  place: { readonly step: number },
  found: Found[],
): ValidationRule {
  return (context) =>
    rule(
      reportingTo(context, (error) => {
        found.push({ error, step: place.step, rule: index });
        context.reportError(error);
      }),
    );
}

function reportingTo(context: ValidationContext, reportError: (error: GraphQLError) => void): ValidationContext {
  return Object.create(context, { reportError: { value: reportError } });
}

/**
 * Removes repeated fields that have no alias, arguments, directives or selections. A repeated bare field is valid if the first
 * one is, and graphql-js compares each pair of fields with the same name.
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
  return (context) =>
    rule(
      reportingTo(context, (error) =>
        context.reportError(new GraphQLError(valueMessage(error), { nodes: error.nodes ?? null })),
      ),
    );
}

/** Keeps a message that names a missing or unknown field. Replaces a message that quotes a value. */
function valueMessage(error: GraphQLError): string {
  const [node] = error.nodes ?? [];
  const isObject = node?.kind === Kind.OBJECT || node?.kind === Kind.OBJECT_FIELD;
  if (isObject && !error.message.includes(print(node))) return error.message;
  return 'The value is not valid for the expected type.';
}
