import type { CustomerFieldsFragment } from '../../schema/generated/operations.ts';

/** The identifiers of a customer. */
export interface CustomerIdentifiers {
  readonly id: string;
  readonly objectReferenceId?: string | null;
}

/** Whether `identifier` is an identifier of this customer. The comparison is exact: only the provider can compare references without case. */
export function isIdentifiedBy({ id, objectReferenceId }: CustomerIdentifiers, identifier: unknown): boolean {
  return identifier === id || (objectReferenceId != null && identifier === objectReferenceId);
}

/** The current customer in the outcome of a mutation. `undefined` unless it is a success. */
export function customerIn(outcome: unknown): CustomerIdentifiers | undefined {
  const { status, customer } = (outcome ?? {}) as { status?: unknown; customer?: CustomerIdentifiers };
  return status === 'success' && typeof customer?.id === 'string' ? customer : undefined;
}

/** Whether cached data of the customer can be stale after this outcome of a mutation. */
export function leavesStaleData({ status }: { readonly status: string }): boolean {
  return ['exists', 'notFound', 'outcomeUnknown', 'other'].includes(status);
}

const fields: Readonly<Record<keyof CustomerFieldsFragment, true>> = {
  __typename: true,
  id: true,
  objectReferenceId: true,
  firstName: true,
  lastName: true,
  emailAddress: true,
  mobileNumber: true,
  mobileCountryCode: true,
  dateCreated: true,
  lastUpdated: true,
};

/** The fields of a customer that the kit's own queries select. Drops the token, and aliases of the app's own operations. */
export function fieldsOf(customer: CustomerIdentifiers): Partial<CustomerFieldsFragment> & CustomerIdentifiers {
  return Object.fromEntries(
    Object.entries(customer).filter(([name]) => name in fields),
  ) as unknown as CustomerIdentifiers;
}

/** Whether all these fields are present. The app's own operations can select fewer. */
export function isComplete(
  customer: Partial<CustomerFieldsFragment> & CustomerIdentifiers,
): customer is CustomerFieldsFragment {
  return Object.keys(fields).every((name) => name in customer);
}
