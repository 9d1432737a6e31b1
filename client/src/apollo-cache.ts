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
import { type CustomerIdentifiers, fieldsOf, isIdentifiedBy } from './naming.ts';
import { targetOf } from './writes.ts';

/** Stores the arguments of a field beside its value, for later updates. They are missing with the app's own policy and in a restored cache. */
const storingArguments: FieldPolicy = {
  merge(_existing: unknown, incoming: unknown, { args, storage }) {
    storage['args'] = args;
    return incoming;
  },
};

/** Type policies for customers. Tokens are not stored, so a persisted cache contains none. */
export const typePolicies: TypePolicies = {
  Query: { fields: { customer: storingArguments, customerByReference: storingArguments, customers: storingArguments } },
  Customer: { fields: { clientAuthToken: { read: () => null, merge: () => null } } },
  ClientAuthToken: { keyFields: false, merge: false },
};

/** Creates a cache with the gateway's unions that stores no tokens. `config` takes precedence. */
export function customerCache(config: InMemoryCacheConfig = {}): InMemoryCache {
  return new InMemoryCache({
    ...config,
    possibleTypes: { ...possibleTypes, ...config.possibleTypes },
    typePolicies: { ...typePolicies, ...config.typePolicies },
  });
}

/** Fields of the query root that return customers. */
const fieldsWithCustomers = ['customer', 'customerByReference', 'customers'] as const;

/** Writes a customer into the cached result of every query for its id or its reference, including results without a customer. */
export function rememberCustomer(cache: ApolloCache, customer: CustomerFieldsFragment): void {
  const fields = fieldsOf(customer) as CustomerFieldsFragment;
  cache.batch({
    update() {
      // Also write fields that were never read, so that the next query is served from the cache.
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
      modifyCustomerFields(cache, (value, { storage, DELETE }) => {
        const identifiers = identifiersIn(storage);
        // A reference to the customer is already up to date. Evict a value that could omit the customer.
        if (identifiers === undefined) return couldOmitCustomer(value) ? DELETE : value;
        if (!Array.isArray(value)) return isIdentifiedBy(fields, identifiers[0]) ? reference : value;
        return value.map((item, index) => (isIdentifiedBy(fields, identifiers[index]) ? reference : item));
      });
    },
  });
}

/** Evicts the customer of a write from the cache. Active queries that contain it are refetched. */
export function forgetCustomer(cache: ApolloCache, variables: unknown, result?: CustomerIdentifiers): void {
  const id = targetOf(variables);
  const targets = [...(id === undefined ? [] : [{ id }]), ...(result ? [result] : [])];
  cache.batch({
    update() {
      const stale = new Set<string>();
      for (const customer of targets) stale.add(cache.identify({ ...customer, __typename: 'Customer' }) ?? '');
      modifyCustomerFields(cache, (value, { storage, DELETE, isReference, readField }) => {
        const references = [value].flat().filter((item) => {
          if (!isReference(item)) return false;
          const cached = {
            id: readField('id', item),
            objectReferenceId: readField('objectReferenceId', item),
          } as CustomerIdentifiers;
          const isOne = targets.some((customer) => isIdentifiedBy(cached, customer.id) || cached.id === customer.id);
          if (isOne) stale.add(item.__ref);
          return isOne;
        });
        const identifiers = identifiersIn(storage);
        const isRequested =
          identifiers?.some((identifier) => targets.some((customer) => isIdentifiedBy(customer, identifier))) ??
          couldOmitCustomer(value);
        return references.length > 0 || isRequested ? DELETE : value;
      });
      // Types of other subgraphs can reference the customer. Evict its fields, not the object, so that it stays in their lists and is refetched.
      for (const ref of stale)
        cache.modify({
          id: ref,
          fields: (value, { fieldName, DELETE }) => (identifyingFields.has(fieldName) ? value : DELETE),
        });
    },
  });
  cache.gc();
}

/** Fields that identify a customer. They stay in the cache. */
const identifyingFields: ReadonlySet<string> = new Set(['__typename', 'id', 'objectReferenceId']);

/** Whether a value could be the result for a customer without a reference to it: null, a list with null, or a value of the app's own `merge`. */
function couldOmitCustomer(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(couldOmitCustomer);
  return !(value as Partial<Reference> | null)?.__ref;
}

/** The identifiers in the arguments of a field. `undefined` if the arguments are unknown. */
function identifiersIn({ args }: Readonly<Record<string, unknown>>): unknown[] | undefined {
  return args ? Object.values(args).flat() : undefined;
}

/** Calls `change` for each cached value of the fields that return customers, for all arguments and cache keys. */
function modifyCustomerFields(cache: ApolloCache, change: Modifier<unknown>): void {
  const fields = Object.fromEntries(fieldsWithCustomers.map((field) => [field, change]));
  cache.modify({ fields: fields as Record<string, never> });
}

/** The kit's query for a customer, converted to a query by reference. */
function byReference(): DocumentNode {
  const renamed = { customer: 'customerByReference', id: 'objectReferenceId' } as Readonly<Record<string, string>>;
  return visit(CustomerAst as DocumentNode, {
    enter(node, _key, parent) {
      // Do not rename the fields of the customer, which include `id`.
      const isOwn = parent && 'kind' in parent && parent.kind === 'Field' && parent.name.value !== 'customer';
      if (node.kind !== 'Name' || isOwn) return undefined;
      return { ...node, value: renamed[node.value] ?? node.value };
    },
  });
}
