import { type CustomerFieldsFragment, type UpdateCustomerInput, unreachable } from 'juspay-customer-client/client';
import { useUpdateCustomer } from 'juspay-customer-client/react-query';
import { validateCustomerChanges } from 'juspay-customer-client/validation';
import { useEffect, useState } from 'react';
import { CustomerForm, type Values } from './CustomerForm.tsx';
import { Heading, Notice } from './Notice.tsx';
import { busyWith, NoAnswer, NotSaved, Repeating, StillWorking, UnknownOutcome, useRepeat } from './saving.tsx';

/** Shows the customer, with buttons to edit and to pay. */
export function Details({
  customer,
  onEdit,
  onPay,
}: {
  customer: CustomerFieldsFragment;
  onEdit: () => void;
  onPay: () => void;
}) {
  const name = [customer.firstName, customer.lastName].filter(Boolean).join(' ');
  const phone = [customer.mobileCountryCode && `+${customer.mobileCountryCode}`, customer.mobileNumber];
  return (
    <>
      <Heading>{customer.firstName ? `Hello, ${customer.firstName}` : 'Hello'}</Heading>
      <p className="lead">These are your saved details.</p>
      <dl className="facts">
        <div>
          <dt>Name</dt>
          <dd>{name || <em>not given</em>}</dd>
        </div>
        <div>
          <dt>E-mail</dt>
          <dd>{customer.emailAddress ?? <em>not given</em>}</dd>
        </div>
        <div>
          <dt>Mobile</dt>
          <dd>{phone.filter(Boolean).join(' ') || <em>not given</em>}</dd>
        </div>
      </dl>
      <div className="actions">
        <button type="button" className="primary" onClick={onPay}>
          Continue to payment
        </button>
        <button type="button" onClick={onEdit}>
          Edit details
        </button>
      </div>
    </>
  );
}

/** Edits the customer. Only changed fields are sent. */
export function Edit({
  reference,
  customer,
  onSaved,
  onCancel,
  onGone,
}: {
  reference: string;
  customer: CustomerFieldsFragment;
  onSaved: () => void;
  onCancel: () => void;
  /** Called when the customer no longer exists. */
  onGone: () => void;
}) {
  const update = useUpdateCustomer();
  const repeat = useRepeat(update);
  const { isRepeating, send } = repeat;
  const { data: outcome, error, reset } = update;
  const start = valuesOf(customer);
  const [input, setInput] = useState(start);

  const isSaved = outcome?.status === 'success';
  useEffect(() => {
    if (isSaved) onSaved();
  }, [isSaved, onSaved]);

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
            check={(values) => validateCustomerChanges(changesOf(start, values))}
            serverIssues={outcome?.status === 'invalid' ? outcome.issues : undefined}
            busy={busyWith(update)}
            action="Save changes"
            onSend={(values) => {
              setInput(values);
              send({ id: reference, input: changesOf(start, values) });
            }}
          >
            <button type="button" className="quiet" onClick={onCancel}>
              Cancel
            </button>
          </CustomerForm>
        );
      case 'notFound':
        return (
          <Notice tone="warning" title="This account no longer exists" takesFocus>
            <p>It existed a moment ago. You can register again.</p>
            <button type="button" className="primary" onClick={onGone}>
              Check again
            </button>
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
    <>
      <Heading>Edit your details</Heading>
      {stage()}
      <StillWorking mutation={update} />
    </>
  );
}

function valuesOf(customer: CustomerFieldsFragment): Values {
  return {
    emailAddress: customer.emailAddress ?? '',
    mobileCountryCode: customer.mobileCountryCode ?? '',
    mobileNumber: customer.mobileNumber ?? '',
    firstName: customer.firstName ?? '',
    lastName: customer.lastName ?? '',
  };
}

/** The changed fields. An emptied field becomes null, which the rules reject: the provider cannot clear a field. */
function changesOf(start: Values, values: Values): UpdateCustomerInput {
  const changed = Object.entries(values).filter(([name, value]) => value !== start[name as keyof Values]);
  return Object.fromEntries(changed.map(([name, value]) => [name, value === '' ? null : value]));
}
