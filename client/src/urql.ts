export * from '../../schema/generated/asts.ts';
export * from '../../schema/generated/urql.ts';
export type { TypedAst } from './ast.ts';
export { customerErrorOf } from './error.ts';
export {
  createUrqlClient,
  customerExchange,
  type MutationHookOptions,
  type QueryHookOptions,
  type UrqlOptions,
  type UseMutationOfResponse,
  useMutationOf,
  useQueryOf,
  type WithOutcome,
} from './urql-hooks.ts';
