import type { CustomerClientError } from './error.ts';
import type { ClientAuthTokens } from './tokens.ts';

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** What is known of creates whose answer was lost, so that a repeat of one is understood. Memory only. */
export interface Writes {
  /** A create that may or may not have happened. */
  lost(variables: unknown): void;
  /**
   * The answer to a mutation as the app should see it: "exists already, with nothing that differs" after a lost answer is the success that was
   * lost; tokens are moved to `tokens`.
   */
  settle<Data>(variables: unknown, data: Data): Data;
}

export function createWrites(tokens: Pick<ClientAuthTokens, 'keep'>): Writes {
  const unsettled = new Set<string>();
  return {
    lost(variables) {
      const reference = referenceOf(variables);
      if (reference !== undefined) unsettled.add(reference);
    },
    settle(variables, data) {
      if (!isFields(data)) return data;
      const reference = referenceOf(variables);
      const roots = Object.entries(data).map(([key, result]) => {
        const settled =
          reference !== undefined && isFields(result) ? settleCreate(unsettled, reference, result) : result;
        return [key, withoutTokens(settled, tokens)];
      });
      return Object.fromEntries(roots) as typeof data;
    },
  };
}

/** The reference that a create is for. */
function referenceOf(variables: unknown): string | undefined {
  const input = isFields(variables) ? variables['input'] : undefined;
  const reference = isFields(input) ? input['objectReferenceId'] : undefined;
  return typeof reference === 'string' ? reference : undefined;
}

/** Whom a write is about: the reference of a create, the id of an update. */
export function subjectOf(variables: unknown): string | undefined {
  const id = referenceOf(variables) ?? (isFields(variables) ? variables['id'] : undefined);
  return typeof id === 'string' ? id : undefined;
}

function settleCreate(unsettled: Set<string>, reference: string, result: Fields): Fields {
  const { __typename, existing, differingFields } = result;
  if (__typename === 'CustomerOutcomeUnknownError') unsettled.add(reference);
  if (__typename === 'CreateCustomerSuccess') unsettled.delete(reference);
  const isSame = Array.isArray(differingFields) && differingFields.length === 0;
  if (__typename !== 'CustomerAlreadyExistsError' || !isSame || !isFields(existing) || !unsettled.delete(reference)) {
    return result;
  }
  // A create that wanted a token has a place for it; nobody minted one here.
  const customer = { clientAuthToken: null, ...existing };
  return { origin: 'RECONCILED', customer, __typename: 'CreateCustomerSuccess' };
}

/**
 * Moves tokens out of an answer: what is left may be cached, persisted and shown. A token is known by its `__typename`: every document of the
 * kit asks for it, and the caches of urql and Apollo do where an app does not.
 */
export function withoutTokens<Value>(value: Value, tokens: Pick<ClientAuthTokens, 'keep'>): Value {
  if (Array.isArray(value)) return value.map((item) => withoutTokens(item, tokens)) as Value;
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (!isFields(inner) || inner['__typename'] !== 'ClientAuthToken') return [key, withoutTokens(inner, tokens)];
      tokens.keep([value['id'], value['objectReferenceId']], inner);
      return [key, null];
    }),
  ) as Value;
}

/** Beginnings of the codes of what is refused before the provider is asked. */
const refused = /^(BAD_USER_|UNAUTH|FORBID|OPERATION_TOO|OVERLOAD|RATE_LIMIT|GRAPHQL_|PERSISTED_)/;

/**
 * Whether a write that threw this may have been done all the same: no answer came, or somebody on the way said something of their own. It is no
 * failure then, and to be shown as `outcomeUnknown` is.
 */
export function mayBeDone({ code }: Pick<CustomerClientError, 'code'>): boolean {
  return !refused.test(code);
}
