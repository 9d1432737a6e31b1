export * from '../../schema/generated/apollo.ts';
export * from '../../schema/generated/asts.ts';
export { possibleTypes } from '../../schema/generated/possible-types.ts';
export { customerCache, forgetCustomer, rememberCustomer, typePolicies } from './apollo-cache.ts';
export {
  createApolloClient,
  customerLink,
  type MutationHookOptions,
  type QueryHookOptions,
  type UseMutationOfResponse,
  useMutationOf,
  useQueryOf,
  type WithOutcome,
} from './apollo-hooks.ts';
export type { TypedAst } from './ast.ts';
export { customerErrorOf } from './error.ts';
