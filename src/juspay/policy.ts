import type { CallKind } from '../customers/record.ts';
import type { CallFailure } from './refusal.ts';

/** Decides how often a call is attempted, and after which failures. */
export interface Policy {
  readonly kind: CallKind;
  readonly maxAttempts: number;
  /** Whether to repeat after this failure. `isOnceUsed`: the call was already repeated after a failure of the same kind. */
  repeats(failure: CallFailure, isOnceUsed: boolean): boolean;
  /** The share of the remaining time that one attempt may take, 0 to 1. */
  readonly share: number;
  /** Whether the call waits if the breaker or the budget refuses it; otherwise it fails at once. */
  readonly waitsIfRefused: boolean;
}

const isRepeatable = ({ repeat }: CallFailure, isOnceUsed: boolean) =>
  repeat === 'always' || (repeat === 'once' && !isOnceUsed);

/** The policy of a read. Reads can always be repeated. */
export const reading: Policy = { kind: 'get', maxAttempts: 3, repeats: isRepeatable, share: 1, waitsIfRefused: false };

/** The policy of a read that settles a write. It continues until the deadline: without it the outcome stays unknown. */
export const settling: Policy = {
  kind: 'get',
  maxAttempts: Number.POSITIVE_INFINITY,
  repeats: ({ repeat }) => repeat !== 'never',
  share: 1,
  waitsIfRefused: true,
};

/** The policy of a write. It is repeated only after a definite failure, and leaves half of the time for reading back. */
export const writing = (kind: 'create' | 'update'): Policy => ({
  kind,
  maxAttempts: 3,
  repeats: (failure, isOnceUsed) => failure.certainty !== 'unknown' && isRepeatable(failure, isOnceUsed),
  share: 0.5,
  waitsIfRefused: false,
});
