export { skipToken } from '@tanstack/react-query';
export * from '../../schema/generated/react-query.ts';
export {
  type DataOf,
  type MutationHookOptions,
  mutationFactory,
  type QueryData,
  type QueryHookOptions,
  type QueryKey,
  queryFactory,
  rememberCustomer,
  useMutationOf,
  useQueryOf,
} from './react-query-hooks.ts';
