import type { CustomerClientError } from './error.ts';
import type { ClientAuthTokens } from './tokens.ts';

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => Object(value) === value;

/** Creates with an ambiguous outcome, kept in memory, so that the result of a retry can be interpreted. */
export interface Writes {
  /** Records a create with an ambiguous outcome. */
  ambiguous(variables: unknown): void;
  /**
   * Converts the data of a mutation for the app. "Already exists" without differing fields, after an ambiguous outcome, becomes the success
   * whose response was lost. Tokens are moved to `tokens`.
   */
  settle<Data>(variables: unknown, data: Data, tokens: Pick<ClientAuthTokens, 'keep'>): Data;
}

export function createWrites(): Writes {
  const unsettled = new Set<string>();
  return {
    ambiguous(variables) {
      const reference = referenceOf(variables);
      if (reference !== undefined) unsettled.add(reference);
    },
    settle(variables, data, tokens) {
      const reference = referenceOf(variables);
      const settled = mapFields(data, (result) =>
        reference !== undefined && isFields(result) ? settleCreate(reference, result) : result,
      );
      return withoutTokens(settled, tokens);
    },
  };

  function settleCreate(reference: string, result: Fields): Fields {
    const { __typename, existing } = result;
    const differingFields = result['differingFields'] as readonly string[] | null | undefined;
    if (__typename === 'CustomerOutcomeUnknownError') unsettled.add(reference);
    if (__typename === 'CreateCustomerSuccess') unsettled.delete(reference);
    const isSame = __typename === 'CustomerAlreadyExistsError' && differingFields?.length === 0;
    if (!isSame || !isFields(existing) || !unsettled.delete(reference)) return result;
    // The document can select a token. None was issued, so the field is null.
    const customer = { clientAuthToken: null, ...existing };
    return { origin: 'RECONCILED', customer, __typename: 'CreateCustomerSuccess' };
  }
}

/** The object reference id in the variables of a create. */
function referenceOf(variables: unknown): string | undefined {
  const { input } = (variables ?? {}) as { readonly input?: { readonly objectReferenceId?: unknown } | null };
  const reference = input?.objectReferenceId;
  return typeof reference === 'string' ? reference : undefined;
}

/** The customer that a mutation writes: the reference of a create, or the id of an update. */
export function targetOf(variables: unknown): string | undefined {
  const id = referenceOf(variables) ?? (isFields(variables) ? variables['id'] : undefined);
  return typeof id === 'string' ? id : undefined;
}

/**
 * Moves the tokens of a result to `tokens` and returns the result without them, so that it can be cached. A token is recognised by its
 * `__typename`. Every document of the kit selects it, and urql and Apollo Client add it to documents of the app.
 */
export function withoutTokens<Value>(value: Value, tokens: Pick<ClientAuthTokens, 'keep'>): Value {
  if (Array.isArray(value)) return value.map((item) => withoutTokens(item, tokens)) as Value;
  return mapFields(value, (inner, fields) => {
    if (!isFields(inner) || inner['__typename'] !== 'ClientAuthToken') return withoutTokens(inner, tokens);
    tokens.keep([fields['id'], fields['objectReferenceId']], inner);
    return null;
  });
}

/** Returns a copy of an object with changed values. Returns other values unchanged. */
function mapFields<Value>(value: Value, change: (inner: unknown, fields: Fields) => unknown): Value {
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner, value)])) as Value;
}

/**
 * Prefixes of the codes of operations that can never be executed. `UNAUTHENTICATED`, `OVERLOADED` and `RATE_LIMITED` are not among them: a
 * browser or a router may have sent the request before, and only its repeat was rejected.
 */
const rejected = /^(BAD_USER_|FORBID|OPERATION_TOO|GRAPHQL_|PERSISTED_)/;

/**
 * Whether the outcome of a write that failed with this error is ambiguous: there was no response, an intermediary wrote it, or it can be
 * the answer to a repeat. Show such an error like the status `outcomeUnknown`, not as a failure.
 */
export function mayBeDone({ code, cause }: Pick<CustomerClientError, 'code' | 'cause'>): boolean {
  // With a cause, the app's `headers` or `refresh` failed, and nothing was sent.
  return !(cause || rejected.test(code));
}
