import { type CustomerClientError, mayBeDone } from 'juspay-customer-client/client';
import { useEffect, useState } from 'react';
import { type Failure, FailureNotice, SupportNumber } from './failures.tsx';
import { Notice } from './Notice.tsx';

/** Sends a mutation and can send the same one again. */
export function useRepeat<Variables>(mutation: {
  readonly variables: Variables | undefined;
  readonly isPending: boolean;
  readonly mutate: (variables: Variables) => void;
}) {
  const [isRepeat, setIsRepeat] = useState(false);
  const [isDoubtful, setIsDoubtful] = useState(false);
  const { variables, isPending, mutate } = mutation;
  const again = () => {
    if (variables === undefined || isPending) return;
    setIsRepeat(true);
    mutate(variables);
  };
  return {
    isRepeating: isRepeat && isPending,
    /** Whether an earlier attempt had an ambiguous outcome. A failure of a later one says nothing about it. */
    isDoubtful,
    send(next: Variables) {
      setIsRepeat(false);
      setIsDoubtful(false);
      mutate(next);
    },
    again,
    againInDoubt() {
      setIsDoubtful(true);
      again();
    },
  };
}

/** The label of a save in progress, or `undefined`. */
export function busyWith({ isPending, isPaused }: { isPending: boolean; isPaused: boolean }): string | undefined {
  if (!isPending) return undefined;
  return isPaused ? 'Waiting…' : 'Saving…';
}

type Repeat = Pick<ReturnType<typeof useRepeat>, 'isDoubtful' | 'again' | 'againInDoubt'>;

export function Repeating() {
  return (
    <Notice tone="info" title="Sending again…" takesFocus>
      <p>Your details cannot be saved twice.</p>
    </Notice>
  );
}

/** A notice for a slow save, and for a save that waits for a network connection. */
export function StillWorking({
  mutation: { isPending, isPaused },
}: {
  mutation: { isPending: boolean; isPaused: boolean };
}) {
  const isSent = isPending && !isPaused;
  const [isLong, setIsLong] = useState(false);
  useEffect(() => {
    setIsLong(false);
    if (!isSent) return;
    const timer = setTimeout(() => setIsLong(true), 2000);
    return () => clearTimeout(timer);
  }, [isSent]);
  return (
    <p role="status" className="still">
      {isPaused && 'You are offline. Nothing was sent yet. Your details will be sent when you are online again.'}
      {isLong && 'Still working. We are making sure that nothing is saved twice.'}
    </p>
  );
}

/** Shown for an ambiguous outcome. */
export function UnknownOutcome({ requestId, onAgain }: { requestId: string | undefined; onAgain: () => void }) {
  return (
    <Notice tone="warning" title="We do not know whether your details were saved" takesFocus>
      <p>We sent your details, but received no reply. Send them again: they cannot be saved twice.</p>
      <div className="actions">
        <button type="button" className="primary" onClick={onAgain}>
          Send again
        </button>
      </div>
      <SupportNumber requestId={requestId} />
    </Notice>
  );
}

/** Shown for a save without a result: rejected before it was sent, or lost in the network. */
export function NoAnswer({
  error,
  repeat,
  onBack,
}: {
  error: CustomerClientError;
  repeat: Repeat;
  onBack: () => void;
}) {
  if (mayBeDone(error)) return <UnknownOutcome requestId={error.requestId} onAgain={repeat.againInDoubt} />;
  return <NotSaved failure={error} repeat={repeat} onBack={onBack} />;
}

/** Shown for a definite failure. Nothing was saved, unless an earlier attempt of unknown outcome has saved it. */
export function NotSaved({ failure, repeat, onBack }: { failure: Failure; repeat: Repeat; onBack: () => void }) {
  const { isDoubtful, again } = repeat;
  return (
    <FailureNotice
      failure={failure}
      certain={isDoubtful ? 'We still do not know whether your details were saved.' : 'Nothing was saved.'}
      onRetry={failure.retryable || isDoubtful ? again : undefined}
    >
      <button type="button" className="quiet" onClick={onBack}>
        Back to the form
      </button>
    </FailureNotice>
  );
}
