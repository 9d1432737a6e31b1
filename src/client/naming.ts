/** What names a customer. */
export interface Named {
  readonly id: string;
  readonly objectReferenceId?: string | null;
}

/** Whether a question for `name` is surely one for this customer. Another case of a reference is for the provider to tell. */
export function answersTo({ id, objectReferenceId }: Named, name: unknown): boolean {
  return name === id || (objectReferenceId != null && name === objectReferenceId);
}

/** The customers that a mutation's answer shows as they are now. */
export function customerIn(outcome: unknown): Named | undefined {
  const { status, customer } = (outcome ?? {}) as { status?: unknown; customer?: Named };
  return status === 'success' && typeof customer?.id === 'string' ? customer : undefined;
}
