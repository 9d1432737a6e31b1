import { CustomerWithTokenDocument } from '../../schema/generated/documents.ts';
import { type Clock, systemClock } from './clock.ts';
import { timed } from './deadline.ts';
import type { TypedDocument } from './document.ts';
import { CustomerClientError } from './error.ts';
import { type Outcome, outcomeOf, type RootOf } from './outcome.ts';
import { renewing } from './session.ts';
import { type ClientAuthTokens, createTokens } from './tokens.ts';
import { type Answer, createTransport, type RequestOptions, type TransportOptions } from './transport.ts';
import type { Visibility } from './visibility.ts';
import { createWrites, mayBeDone, withoutTokens } from './writes.ts';

export interface CustomerClientOptions extends TransportOptions {
  /** For tests. Default: the system clocks and `setTimeout`. */
  readonly clock?: Clock;
  /** For tests. Default: the visibility of the browser page. Without a page, `isHidden` returns `false`. */
  readonly visibility?: Visibility;
}

/** The client of the gateway. Create one for each session, because it holds the tokens of the session. */
export interface CustomerClient {
  /**
   * Runs an operation and returns its data.
   *
   * @throws CustomerClientError for a query, the first error of any field; for a mutation, an error that made its result null. Other errors of
   *   fields do not discard an acknowledged write: `request` returns them.
   * @throws the reason of the signal if it is aborted.
   * @throws errors of `headers` and `refresh`, and programming errors, unchanged.
   */
  execute<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Result>;
  /** Runs a mutation and returns its outcome. Throws like {@link execute}. */
  mutate<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Outcome<RootOf<Result>>>;
  /** Runs an operation and returns its data and errors. Throws only if there is no GraphQL response. */
  request<Result, Variables>(
    document: TypedDocument<Result, Variables>,
    variables: Variables,
    options?: RequestOptions,
  ): Promise<Answer<Result>>;
  /**
   * Client auth tokens. The token in the result of a mutation is moved here. The token in the result of a query stays in the result of this
   * client; the kit's hooks, link and exchange move it here, because their results are cached.
   */
  readonly tokens: ClientAuthTokens;
  readonly clock: Clock;
  /** The option `visibility`. */
  readonly visibility: Visibility | undefined;
}

/** Creates a client. It sends nothing until an operation runs. */
export function createCustomerClient(options: CustomerClientOptions): CustomerClient {
  const { clock = systemClock, visibility, refresh, timeoutMs = 30_000 } = options;
  const once = createTransport(options);
  const send = timed(refresh ? renewing(once, refresh) : once, timeoutMs, clock);
  const tokens = createTokens(async (id) => {
    const { customer } = await execute(CustomerWithTokenDocument, { id });
    if (customer) return customer.clientAuthToken;
    throw new CustomerClientError('NOT_FOUND', { retryable: false });
  }, clock);
  const writes = createWrites();
  /** Number of calls of `tokens.clear`. */
  let session = 0;
  tokens.onChange((change) => {
    if (change === 'cleared') session += 1;
  });

  const request: CustomerClient['request'] = async (document, variables, requestOptions) => {
    const startedIn = session;
    if (document.kind === 'query') {
      const { data, errors } = await send(document, variables, requestOptions);
      return { errors, data: session === startedIn ? data : withoutTokens(data, dropping) };
    }
    // React Native and insecure pages lack `randomUUID`. The gateway binds the key to the caller, so it need not be secret.
    const idempotencyKey = requestOptions?.idempotencyKey || `${Math.random()}${Math.random()}`;
    try {
      const { data, errors } = await send(document, variables, { ...requestOptions, idempotencyKey });
      if (errors.some((error) => mayBeDone(error) && isMissing(data, error))) writes.ambiguous(variables);
      return { errors, data: writes.settle(variables, data, session === startedIn ? tokens : dropping) };
    } catch (error) {
      // An operation can be cancelled after it was sent. Other errors come from the app's own functions, before anything is sent.
      const isAmbiguous = error instanceof CustomerClientError ? mayBeDone(error) : requestOptions?.signal?.aborted;
      if (isAmbiguous) writes.ambiguous(variables);
      throw error;
    }
  };

  const execute: CustomerClient['execute'] = async (document, variables, requestOptions) => {
    const { data, errors } = await request(document, variables, requestOptions);
    const fatal = errors.find((error) => document.kind === 'query' || isMissing(data, error));
    if (fatal) throw fatal;
    return present(data);
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
      return outcomeOf(present(result)) as Outcome<RootOf<Result>>;
    },
    tokens,
    clock,
    visibility,
  };
}

/** Drops the tokens of a result of an earlier session. */
const dropping = { keep() {} };

function present<Value>(value: Value | null | undefined): Value {
  if (!value) throw new CustomerClientError('INVALID_RESPONSE', { retryable: false });
  return value;
}

/** Whether an error made the result of its root field null. */
function isMissing(data: unknown, { path: [root] }: CustomerClientError): boolean {
  return root === undefined || (data as Record<string | number, unknown> | null)?.[root] == null;
}
