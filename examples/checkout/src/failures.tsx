import type { ReactNode } from 'react';
import { useEffect, useState } from 'react';
import { Notice } from './Notice.tsx';

/** What is known of a failure, whether it came as an error or as the result of a mutation. */
export interface Failure {
  readonly code?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | null | undefined;
}

/** What a visitor can make of a code. Programs decide by codes; people are told what to do. */
function wordsFor(code: string | undefined): { title: string; text: string } {
  switch (code) {
    case 'UPSTREAM_UNAVAILABLE':
    case 'UPSTREAM_TIMEOUT':
    case 'UPSTREAM_MALFORMED':
      return { title: 'The payment provider is not answering', text: 'It is not you. This mostly passes in a minute.' };
    case 'RATE_LIMITED':
    case 'OVERLOADED':
      return { title: 'Many people are checking out right now', text: 'You keep your place; try again in a moment.' };
    case 'UNAUTHENTICATED':
    case 'INVALID_RESPONSE':
      return { title: 'The shop has trouble of its own', text: 'It is not you. Try again in a minute.' };
    case 'NETWORK_ERROR':
    case 'TIMEOUT':
      return { title: 'There is no connection', text: 'Check your network and try again.' };
    case 'CLIENT_AUTH_TOKEN_UNAVAILABLE':
      return {
        title: 'The provider did not open a payment',
        text: 'Your details are safe. Try again, or come back later.',
      };
    case 'UPSTREAM_MISCONFIGURED':
      return {
        title: 'Payments are closed for the moment',
        text: 'Something is set up wrongly on our side. Please tell us.',
      };
    default:
      return { title: 'That did not work', text: 'Please tell us, and we will find out why.' };
  }
}

/** A failure, what it means for the visitor, and what they can do. */
export function FailureNotice({
  failure,
  certain,
  onRetry,
  children,
  takesFocus = true,
}: {
  failure: Failure;
  /** What is certain in spite of it: "Nothing was saved." */
  certain?: string;
  onRetry?: (() => void) | undefined;
  children?: ReactNode;
  takesFocus?: boolean;
}) {
  const { title, text } = wordsFor(failure.code);
  return (
    <Notice tone="error" title={title} takesFocus={takesFocus}>
      <p>
        {certain} {text}
      </p>
      <div className="actions">
        {onRetry && <WaitingButton seconds={failure.retryAfterSeconds ?? 0} onClick={onRetry} />}
        {children}
      </div>
      <SupportNumber requestId={failure.requestId} />
    </Notice>
  );
}

/** Under this number the operator finds the operation in the log. */
export function SupportNumber({ requestId }: { requestId: string | undefined }) {
  if (requestId === undefined) return null;
  return (
    <p className="support">
      Number for our support: <code>{requestId}</code>
    </p>
  );
}

/** "Try again", as soon as the provider wants to be asked again. */
function WaitingButton({ seconds, onClick }: { seconds: number; onClick: () => void }) {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return (
    <button type="button" aria-disabled={left > 0} onClick={() => left <= 0 && onClick()}>
      {left > 0 ? `Try again in ${left} s` : 'Try again'}
    </button>
  );
}
