import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useState,
  useSyncExternalStore,
} from 'react';
import type { CustomerClient } from './kit.ts';
import { pageOf, pageVisibility } from './visibility.ts';
import { type ClientAuthTokenState, createWatching, type Watching } from './watching.ts';

export type { CustomerClient } from './kit.ts';
export type { ClientAuthTokenState, WatchOptions } from './watching.ts';

const Context = /* @__PURE__ */ createContext<CustomerClient | undefined>(undefined);

/** Hands the client to all hooks below. */
export function CustomerProvider({ client, children }: { client: CustomerClient; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** @throws Error outside a `CustomerProvider`. */
export function useCustomerClient(): CustomerClient {
  const client = useContext(Context);
  if (client === undefined) throw new Error('There is no <CustomerProvider client={…}> above this component.');
  return client;
}

export interface ClientAuthTokenOptions {
  /** Default: the provider's. */
  readonly client?: CustomerClient;
  /** Default `true`. */
  readonly enabled?: boolean;
  /** How long before its end the token is renewed. Default 60; at most half of its life. */
  readonly renewBeforeSeconds?: number;
}

const idle: ClientAuthTokenState = { status: 'idle' };
const loading: ClientAuthTokenState = { status: 'loading' };

/**
 * A client auth token for as long as the component is there: asked for once however many components want it, renewed before its end by
 * the gateway's count of seconds, not while the page is hidden, and looked at again when it is seen. It is never in a cache.
 *
 * A token that came with `useCreateCustomerWithToken` is there at once.
 *
 * @param id the provider's id or the reference; without one the hook waits.
 * @throws Error in server rendering: a token is for one browser. Put the component in a `<Suspense>`, and React renders it there.
 */
export function useClientAuthToken(
  id: string | null | undefined,
  { client, enabled = true, renewBeforeSeconds }: ClientAuthTokenOptions = {},
): ClientAuthTokenState {
  const above = useContext(Context);
  const used = client ?? above;
  if (used === undefined) throw new Error('There is no <CustomerProvider client={…}> above this component.');
  const watching = watchingOf(used);
  const wanted = enabled && id != null ? id : undefined;
  const subscribe = useCallback(
    (onChange: () => void) =>
      wanted === undefined
        ? () => undefined
        : watching.watch(wanted, onChange, renewBeforeSeconds === undefined ? {} : { renewBeforeSeconds }),
    [watching, wanted, renewBeforeSeconds],
  );
  const read = () => {
    if (wanted === undefined) return idle;
    const state = watching.state(wanted);
    // Nobody has asked yet: this component is about to.
    return state.status === 'idle' ? loading : state;
  };
  return useSyncExternalStore(subscribe, read, () => {
    if (wanted === undefined) return idle;
    if (pageOf() !== undefined) return loading;
    throw new Error('useClientAuthToken mints nothing in server rendering. Put its component in a <Suspense>.');
  });
}

const watchings = /* @__PURE__ */ new WeakMap<CustomerClient, Watching>();

/** One for each client, so that all components share requests, timers and states. */
function watchingOf(client: CustomerClient): Watching {
  const known = watchings.get(client);
  if (known !== undefined) return known;
  const watching = createWatching(client.tokens, client.clock, client.visibility ?? pageVisibility);
  watchings.set(client, watching);
  return watching;
}

/** The token's whole seconds of life, counting down; `undefined` while there is no token. */
export function useSecondsLeft(state: ClientAuthTokenState): number | undefined {
  const [, tick] = useState(0);
  const isReady = state.status === 'ready';
  useEffect(() => {
    if (!isReady) return;
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [isReady]);
  return isReady ? state.secondsLeft() : undefined;
}
