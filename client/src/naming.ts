import type { CustomerFieldsFragment } from '../../schema/generated/operations.ts';

/** What names a customer. */
export interface Named {
  readonly id: string;
  readonly objectReferenceId?: string | null;
}

/** Whether a question for `name` is surely one for this customer. Another case of a reference is for the provider to tell. */
export function answersTo({ id, objectReferenceId }: Named, name: unknown): boolean {
  return name === id || (objectReferenceId != null && name === objectReferenceId);
}

/** The customer that a mutation's answer shows as it is now. */
export function customerIn(outcome: unknown): Named | undefined {
  const { status, customer } = (outcome ?? {}) as { status?: unknown; customer?: Named };
  return status === 'success' && typeof customer?.id === 'string' ? customer : undefined;
}

/** Whether what is cached about the customer is wrong after this answer to a mutation, or may be. */
export function leavesDoubt({ status }: { readonly status: string }): boolean {
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

/** Of a customer what the kit's own queries ask for: no token, and nothing that an operation of the app's own calls by another name. */
export function fieldsOf(customer: Named): Partial<CustomerFieldsFragment> & Named {
  return Object.fromEntries(Object.entries(customer).filter(([name]) => name in fields)) as unknown as Named;
}

/** Whether all of it is there. An operation of the app's own may answer with less. */
export function isWhole(customer: Partial<CustomerFieldsFragment> & Named): customer is CustomerFieldsFragment {
  return Object.keys(fields).every((name) => name in customer);
}
