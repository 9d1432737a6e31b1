import { type FieldIssue, fieldMessages } from 'juspay-customer-client/validation';
import { type ReactNode, type SubmitEvent, useEffect, useRef, useState } from 'react';
import { Field } from './Field.tsx';

/** The values of the inputs. An empty string means no value. */
export interface Values {
  readonly emailAddress: string;
  readonly mobileCountryCode: string;
  readonly mobileNumber: string;
  readonly firstName: string;
  readonly lastName: string;
}

const labels: Readonly<Record<keyof Values, string>> = {
  emailAddress: 'E-mail',
  mobileCountryCode: 'Country code',
  mobileNumber: 'Mobile number',
  firstName: 'First name',
  lastName: 'Last name',
};
const names = Object.keys(labels) as (keyof Values)[];

/** Labels of the fields. */
export function labelsOf(fields: readonly string[]): string {
  return fields.map((field) => labels[field as keyof Values] ?? field).join(', ');
}

/**
 * The form for registering and editing. `check` runs the gateway's rules before anything is sent. `serverIssues` are the
 * issues that only the gateway or the provider can find. Both are shown beside their fields.
 */
export function CustomerForm({
  start,
  check,
  serverIssues,
  busy,
  action,
  onSend,
  children,
}: {
  start: Values;
  check: (values: Values) => readonly FieldIssue[];
  serverIssues: readonly FieldIssue[] | undefined;
  /** Progress text while a save is in progress. */
  busy: string | undefined;
  action: string;
  onSend: (values: Values) => void;
  children?: ReactNode;
}) {
  const [values, setValues] = useState(start);
  const [issues, setIssues] = useState<readonly FieldIssue[]>([]);
  /** Number of rejected saves. Each one moves the focus to the first invalid field. */
  const [rejections, setRejections] = useState(0);
  const form = useRef<HTMLFormElement>(null);

  const shown = fieldMessages(issues, textFor);
  const others = Object.entries(shown).filter(([name]) => !names.some((known) => known === name));
  const wrong = names.filter((name) => shown[name] !== undefined);

  useEffect(() => {
    if (serverIssues === undefined) return;
    setIssues(serverIssues);
    setRejections((count) => count + 1);
  }, [serverIssues]);

  useEffect(() => {
    if (rejections === 0) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [rejections]);

  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy !== undefined) return;
    const tidied = tidy(values);
    const found = check(tidied);
    setIssues(found);
    if (found.length > 0) setRejections((count) => count + 1);
    else onSend(tidied);
  };

  const field = (name: keyof Values, more: Partial<Parameters<typeof Field>[0]>) => (
    <Field
      id={name}
      label={labels[name]}
      value={values[name]}
      error={shown[name]}
      onChange={(event) => {
        const next = { ...values, [name]: event.target.value };
        setValues(next);
        // After the first failed check, validate while typing.
        if (issues.length > 0) setIssues(check(tidy(next)));
      }}
      {...more}
    />
  );

  return (
    <form onSubmit={submit} noValidate ref={form}>
      <div role="alert">
        {issues.length > 0 && (
          <div className="summary">
            {wrong.length > 0 && <p>Please check: {labelsOf(wrong)}.</p>}
            {others.map(([name, message]) => (
              <p key={name}>{message}</p>
            ))}
          </div>
        )}
      </div>
      {field('emailAddress', { inputMode: 'email', autoComplete: 'email', autoCapitalize: 'none', spellCheck: false })}
      <div className="row phone">
        {field('mobileCountryCode', { inputMode: 'tel', autoComplete: 'tel-country-code' })}
        {field('mobileNumber', { inputMode: 'tel', autoComplete: 'tel-national' })}
      </div>
      <div className="row">
        {field('firstName', { autoComplete: 'given-name', label: `${labels.firstName} (optional)` })}
        {field('lastName', { autoComplete: 'family-name', label: `${labels.lastName} (optional)` })}
      </div>
      <div className="actions">
        <button type="submit" className="primary" aria-disabled={busy !== undefined} aria-busy={busy !== undefined}>
          {busy ?? action}
        </button>
        {children}
      </div>
    </form>
  );
}

/** Removes outer blanks, and inner blanks of numbers. */
function tidy(values: Values): Values {
  const trimmed = names.map((name) => [name, values[name].trim()]);
  return { ...values, ...Object.fromEntries(trimmed), mobileNumber: values.mobileNumber.replace(/[\s-]/g, '') };
}

/** The text for an issue, by its code and field. `message` is for developers. */
function textFor({ path, code, message }: FieldIssue): string {
  if (code === 'REQUIRED') return path.length > 1 ? 'This field is required.' : 'Change at least one field.';
  if (code === 'NOT_CLEARABLE') return 'You can change this, but not remove it.';
  if (code === 'REJECTED_BY_PROVIDER') return 'The payment provider does not accept this value.';
  if (code === 'TOO_LONG') return 'This is too long.';
  switch (path.at(-1)) {
    case 'emailAddress':
      return 'Enter an e-mail address, such as noor@example.com.';
    case 'mobileNumber':
      return 'Digits only, without the country code.';
    case 'mobileCountryCode':
      return 'One to four digits.';
    case 'objectReferenceId':
      return 'The address that you signed in with is too short.';
    default:
      return message;
  }
}
