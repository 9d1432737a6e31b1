import { CustomerWithTokenDocument } from '../../schema/generated/documents.ts';
import { type Clock, systemClock } from './clock.ts';
import { timed } from './deadline.ts';
import type { TypedDocument } from './document.ts';
import { CustomerClientError } from './error.ts';
import { type Outcome, outcomeOf, type RootOf } from './outcome.ts';
import { renewing } from './session.ts';
import { type ClientAuthTokens, createTokens, type MintedToken } from './tokens.ts';
import { type Answer, createTransport, type RequestOptions, type TransportOptions } from './transport.ts';
import type { Visibility } from './visibility.ts';
import { createWrites, mayBeDone } from './writes.ts';

export interface CustomerClientOptions extends TransportOptions {
  /** For tests. */
  readonly clock?: Clock;
  /** For tests. Default: the page's, where there is one. */
  readonly visibility?: Visibility;
}

/** All that an app does with the gateway. One for each session: it holds that session's tokens. */
export interface CustomerClient {
  /**
   * Runs an operation.
   *
   * @throws CustomerClientError the first error of a query, whichever field it is at; of a mutation, one that took its result. An acknowledged
   *   write is never thrown away for a field that failed beside it: `request` tells of those.
   * @throws the signal's reason, when it was aborted.
   * @throws as it is, what `headers`, `refresh` or a mistake of the program throws.
   */
  execute<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Result>;
  /** Runs a mutation, and tells its one result apart by `status`. Throws as {@link execute}. */
  mutate<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Outcome<RootOf<Result>>>;
  /** Runs an operation: data and errors as they came. Throws only where there is no answer. */
  request<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Answer<Result>>;
  /**
   * Client auth tokens. One that comes with a mutation is moved here too, out of the result; one that a query asks for is left in the answer to
   * this client, and moved here by the kit's hooks, links and exchanges: what they hand on is cached.
   */
  readonly tokens: ClientAuthTokens;
  readonly clock: Clock;
  /** As it was given. */
  readonly visibility: Visibility | undefined;
}

/** No work is done, and nothing sent, until an operation is run. */
export function createCustomerClient(options: CustomerClientOptions): CustomerClient {
  const { clock = systemClock, visibility, refresh, timeoutMs = 30_000 } = options;
  const once = timed(createTransport(options), timeoutMs, clock);
  const send = refresh ? renewing(once, refresh) : once;
  const tokens = createTokens(async (id) => mintedOf(await execute(CustomerWithTokenDocument, { id })), clock);
  const writes = createWrites(tokens);

  const request: CustomerClient['request'] = async (document, variables, requestOptions) => {
    if (document.kind === 'query') return send(document, variables, requestOptions);
    try {
      const { data, errors } = await send(document, variables, requestOptions);
      if (errors.some((error) => mayBeDone(error) && isMissing(data, error.path[0]))) writes.lost(variables);
      return { errors, data: writes.settle(variables, data) };
    } catch (error) {
      // Given up by the app, which may have been after it was sent; most else that is thrown comes from the app, before anything is sent.
      const isUnknown = error instanceof CustomerClientError ? mayBeDone(error) : requestOptions?.signal?.aborted;
      if (isUnknown) writes.lost(variables);
      throw error;
    }
  };

  const execute: CustomerClient['execute'] = async (document, variables, requestOptions) => {
    const { data, errors } = await request(document, variables, requestOptions);
    const fatal = document.kind === 'query' ? errors[0] : errors.find(({ path }) => isMissing(data, path[0]));
    if (fatal !== undefined) throw fatal;
    if (data === null) throw new CustomerClientError('INVALID_RESPONSE', { retryable: false });
    return data;
  };

  return {
    request,
    execute,
    async mutate<Result, Variables>(
      document: TypedDocument<Result, Variables>,
      variables: Variables,
      requestOptions?: RequestOptions,
    ) {
      const data = await execute(document, variables, requestOptions);
      const [result] = Object.values(data as Record<string, { readonly __typename: string } | null>);
      if (!result) throw new CustomerClientError('INVALID_RESPONSE', { retryable: false });
      return outcomeOf(result) as Outcome<RootOf<Result>>;
    },
    tokens,
    clock,
    visibility,
  };
}

function isMissing(data: unknown, root: string | number | undefined): boolean {
  return data === null || root === undefined || (data as Record<string | number, unknown>)[root] == null;
}

function mintedOf({ customer }: { readonly customer: { readonly clientAuthToken: MintedToken | null } | null }) {
  if (customer?.clientAuthToken) return customer.clientAuthToken;
  throw new CustomerClientError(customer ? 'CLIENT_AUTH_TOKEN_UNAVAILABLE' : 'NOT_FOUND', { retryable: false });
}
