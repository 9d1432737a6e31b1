import {
  type ApolloCache,
  type DocumentNode,
  type FieldPolicy,
  InMemoryCache,
  type InMemoryCacheConfig,
  type Reference,
  type TypePolicies,
} from '@apollo/client';
import type { Modifier } from '@apollo/client/cache';
import { visit } from 'graphql';
import { CustomerAst } from '../../schema/generated/asts.ts';
import type { CustomerFieldsFragment } from '../../schema/generated/operations.ts';
import { possibleTypes } from '../../schema/generated/possible-types.ts';
import { answersTo, fieldsOf, type Named } from './naming.ts';
import { subjectOf } from './writes.ts';

/** Keeps beside an answer what was asked, for changes of the answer. A policy of the app's own, and a cache that was restored, has none of it. */
const withArguments: FieldPolicy = {
  merge(_existing: unknown, incoming: unknown, { args, storage }) {
    storage['args'] = args;
    return incoming;
  },
};

/** A token is never merged with another and never kept: whatever persists the cache finds none. */
export const typePolicies: TypePolicies = {
  Query: { fields: { customer: withArguments, customerByReference: withArguments, customers: withArguments } },
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

/** Fields of the query root that show customers. */
const fieldsWithCustomers = ['customer', 'customerByReference', 'customers'] as const;

/** Shows a customer wherever it was asked for by its id or its reference: also where the answer was that there is none. */
export function rememberCustomer(cache: ApolloCache, customer: CustomerFieldsFragment): void {
  const fields = fieldsOf(customer) as CustomerFieldsFragment;
  cache.batch({
    update() {
      // Asked for or not: the next question is answered from here.
      for (const id of [fields.id, fields.objectReferenceId]) {
        if (id != null) cache.writeQuery({ query: CustomerAst, variables: { id }, data: { customer: fields } });
      }
      const { objectReferenceId } = fields;
      if (objectReferenceId != null) {
        cache.writeQuery({
          query: byReference(),
          variables: { objectReferenceId },
          data: { customerByReference: fields },
        });
      }
      const reference = { __ref: cache.identify({ ...fields }) ?? '' };
      eachShown(cache, (value, { storage, DELETE }) => {
        const names = namesIn(storage);
        // One that shows the customer has what is new; one that shows none may be about it.
        if (names === undefined) return mayHideCustomer(value) ? DELETE : value;
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
  cache.batch({
    update() {
      const stale = new Set<string>();
      for (const customer of known) stale.add(cache.identify({ ...customer, __typename: 'Customer' }) ?? '');
      eachShown(cache, (value, { storage, DELETE, isReference, readField }) => {
        const isShown = [value].flat().filter((item) => {
          if (!isReference(item)) return false;
          const shown = { id: readField('id', item), objectReferenceId: readField('objectReferenceId', item) } as Named;
          const isOne = known.some((customer) => answersTo(shown, customer.id) || shown.id === customer.id);
          if (isOne) stale.add(item.__ref);
          return isOne;
        });
        const names = namesIn(storage);
        const isAsked =
          names?.some((name) => known.some((customer) => answersTo(customer, name))) ?? mayHideCustomer(value);
        return isShown.length > 0 || isAsked ? DELETE : value;
      });
      // Types of other subgraphs show it too: without its fields it is asked for there as well, and stays in their lists.
      for (const ref of stale)
        cache.modify({ id: ref, fields: (value, { fieldName, DELETE }) => (kept.has(fieldName) ? value : DELETE) });
    },
  });
  cache.gc();
}

/** What a customer is known by in the cache. */
const kept: ReadonlySet<string> = new Set(['__typename', 'id', 'objectReferenceId']);

/** Whether a value may stand for a customer without showing it: none, a list with a gap, or what a `merge` of the app's own made. */
function mayHideCustomer(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(mayHideCustomer);
  return !(value as Partial<Reference> | null)?.__ref;
}

/** The names that a field was asked with, where they are known. */
function namesIn({ args }: Readonly<Record<string, unknown>>): unknown[] | undefined {
  return args ? Object.values(args).flat() : undefined;
}

/** Changes each value of the query root that shows customers, whatever it was asked with and whatever key the cache has for it. */
function eachShown(cache: ApolloCache, change: Modifier<unknown>): void {
  const fields = Object.fromEntries(fieldsWithCustomers.map((field) => [field, change]));
  cache.modify({ fields: fields as Record<string, never> });
}

/** The kit's query for a customer, by the reference. */
function byReference(): DocumentNode {
  const renamed = { customer: 'customerByReference', id: 'objectReferenceId' } as Readonly<Record<string, string>>;
  return visit(CustomerAst as DocumentNode, {
    enter(node, _key, parent) {
      // Fields of the customer, one of them `id`, keep their names.
      const isOwn = parent && 'kind' in parent && parent.kind === 'Field' && parent.name.value !== 'customer';
      if (node.kind !== 'Name' || isOwn) return undefined;
      return { ...node, value: renamed[node.value] ?? node.value };
    },
  });
}
