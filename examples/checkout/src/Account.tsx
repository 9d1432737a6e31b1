import { useQueryClient } from '@tanstack/react-query';
import { rememberCustomer, skipToken, useCustomer } from 'juspay-customer-client/react-query';
import { type ReactNode, useCallback, useState } from 'react';
import { Details, Edit } from './Details.tsx';
import { FailureNotice } from './failures.tsx';
import { Heading, Notice } from './Notice.tsx';
import { Pay } from './Pay.tsx';
import { Register } from './Register.tsx';
import { Steps } from './Steps.tsx';

/**
 * The checkout after sign-in: look up or register, review, pay. All operations use the object reference id, because the
 * token is bound to it. With the provider's id the gateway would need an extra read to establish the owner.
 */
export function Account({ reference, isNew }: { reference: string; isNew: boolean }) {
  const queryClient = useQueryClient();
  /** New visitors are not looked up: the create reports an existing customer, and this saves one upstream call. */
  const [isLookedUp, setIsLookedUp] = useState(!isNew);
  const [view, setView] = useState<'details' | 'edit' | 'pay'>('details');
  const [message, setMessage] = useState<ReactNode>();
  const found = useCustomer(isLookedUp ? { id: reference } : skipToken);
  /** Set after a create until the visitor is registered. The result of the create takes precedence over later reads. */
  const [isRegistering, setIsRegistering] = useState(isNew);
  if (found.data === null && !isRegistering) setIsRegistering(true);

  const show = useCallback((next: typeof view, nextMessage?: ReactNode) => {
    setView(next);
    setMessage(nextMessage);
  }, []);
  const onRegistered = useCallback(
    (wasLost: boolean) => {
      setIsLookedUp(true);
      setIsRegistering(false);
      show(
        'details',
        <Notice tone="success" title="You are registered" isLive={false}>
          {wasLost && <p>The payment provider’s reply did not reach us. We checked: your details are saved, once.</p>}
        </Notice>,
      );
    },
    [show],
  );
  const onSaved = useCallback(
    () => show('details', <Notice tone="success" title="Your changes are saved" isLive={false} />),
    [show],
  );
  const isRepeating = found.isPending && found.failureReason !== null;

  return (
    <>
      <Steps at={view === 'pay' ? 2 : 1} />
      {/* Always present, so that screen readers announce changes. */}
      <div role="status" className="message">
        {found.isPending && found.fetchStatus === 'paused' ? (
          <Notice tone="warning" title="You are offline" isLive={false}>
            <p>We will load your account when you are online again.</p>
          </Notice>
        ) : isRepeating ? (
          <Notice tone="warning" title="The payment provider is slow to respond" isLive={false}>
            <p>We are trying again. Attempt {found.failureCount + 1}.</p>
          </Notice>
        ) : (
          message
        )}
      </div>
      {stage()}
    </>
  );

  function stage() {
    if (isRegistering) {
      return (
        <Register
          reference={reference}
          lead={
            isLookedUp
              ? 'You do not have an account yet. Registering takes a minute.'
              : 'We share this with our payment provider only.'
          }
          onRegistered={onRegistered}
          onUseExisting={async (existing) => {
            // Set the cache before the query mounts, so that the query does not fetch.
            if (existing) await rememberCustomer(queryClient, existing);
            setIsLookedUp(true);
            setIsRegistering(false);
          }}
        />
      );
    }
    if (found.data && view === 'pay') return <Pay reference={reference} onBack={() => show('details')} />;
    if (found.data) {
      return (
        <section className="card">
          {view === 'edit' ? (
            <Edit
              reference={reference}
              customer={found.data}
              onSaved={onSaved}
              onCancel={() => show('details')}
              onGone={() => {
                show('details');
                void found.refetch();
              }}
            />
          ) : (
            <Details customer={found.data} onEdit={() => show('edit')} onPay={() => show('pay')} />
          )}
        </section>
      );
    }
    return (
      <section className="card">
        <Heading>{found.isError ? 'We could not load your account' : 'Loading your account…'}</Heading>
        {found.isError ? (
          <FailureNotice
            failure={found.error}
            onRetry={found.error.retryable ? () => void found.refetch() : undefined}
            takesFocus={false}
          />
        ) : (
          <div className="skeleton" aria-hidden="true">
            <span />
            <span />
            <span />
          </div>
        )}
      </section>
    );
  }
}
