import { type ApolloCache, InMemoryCache, type InMemoryCacheConfig, type TypePolicies } from '@apollo/client';
import { CustomerAst } from '../../schema/generated/asts.ts';
import type { CustomerFieldsFragment } from '../../schema/generated/operations.ts';
import { possibleTypes } from '../../schema/generated/possible-types.ts';
import { answersTo, fieldsOf, type Named } from './naming.ts';
import { subjectOf } from './writes.ts';

/** A token is never merged with another and never kept: whatever persists the cache finds none. */
export const typePolicies: TypePolicies = {
  Customer: { fields: { clientAuthToken: { read: () => null, merge: () => null } } },
  ClientAuthToken: { keyFields: false, merge: false },
};

/** A cache that knows the gateway's unions and keeps no token. What is given is added, and wins. */
export function customerCache(config: InMemoryCacheConfig = {}): InMemoryCache {
  return new InMemoryCache({
    ...config,
    possibleTypes: { ...possibleTypes, ...config.possibleTypes },
    typePolicies: { ...typePolicies, ...config.typePolicies },
  });
}

/** Fields of the query root that ask for customers, and where they say for whom. */
const askedBy = { customer: 'id', customerByReference: 'objectReferenceId', customers: 'ids' } as const;

/** Shows a customer wherever it was asked for by its id or its reference: also where the answer was that there is none. */
export function rememberCustomer(cache: ApolloCache, customer: CustomerFieldsFragment): void {
  const fields = fieldsOf(customer) as CustomerFieldsFragment;
  cache.batch({
    update() {
      // Asked for or not: the next question is answered from here.
      for (const id of [fields.id, fields.objectReferenceId]) {
        if (id != null) cache.writeQuery({ query: CustomerAst, variables: { id }, data: { customer: fields } });
      }
      const reference = { __ref: cache.identify({ __typename: 'Customer', id: fields.id }) ?? '' };
      eachAsked(cache, (value, names) => {
        if (!Array.isArray(value)) return answersTo(fields, names[0]) ? reference : value;
        return value.map((item, index) => (answersTo(fields, names[index]) ? reference : item));
      });
    },
  });
}

/** Forgets what was answered about the customer that a write was about: whoever shows it asks again. */
export function forgetCustomer(cache: ApolloCache, variables: unknown, answered?: Named): void {
  const id = subjectOf(variables);
  const known = [...(id === undefined ? [] : [{ id }]), ...(answered ? [answered] : [])];
  const isOne = (name: unknown) => known.some((customer) => answersTo(customer, name));
  eachAsked(cache, (value, names, remove) => (names.some(isOne) ? remove : value));
  cache.gc();
}

function eachAsked(
  cache: ApolloCache,
  change: (value: unknown, names: readonly unknown[], remove: unknown) => unknown,
): void {
  const modifier =
    (argument: string) =>
    (value: unknown, { storeFieldName, DELETE }: { storeFieldName: string; DELETE: unknown }) =>
      change(value, namesIn(storeFieldName, argument), DELETE);
  const fields = Object.fromEntries(Object.entries(askedBy).map(([field, argument]) => [field, modifier(argument)]));
  cache.modify({ fields: fields as unknown as Record<string, never> });
}

/** The names in a key of the cache such as `customers({"ids":["a","b"]})`. */
function namesIn(storeFieldName: string, argument: string): unknown[] {
  const [, json = '{}'] = /^\w+\((.*)\)$/s.exec(storeFieldName) ?? [];
  return [(JSON.parse(json) as Record<string, unknown>)[argument]].flat();
}
