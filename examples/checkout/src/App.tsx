import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { CustomerProvider } from 'juspay-customer-client/react';
import { useState } from 'react';
import { Account } from './Account.tsx';
import { FaultPanel } from './FaultPanel.tsx';
import { Notice } from './Notice.tsx';
import { Order } from './Order.tsx';
import { SignIn } from './SignIn.tsx';
import { createSessionClient, restore, signOut, useSession } from './session.ts';

export function App() {
  const session = useSession();
  return (
    <>
      <a className="skip" href="#main">
        Skip to the checkout
      </a>
      <header className="top">
        <div className="bar">
          <p className="brand">
            <svg viewBox="0 0 32 32" aria-hidden="true">
              <rect width="32" height="32" rx="9" />
              <path d="M9 23c0-8 5-13 14-14-1 9-6 14-14 14Zm0 0 8-8" />
            </svg>
            <span className="name">Fern &amp; Frame</span>
          </p>
          {session.state === 'in' && (
            <div className="account">
              <span className="reference" title={session.reference}>
                {session.reference}
              </span>
              <button type="button" className="quiet" onClick={() => void signOut()}>
                Sign out
              </button>
            </div>
          )}
        </div>
      </header>
      <div className="page">
        <main id="main" tabIndex={-1}>
          {session.state === 'unknown' && <p className="waiting">One moment…</p>}
          {session.state === 'unreachable' && (
            <Notice tone="error" title="The shop cannot be reached">
              <p>Check your connection and try again.</p>
              <button type="button" onClick={() => void restore()}>
                Try again
              </button>
            </Notice>
          )}
          {session.state === 'out' && <SignIn ended={session.ended} />}
          {session.state === 'in' && (
            // Signing out clears the cache and the tokens.
            <SignedIn key={session.reference} reference={session.reference} isNew={session.isNew} />
          )}
        </main>
        <Order />
      </div>
      <FaultPanel />
    </>
  );
}

function SignedIn({ reference, isNew }: { reference: string; isNew: boolean }) {
  const [client] = useState(createSessionClient);
  const [queryClient] = useState(() => new QueryClient({ defaultOptions: { queries: { staleTime: 30_000 } } }));
  return (
    <QueryClientProvider client={queryClient}>
      <CustomerProvider client={client}>
        <Account reference={reference} isNew={isNew} />
      </CustomerProvider>
    </QueryClientProvider>
  );
}
