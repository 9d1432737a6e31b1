import { foldReference } from '../customer.ts';

/** What names a customer. */
export interface Named {
  readonly id: string;
  readonly objectReferenceId?: string | null;
}

/** Whether a question for `name` is a question for this customer, as the gateway reads it: ids exactly, references without case. */
export function answersTo({ id, objectReferenceId }: Named, name: unknown): boolean {
  if (typeof name !== 'string') return false;
  return name === id || (objectReferenceId != null && foldReference(name) === foldReference(objectReferenceId));
}

/** The customers that a mutation's answer shows as they are now. */
export function customerIn(outcome: unknown): Named | undefined {
  const { status, customer } = (outcome ?? {}) as { status?: unknown; customer?: Named };
  return status === 'success' && typeof customer?.id === 'string' ? customer : undefined;
}
