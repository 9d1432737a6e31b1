import type { ReactNode } from 'react';
import { useEffect, useState } from 'react';
import { Notice } from './Notice.tsx';

/** A failure: an error, or the error result of a mutation. */
export interface Failure {
  readonly code?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | null | undefined;
}

/** The text for each error code. */
function textFor(code: string | undefined): { title: string; text: string } {
  switch (code) {
    case 'UPSTREAM_UNAVAILABLE':
    case 'UPSTREAM_TIMEOUT':
    case 'UPSTREAM_MALFORMED':
      return {
        title: 'The payment provider is not responding',
        text: 'This is not your fault. Try again in a minute.',
      };
    case 'RATE_LIMITED':
    case 'OVERLOADED':
      return { title: 'There are too many requests at the moment', text: 'Try again in a moment.' };
    case 'UNAUTHENTICATED':
    case 'INVALID_RESPONSE':
      return { title: 'The shop has a technical problem', text: 'This is not your fault. Try again in a minute.' };
    case 'NETWORK_ERROR':
    case 'TIMEOUT':
      return { title: 'There is no connection', text: 'Check your network and try again.' };
    case 'CLIENT_AUTH_TOKEN_UNAVAILABLE':
      return {
        title: 'The payment could not be prepared',
        text: 'Try again now or later.',
      };
    case 'UPSTREAM_MISCONFIGURED':
      return {
        title: 'Payments are not available at the moment',
        text: 'The shop is not configured correctly. Please contact us.',
      };
    default:
      return { title: 'Something went wrong', text: 'Please contact us.' };
  }
}

/** Shows a failure, its meaning and the possible actions. */
export function FailureNotice({
  failure,
  certain,
  onRetry,
  children,
  takesFocus = true,
}: {
  failure: Failure;
  /** A statement that holds despite the failure: "Nothing was saved." */
  certain?: string;
  onRetry?: (() => void) | undefined;
  children?: ReactNode;
  takesFocus?: boolean;
}) {
  const { title, text } = textFor(failure.code);
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

/** The request id, with which an operator finds the operation in the log. */
export function SupportNumber({ requestId }: { requestId: string | undefined }) {
  if (requestId === undefined) return null;
  return (
    <p className="support">
      Support reference: <code>{requestId}</code>
    </p>
  );
}

/** A "Try again" button that is disabled until `retryAfterSeconds` have passed. */
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
