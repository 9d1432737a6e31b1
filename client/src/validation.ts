import {
  CustomerInvalidError,
  decodeCustomerUpdate,
  decodeNewCustomer,
  type Issue,
} from '../../src/customers/input.ts';

export { CustomerChangesSchema, type Issue, type IssueCode, NewCustomerSchema } from '../../src/customers/input.ts';

/** An issue of the gateway's answer, or of these rules: they are the same. */
export interface FieldIssue {
  /** For example `['input', 'mobileNumber']`. */
  readonly path: readonly string[];
  readonly code: string;
  readonly message: string;
}

/** What a person reads. By default the gateway's own sentence, in English. */
export type IssueText = (issue: FieldIssue) => string;

const ownText: IssueText = ({ message }) => message;

/** All that the gateway would refuse in a create; nothing is sent. Texts that are empty and optional should be left out before. */
export function validateNewCustomer(input: unknown): Issue[] {
  return issuesOf(() => decodeNewCustomer(input));
}

/** All that the gateway would refuse in an update. */
export function validateCustomerChanges(input: unknown): Issue[] {
  // The id is not the form's.
  return issuesOf(() => decodeCustomerUpdate('any', input));
}

function issuesOf(decode: () => unknown): Issue[] {
  try {
    decode();
    return [];
  } catch (error) {
    if (error instanceof CustomerInvalidError) return [...error.issues];
    throw error;
  }
}

/** The first message of each field, by its name; `''` holds what is about the form as a whole. */
export function fieldMessages(issues: readonly FieldIssue[], text: IssueText = ownText): Record<string, string> {
  const messages: Record<string, string> = {};
  for (const issue of issues) messages[fieldOf(issue)] ??= text(issue);
  return messages;
}

/** `input.` is the gateway's argument: forms know nothing of it. */
function fieldOf({ path }: FieldIssue): string {
  return (path[0] === 'input' ? path.slice(1) : path).join('.');
}

/** What react-hook-form takes for an error of a field. */
interface FormError {
  readonly type: string;
  readonly message: string;
}

/** Shows the gateway's issues in a form of react-hook-form: `applyIssues(outcome.issues, setError)`. */
export function applyIssues<Name extends string>(
  issues: readonly FieldIssue[],
  setError: (name: Name | 'root', error: FormError) => void,
  text: IssueText = ownText,
): void {
  const seen = new Set<string>();
  for (const issue of issues) {
    const name = fieldOf(issue) || 'root';
    if (!seen.has(name)) setError(name as Name, { type: issue.code, message: text(issue) });
    seen.add(name);
  }
}

export interface ResolverOptions {
  readonly text?: IssueText;
}

/** A resolver of react-hook-form, without that package: `useForm({ resolver: newCustomerResolver() })`. */
export type FormResolver = <Values extends object>(
  values: Values,
) =>
  | { values: Values; errors: Record<string, never> }
  | { values: Record<string, never>; errors: Record<string, FormError> };

/** Checks a form that creates a customer. Fields of the form that are empty are left out. */
export function newCustomerResolver(options?: ResolverOptions): FormResolver {
  return resolver(validateNewCustomer, options);
}

/** Checks a form that changes a customer. Fields of the form that are empty are left out. */
export function customerChangesResolver(options?: ResolverOptions): FormResolver {
  return resolver(validateCustomerChanges, options);
}

function resolver(validate: (input: unknown) => Issue[], { text = ownText }: ResolverOptions = {}): FormResolver {
  return (values) => {
    // A field of a form is a text always; the gateway takes an empty one for a mistake.
    const filled = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
    const issues = validate(filled);
    if (issues.length === 0) return { values: filled as typeof values, errors: {} };
    const errors: Record<string, FormError> = {};
    applyIssues(
      issues,
      (name, error) => {
        errors[name] = error;
      },
      text,
    );
    return { values: {}, errors };
  };
}
