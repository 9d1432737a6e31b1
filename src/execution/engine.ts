import type { GraphQLError, GraphQLSchema } from 'graphql';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';
import type { Log, OperationType } from '../telemetry/log.ts';
import { type Answer, type AnswerRequest, answerOf } from './answer.ts';
import { withBoundedFailures } from './bounded.ts';
import type { Operation, Prepared } from './compiler.ts';
import { type CheckedDocument, createDocuments, invalid } from './documents.ts';
import { interpret, runPlan } from './executor.ts';
import { countItems } from './items.ts';
import type { DocumentLimits } from './limits.ts';
import { located, maxReportedErrors, mutationOverGet, noSuchOperation } from './outcome.ts';
import { resolversOf } from './plan.ts';
import { readVariables, type VariableProblem, type Variables } from './variables.ts';

/** Executes GraphQL operations. Every way into the gateway uses the same engine, so that the answer does not depend on the way. */
export interface Engine {
  /** Never rejects: each failure is part of the answer. */
  run(params: OperationParams, request: EngineRequest): Answer | Promise<Answer>;
}

export interface OperationParams {
  readonly query: string;
  readonly operationName?: string | undefined;
  readonly variables?: Variables | undefined;
}

/** What the engine needs to know about the request of an operation. */
export interface EngineRequest extends AnswerRequest {
  /** Over GET, mutations are refused. */
  readonly isGet: boolean;
  /** Key for fair scheduling of validation: the credentials, or the address if the caller is anonymous. */
  readonly requester: string;
  readonly cancellation: Cancellation;
  /** Creates the context of the resolvers. Called at most once, immediately before execution. */
  createContext(operation: { readonly name: string | undefined; readonly type: OperationType }): object;
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

  return {
    run(params, request) {
      try {
        const known = documents.find(params.query);
        const document = known ?? documents.read(params.query, request.requester, request.cancellation);
        if (!(document instanceof Promise)) return run(document, params, request);
        return document.then(
          (read) => run(read, params, request),
          (error) => refusal(error, request),
        );
      } catch (error) {
        return refusal(error, request);
      }
    },
  };

  function run(document: CheckedDocument, params: OperationParams, request: EngineRequest): Answer | Promise<Answer> {
    try {
      const operation = document.operation(params.operationName);
      if (operation === undefined) throw noSuchOperation();
      if (request.isGet && operation.node.operation === 'mutation') throw mutationOverGet();
      if (document.errors.length > 0) return answerOf({ errors: document.errors }, request, log);
      return execute(operation, params, request);
    } catch (error) {
      return refusal(error, request);
    }
  }

  function execute(operation: Operation, params: OperationParams, request: EngineRequest): Answer | Promise<Answer> {
    const type = operation.node.operation;
    try {
      const read = prepare(operation, params.variables ?? noVariables);
      if (read.problems.length > 0) {
        return answerOf({ errors: read.problems.map(variableError) }, request, log, type);
      }
      const context = request.createContext({ name: nameOf(params), type });
      if (read.prepared === undefined) return interpreted(operation, read.variables, context, request);
      const { prepared } = read;
      return new Promise((resolve) => {
        runPlan(operation, prepared, context, limits.responseBytes, (result) => {
          resolve(answerOf(result, request, log, type));
        });
      });
    } catch (error) {
      return refusal(error, request, type);
    }
  }

  async function interpreted(
    operation: Operation,
    variables: Variables,
    context: object,
    request: EngineRequest,
  ): Promise<Answer> {
    const type = operation.node.operation;
    try {
      const result = await interpret(operation, schema, variables, context, limits.responseBytes);
      return answerOf(result, request, log, type);
    } catch (error) {
      return refusal(error, request, type);
    }
  }

  function prepare(operation: Operation, given: Variables): ReadOperation {
    const prepared = operation.prepare(given);
    if (prepared !== undefined) {
      assertItems(prepared.items);
      return { prepared, variables: given, problems: [] };
    }
    const { document, node } = operation;
    assertItems(countItems({ schema, document, variableValues: given }, node));
    const read = readVariables(schema, document, node, given, maxReportedErrors);
    return { prepared: read.problems.length > 0 ? undefined : operation.prepare(read.variables), ...read };
  }

  function assertItems(items: number): void {
    if (items <= limits.items) return;
    throw invalid('OPERATION_TOO_COMPLEX', `The operation lists more than ${limits.items} customers.`);
  }

  function refusal(error: unknown, request: EngineRequest, type?: OperationType): Answer {
    return answerOf({ errors: [located(error)] }, request, log, type);
  }
}

const noVariables: Variables = {};

/** An operation with its variables. `prepared` is `undefined` if graphql-js executes it. */
interface ReadOperation {
  readonly prepared: Prepared | undefined;
  readonly variables: Variables;
  readonly problems: readonly VariableProblem[];
}

/** The operation's name for the audit. `undefined` if there is none, or if it is not a valid GraphQL name of at most 80 characters. */
function nameOf({ operationName, query }: OperationParams): string | undefined {
  const name = operationName ?? /^\s*(?:query|mutation)\s+(\w+)/.exec(query)?.[1];
  return name !== undefined && /^\w{1,80}$/.test(name) ? name : undefined;
}

/** An error with the path of the invalid value, but without the value. */
function variableError({ node, path }: VariableProblem): GraphQLError {
  const at = path.length === 0 ? '' : ` at ${path.join('.')}`;
  const message = `The value of the variable $${node.variable.name.value} is invalid${at}.`;
  return located(new RequestError('BAD_USER_INPUT', { message, inDocument: true }), node);
}
