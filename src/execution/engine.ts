import {
  type ASTNode,
  type DocumentNode,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
} from 'graphql';
import type { Cancellation } from '../customers/cancellation.ts';
import { RequestError } from '../errors.ts';
import type { Log, OperationType } from '../telemetry/log.ts';
import { type Answer, type AnswerRequest, answerOf, type Result } from './answer.ts';
import { createDocuments, invalid } from './documents.ts';
import { collectFailures, tooLarge } from './failures.ts';
import { countItems } from './items.ts';
import type { DocumentLimits } from './limits.ts';
import { maxReportedErrors, mutationOverGet, noSuchOperation } from './outcome.ts';
import { exceedsJsonBytes } from './size.ts';
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

/** @param options.schema with the resolvers of `withBoundedFailures`. */
export function createEngine({ schema, limits, introspection, log }: EngineOptions): Engine {
  const documents = createDocuments({ schema, limits, introspection });

  return {
    async run(params, request) {
      let operationType: OperationType | undefined;
      try {
        const document = await documents.read(params.query, request.requester, request.cancellation);
        const operation = operationOf(document, params.operationName, request.isGet);
        const errors = documents.check(document);
        if (errors.length > 0) return answerOf({ errors }, request, log);
        operationType = operation.operation;
        return answerOf(await run(document, operation, params, request), request, log, operationType);
      } catch (error) {
        return answerOf({ errors: [located(error)] }, request, log, operationType);
      }
    },
  };

  async function run(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    { query, operationName, variables = {} }: OperationParams,
    { createContext }: EngineRequest,
  ): Promise<Result> {
    if (countItems({ schema, document, variableValues: variables }, operation) > limits.items) {
      throw invalid('OPERATION_TOO_COMPLEX', `The operation lists more than ${limits.items} customers.`);
    }
    const read = readVariables(schema, document, operation, variables, maxReportedErrors);
    if (read.problems.length > 0) return { errors: read.problems.map(variableError) };
    const type = operation.operation;
    const contextValue = createContext({ name: nameOf(operationName, query), type });
    const failures = collectFailures(contextValue, {
      maxReported: maxReportedErrors,
      maxTextBytes: type === 'mutation' ? limits.responseBytes : undefined,
    });
    const result = await execute({
      schema,
      document,
      contextValue,
      variableValues: read.variables,
      operationName: operationName ?? null,
    });
    const errors = [...failures(), ...(result.errors ?? [])].slice(0, maxReportedErrors);
    // The outcome of a write must be reported, so in a mutation single texts become null instead.
    const isTooLarge =
      type !== 'mutation' && exceedsJsonBytes(result.data, limits.responseBytes - envelopeBytes(errors));
    if (isTooLarge) return { errors: [located(tooLarge())], data: null };
    return errors.length > 0 ? { ...result, errors } : result;
  }
}

/** Finds the operation to execute. @throws RequestError if there is none, or if it is a mutation over GET. */
function operationOf(document: DocumentNode, name: string | undefined, isGet: boolean): OperationDefinitionNode {
  const operation = getOperationAST(document, name);
  if (!operation) throw noSuchOperation();
  if (isGet && operation.operation === 'mutation') throw mutationOverGet();
  return operation;
}

/** The operation's name for the audit. `undefined` if there is none, or if it is not a valid GraphQL name of at most 80 characters. */
function nameOf(operationName: string | undefined, text: string): string | undefined {
  const name = operationName ?? /^\s*(?:query|mutation)\s+(\w+)/.exec(text)?.[1];
  return name !== undefined && /^\w{1,80}$/.test(name) ? name : undefined;
}

/** An error with the path of the invalid value, but without the value. */
function variableError({ node, path }: VariableProblem): GraphQLError {
  const at = path.length === 0 ? '' : ` at ${path.join('.')}`;
  const message = `The value of the variable $${node.variable.name.value} is invalid${at}.`;
  return located(new RequestError('BAD_USER_INPUT', { message, inDocument: true }), node);
}

/** Upper bound of the bytes of a response without its data, errors included. */
function envelopeBytes(errors: readonly GraphQLError[]): number {
  return errors.reduce(
    (sum, { message, path }) => sum + 400 + JSON.stringify([message, path]).length,
    '{"data":}'.length,
  );
}

function located(error: unknown, node?: ASTNode): GraphQLError {
  const cause =
    error instanceof Error ? error : new Error('A value was thrown that is not an error.', { cause: error });
  return new GraphQLError(cause.message, { nodes: node ?? null, originalError: cause });
}
