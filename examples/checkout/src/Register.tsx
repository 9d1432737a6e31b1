import { type CreateCustomerInput, type CustomerFieldsFragment, unreachable } from 'juspay-customer-client/client';
import { useCreateCustomer } from 'juspay-customer-client/react-query';
import { validateNewCustomer } from 'juspay-customer-client/validation';
import { useEffect, useState } from 'react';
import { CustomerForm, labelsOf, type Values } from './CustomerForm.tsx';
import { Heading, Notice } from './Notice.tsx';
import { busyWith, NoAnswer, NotSaved, Repeating, StillWorking, UnknownOutcome, useRepeat } from './saving.tsx';

/** Registers the visitor and shows each possible outcome. */
export function Register({
  reference,
  lead,
  onRegistered,
  onUseExisting,
}: {
  reference: string;
  lead: string;
  /** @param wasLost true if the upstream response was lost and the customer was found with this data. */
  onRegistered: (wasLost: boolean) => void;
  /** The customer with this reference, if it could be read. */
  onUseExisting: (customer: CustomerFieldsFragment | null) => Promise<void>;
}) {
  const create = useCreateCustomer();
  const repeat = useRepeat(create);
  const { isRepeating, send } = repeat;
  const [input, setInput] = useState<Values>({
    emailAddress: reference.includes('@') ? reference : '',
    mobileCountryCode: '91',
    mobileNumber: '',
    firstName: '',
    lastName: '',
  });
  const { data: outcome, error, reset } = create;

  const origin = outcome?.status === 'success' ? outcome.origin : undefined;
  useEffect(() => {
    if (origin !== undefined) onRegistered(origin === 'RECONCILED');
  }, [origin, onRegistered]);

  function stage() {
    if (isRepeating) return <Repeating />;
    if (error) return <NoAnswer error={error} repeat={repeat} onBack={reset} />;
    switch (outcome?.status) {
      case undefined:
      case 'success':
      case 'invalid':
        return (
          <CustomerForm
            start={input}
            check={(values) => validateNewCustomer(inputOf(reference, values))}
            serverIssues={outcome?.status === 'invalid' ? outcome.issues : undefined}
            busy={busyWith(create)}
            action="Save and continue"
            onSend={(values) => {
              setInput(values);
              send({ input: inputOf(reference, values) });
            }}
          />
        );
      case 'exists':
        return (
          <Notice tone="info" title="You are registered already" takesFocus>
            {outcome.differingFields !== null && outcome.differingFields.length > 0 && (
              <p>Your saved details differ from your input: {labelsOf(outcome.differingFields)}.</p>
            )}
            {outcome.differingFields === null && <p>We could not compare your input with your saved details.</p>}
            <p>Nothing was changed.</p>
            <div className="actions">
              <button type="button" className="primary" onClick={() => void onUseExisting(outcome.existing)}>
                Use existing account
              </button>
              <button type="button" className="quiet" onClick={reset}>
                Back to the form
              </button>
            </div>
          </Notice>
        );
      case 'outcomeUnknown':
        return <UnknownOutcome requestId={outcome.requestId} onAgain={repeat.againInDoubt} />;
      case 'upstream':
      case 'other':
        return <NotSaved failure={outcome} repeat={repeat} onBack={reset} />;
      default:
        return unreachable(outcome);
    }
  }

  return (
    <section className="card">
      <Heading>Register</Heading>
      <p className="lead">{lead}</p>
      {stage()}
      <StillWorking mutation={create} />
    </section>
  );
}

/** The input of the mutation, without empty fields. */
function inputOf(reference: string, values: Values): CreateCustomerInput {
  const filled = Object.entries(values).filter(([, value]) => value !== '');
  // The check reports missing fields before anything is sent.
  return { objectReferenceId: reference, ...Object.fromEntries(filled) } as CreateCustomerInput;
}
