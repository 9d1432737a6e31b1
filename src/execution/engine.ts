import type { GraphQLError, GraphQLSchema } from 'graphql';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';
import type { Log, OperationType } from '../telemetry/log.ts';
import { type Answer, type AnswerRequest, answerOf, type Result } from './answer.ts';
import { withBoundedFailures } from './bounded.ts';
import type { Operation, Prepared } from './compiler.ts';
import { type CheckedDocument, createDocuments, type FoundDocument } from './documents.ts';
import { interpret, runPlan } from './executor.ts';
import { countItems } from './items.ts';
import { type DocumentLimits, invalid } from './limits.ts';
import { withLocations } from './locations.ts';
import { located, maxReportedErrors, mutationOverGet, noSuchOperation } from './outcome.ts';
import { resolversOf } from './plan.ts';
import { readVariables, type VariableProblem, type Variables } from './variables.ts';

/** Executes GraphQL operations. All HTTP handlers use the same engine, so that the answer does not depend on the handler. */
export interface Engine {
  /** Never rejects: each failure is part of the answer. */
  run(params: OperationParams, request: EngineRequest): Answer | Promise<Answer>;
}

export interface OperationParams {
  readonly query: string;
  readonly operationName?: string | undefined;
  readonly variables?: Variables | undefined;
}

/** The properties of a request that the engine uses. */
export interface EngineRequest extends AnswerRequest {
  /** Over GET, mutations are refused. */
  readonly isGet: boolean;
  /** Key for fair scheduling of validation: the credentials, or the address if the caller is anonymous. */
  readonly requester: string;
  readonly cancellation: Cancellation;
  /** Delays valid mutations. */
  readonly gate?: MutationGate | undefined;
  /** Creates the context of the resolvers. Called at most once, immediately before execution. */
  createContext(operation: { readonly name: string | undefined; readonly type: OperationType }): object;
}

/** Delays mutations, or refuses them. */
export interface MutationGate {
  /**
   * Called once for each valid mutation, right before it is executed.
   *
   * @throws RequestError if it must not be executed.
   */
  begin(mutation: {
    readonly query: string;
    readonly operationName: string | undefined;
    /** The variables that the operation declares, coerced. */
    readonly variables: Variables;
  }): Promise<void>;
}

export interface EngineOptions {
  readonly schema: GraphQLSchema;
  readonly limits: DocumentLimits;
  readonly introspection: boolean;
  readonly log: Log;
}

/**
 * Creates an engine.
 *
 * @param options.schema the engine changes its resolvers for the executor of graphql-js, see `withBoundedFailures`.
 */
export function createEngine({ schema, limits, introspection, log }: EngineOptions): Engine {
  const resolvers = resolversOf(schema);
  withBoundedFailures(schema);
  const documents = createDocuments({ schema, resolvers, limits, introspection });

  return { run: (params, request) => start(params, request, false) };

  /** @param isWhole whether the document must not be a template that several texts share. */
  function start(params: OperationParams, request: EngineRequest, isWhole: boolean): Answer | Promise<Answer> {
    const { query } = params;
    const { requester, cancellation } = request;
    try {
      const found = documents.find(query, isWhole) ?? documents.read(query, requester, cancellation, isWhole);
      if (!(found instanceof Promise)) return run(found, params, request);
      return found.then((read) => run(read, params, request), refuseDocument);
    } catch (error) {
      return refuseDocument(error);
    }

    function refuseDocument(error: unknown): Answer {
      return refusal(error, taskOf(params, request, noLiterals, undefined));
    }
  }

  function run(
    { document, literals }: FoundDocument,
    params: OperationParams,
    request: EngineRequest,
  ): Answer | Promise<Answer> {
    const task = taskOf(params, request, literals, document);
    try {
      const operation = document.operation(params.operationName);
      if (operation === undefined) throw noSuchOperation();
      task.name = nameOf(operation);
      const type = operation.node.operation;
      if (request.isGet && type === 'mutation') throw mutationOverGet();
      if (document.errors.length > 0) return answer({ errors: document.errors }, task);
      task.type = type;
      return execute(operation, task);
    } catch (error) {
      return refusal(error, task);
    }
  }

  function execute(operation: Operation, task: Task): Answer | Promise<Answer> {
    const { params, request, literals } = task;
    const { prepared, variables, problems } = prepare(operation, task);
    // graphql-js executes operations without a plan. It needs the values of the literals.
    if (prepared === undefined && literals.length > 0) return start(params, request, true);
    if (problems.length > 0) return answer({ errors: problems.map(variableError) }, task);
    if (request.gate !== undefined && operation.node.operation === 'mutation') {
      const { query, operationName } = params;
      const values = prepared?.variableValues ?? variables;
      return request.gate.begin({ query, operationName, variables: values }).then(
        () => runOperation(operation, task, prepared, variables),
        (error) => refusal(error, task),
      );
    }
    return runOperation(operation, task, prepared, variables);
  }

  function runOperation(
    operation: Operation,
    task: Task,
    prepared: Prepared | undefined,
    variables: Variables,
  ): Answer | Promise<Answer> {
    const { request } = task;
    const context = request.createContext({ name: task.name, type: operation.node.operation });
    if (prepared === undefined) {
      return interpret(operation, schema, variables, context, limits.responseBytes).then(
        (result) => answer(result, task),
        (error) => refusal(error, task),
      );
    }
    return new Promise((resolve) => {
      runPlan(operation, prepared, context, limits.responseBytes, (result) => resolve(answerOrRefusal(result, task)));
    });
  }

  /** Does not throw: the reader of a customer calls it, which would not report the error. */
  function answerOrRefusal(result: Result, task: Task): Answer {
    try {
      return answer(result, task);
    } catch (error) {
      return refusal(error, task);
    }
  }

  function prepare(operation: Operation, { params, literals }: Task): ReadOperation {
    const given = params.variables ?? noVariables;
    const prepared = operation.prepare(given, literals);
    if (prepared !== undefined) {
      assertItems(prepared.items);
      return { prepared, variables: given, problems: [] };
    }
    if (literals.length > 0) return { prepared, variables: given, problems: [] };
    const { document, node } = operation;
    assertItems(countItems({ schema, document, variableValues: given }, node));
    const read = readVariables(schema, document, node, given, maxReportedErrors);
    return { prepared: read.problems.length > 0 ? undefined : operation.prepare(read.variables, literals), ...read };
  }

  function answer({ data, errors = [] }: Result, task: Task): Answer {
    const { params, request, literals } = task;
    const located = errors.length === 0 ? errors : withLocations(errors, params.query, literals);
    return answerOf({ data, errors: located }, request, log, task);
  }

  function refusal(error: unknown, task: Task): Answer {
    return answer({ errors: [located(error)] }, task);
  }

  function assertItems(items: number): void {
    if (items <= limits.items) return;
    throw invalid('OPERATION_TOO_COMPLEX', `The operation lists more than ${limits.items} customers.`);
  }
}

/** One operation on its way through the engine. */
interface Task {
  readonly params: OperationParams;
  readonly request: EngineRequest;
  readonly literals: readonly string[];
  /** `undefined` if it cannot be parsed. */
  readonly document: CheckedDocument | undefined;
  /** Set once the document is known to be valid. */
  type: OperationType | undefined;
  /** Set once the operation is found in the document. */
  name: string | undefined;
}

function taskOf(
  params: OperationParams,
  request: EngineRequest,
  literals: readonly string[],
  document: CheckedDocument | undefined,
): Task {
  return { params, request, literals, document, type: undefined, name: undefined };
}

const noLiterals: readonly string[] = [];
const noVariables: Variables = {};

/** An operation with its variables. `prepared` is `undefined` if graphql-js executes it. */
interface ReadOperation {
  readonly prepared: Prepared | undefined;
  readonly variables: Variables;
  readonly problems: readonly VariableProblem[];
}

/** The name of an operation for the log. `undefined` if it has none, or one of more than 80 characters. */
function nameOf({ node }: Operation): string | undefined {
  const name = node.name?.value;
  return name !== undefined && name.length <= 80 ? name : undefined;
}

/** An error with the path of the invalid value, but without the value. */
function variableError({ node, path }: VariableProblem): GraphQLError {
  const at = path.length === 0 ? '' : ` at ${path.join('.')}`;
  const message = `The value of the variable $${node.variable.name.value} is invalid${at}.`;
  return located(new RequestError('BAD_USER_INPUT', { message, inDocument: true }), node);
}
