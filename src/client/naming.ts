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
  return ['exists', 'notFound', 'outcomeUnknown'].includes(status);
}
