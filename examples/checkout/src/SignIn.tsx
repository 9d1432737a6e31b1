import { type SubmitEvent, useState } from 'react';
import { Field } from './Field.tsx';
import { Heading, Notice } from './Notice.tsx';
import { signIn } from './session.ts';

/** Example references on the sandbox. */
const samples = [
  { reference: 'asha.rao@example.com', isNew: false, does: 'has an account' },
  { reference: 'asha.rao@example.com', isNew: true, does: 'registers although there is an account' },
  { reference: 'fault_500_after_commit_x1', isNew: true, does: 'is saved, but the response is lost' },
  { reference: 'fault_timeout', isNew: true, does: 'the outcome stays unknown' },
  { reference: 'fault_503', isNew: false, does: 'the provider is down' },
  { reference: 'fault_invalid', isNew: true, does: 'the provider rejects the number' },
];

export function SignIn({ ended }: { ended: boolean }) {
  const [reference, setReference] = useState('');
  const [isNew, setIsNew] = useState(false);
  const [problem, setProblem] = useState<'reference' | 'connection'>();
  const [busy, setBusy] = useState(false);

  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    signIn(reference, isNew)
      .then((isAccepted) => {
        if (!isAccepted) {
          setProblem('reference');
          document.getElementById('reference')?.focus();
        }
      })
      .catch(() => setProblem('connection'))
      .finally(() => setBusy(false));
  };

  return (
    <section className="card">
      <Heading takesFocus={ended}>Checkout</Heading>
      <p className="lead">Two steps: your details, then payment.</p>
      {ended && (
        <Notice tone="info" title="Your session has ended">
          <p>Sign in again to continue. Your saved details are not lost.</p>
        </Notice>
      )}
      {problem === 'connection' && (
        <Notice tone="error" title="The shop cannot be reached" takesFocus>
          <p>Check your connection and try again.</p>
        </Notice>
      )}
      <form onSubmit={submit} noValidate>
        <fieldset className="choice">
          <legend>Do you have an account?</legend>
          <label>
            <input type="radio" name="visit" checked={!isNew} onChange={() => setIsNew(false)} />
            <span>
              Yes<small>We load your account.</small>
            </span>
          </label>
          <label>
            <input type="radio" name="visit" checked={isNew} onChange={() => setIsNew(true)} />
            <span>
              No<small>You register.</small>
            </span>
          </label>
        </fieldset>
        <Field
          id="reference"
          label="E-mail address"
          inputMode="email"
          autoComplete="email"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={128}
          value={reference}
          onChange={(event) => setReference(event.target.value)}
          error={problem === 'reference' ? 'Enter an e-mail address, such as noor@example.com.' : undefined}
        />
        <button type="submit" className="primary" disabled={busy} aria-busy={busy}>
          Continue
        </button>
      </form>
      <details className="samples">
        <summary>Examples for the sandbox</summary>
        <ul>
          {samples.map((sample) => (
            <li key={sample.reference + sample.does}>
              <button
                type="button"
                className="quiet"
                onClick={() => {
                  setReference(sample.reference);
                  setIsNew(sample.isNew);
                  document.getElementById('reference')?.focus();
                }}
              >
                <code>{sample.reference}</code>
                <small>{sample.does}</small>
              </button>
            </li>
          ))}
        </ul>
        <p>This example does not ask for a password. A real shop must verify the visitor.</p>
      </details>
    </section>
  );
}
