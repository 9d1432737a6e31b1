import {
  CustomerInvalidError,
  decodeCustomerUpdate,
  decodeNewCustomer,
  type Issue,
} from '../../src/customers/input.ts';

export { CustomerChangesSchema, type Issue, type IssueCode, NewCustomerSchema } from '../../src/customers/input.ts';

/** An issue in a result of the gateway, or of these rules. Both have the same shape. */
export interface FieldIssue {
  /** For example `['input', 'mobileNumber']`. */
  readonly path: readonly string[];
  readonly code: string;
  readonly message: string;
}

/** Returns the text to display. Default: the gateway's message, in English. */
export type IssueText = (issue: FieldIssue) => string;

const gatewayText: IssueText = ({ message }) => message;

/** Returns the issues that the gateway would find in a create. Sends nothing. Remove empty optional strings first. */
export function validateNewCustomer(input: unknown): Issue[] {
  return issuesOf(() => decodeNewCustomer(input));
}

/** Returns the issues that the gateway would find in an update. Sends nothing. */
export function validateCustomerChanges(input: unknown): Issue[] {
  // The form does not contain the id.
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

/** The first message of each field, by field name. The key `''` has the message for the whole form. */
export function fieldMessages(issues: readonly FieldIssue[], text: IssueText = gatewayText): Record<string, string> {
  const messages: Record<string, string> = {};
  for (const issue of issues) messages[fieldOf(issue)] ??= text(issue);
  return messages;
}

/** The field name in the form: the path without the gateway's argument `input`. */
function fieldOf({ path }: FieldIssue): string {
  return (path[0] === 'input' ? path.slice(1) : path).join('.');
}

/** The error of a field in react-hook-form. */
interface FormError {
  readonly type: string;
  readonly message: string;
}

/** Shows the gateway's issues in a form of react-hook-form: `applyIssues(outcome.issues, setError)`. */
export function applyIssues<Name extends string>(
  issues: readonly FieldIssue[],
  setError: (name: Name | 'root', error: FormError) => void,
  text: IssueText = gatewayText,
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

/** A resolver for react-hook-form, without a dependency on it: `useForm({ resolver: newCustomerResolver() })`. */
export type FormResolver = <Values extends object>(
  values: Values,
) =>
  | { values: Values; errors: Record<string, never> }
  | { values: Record<string, never>; errors: Record<string, FormError> };

/** Creates a resolver for a form that creates a customer. Empty fields are removed. */
export function newCustomerResolver(options?: ResolverOptions): FormResolver {
  return resolver(validateNewCustomer, options);
}

/** Creates a resolver for a form that updates a customer. Empty fields are removed. */
export function customerChangesResolver(options?: ResolverOptions): FormResolver {
  return resolver(validateCustomerChanges, options);
}

function resolver(validate: (input: unknown) => Issue[], { text = gatewayText }: ResolverOptions = {}): FormResolver {
  return (values) => {
    // Fields of forms are strings. The gateway rejects an empty string.
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
