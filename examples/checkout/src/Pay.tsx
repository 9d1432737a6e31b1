import { useClientAuthToken, useSecondsLeft } from 'juspay-customer-client/react';
import { FailureNotice } from './failures.tsx';
import { Heading } from './Notice.tsx';

const circumference = 2 * Math.PI * 26;
/** Lifetime of a client auth token in seconds: a full ring. */
const fullSeconds = 900;

/** The payment step. The provider's SDK needs a client auth token; the kit keeps a valid one ready. */
export function Pay({ reference, onBack }: { reference: string; onBack: () => void }) {
  const token = useClientAuthToken(reference);
  const secondsLeft = useSecondsLeft(token) ?? 0;
  return (
    <section className="card">
      <Heading>Payment</Heading>
      {token.status === 'failed' ? (
        <FailureNotice failure={token.error} certain="No payment was started." onRetry={token.retry}>
          <button type="button" className="quiet" onClick={onBack}>
            Back to your details
          </button>
        </FailureNotice>
      ) : (
        <>
          <p className="lead">
            {token.status === 'ready' ? 'The payment is ready. Nothing is charged yet.' : 'Preparing the payment…'}
          </p>
          <div className={`session ${token.status}`}>
            <svg className="ring" viewBox="0 0 60 60" aria-hidden="true">
              <circle className="track" cx="30" cy="30" r="26" />
              <circle
                className="left"
                cx="30"
                cy="30"
                r="26"
                transform="rotate(-90 30 30)"
                strokeDasharray={circumference}
                strokeDashoffset={circumference * (1 - Math.min(1, secondsLeft / fullSeconds))}
              />
              <path className="lock" d="M24 29h12v9H24zm2.5 0v-3.5a3.5 3.5 0 0 1 7 0V29" />
            </svg>
            {token.status === 'ready' ? (
              <dl>
                <div>
                  <dt>Time left</dt>
                  <dd>
                    <time role="timer" dateTime={`PT${secondsLeft}S`}>
                      {clock(secondsLeft)}
                    </time>
                  </dd>
                </div>
                <div>
                  <dt>Payment token</dt>
                  <dd>
                    <code title="Shortened">{masked(token.token)}</code>
                  </dd>
                </div>
              </dl>
            ) : (
              <div className="skeleton" aria-hidden="true">
                <span />
                <span />
              </div>
            )}
          </div>
          <p role="status" className="still">
            {token.status === 'ready' && token.isRenewing && 'Renewing…'}
            {token.status === 'ready' &&
              !token.isRenewing &&
              (token.error
                ? 'The token could not be renewed. It is valid for the time shown, and we will try again.'
                : 'The token is renewed before it expires.')}
          </p>
          <div className="sheet">
            <p>The provider’s payment sheet opens here, with this token.</p>
          </div>
          <div className="actions">
            <button type="button" className="quiet" onClick={onBack}>
              Back to your details
            </button>
          </div>
        </>
      )}
    </section>
  );
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** The ends of the token, enough to see a renewal. Never display a whole token. */
function masked(token: string): string {
  return `${token.slice(0, 4)}••••••${token.slice(-4)}`;
}
