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

/** Provides the client to all hooks below it. */
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
  /** Default: the client of the `CustomerProvider`. */
  readonly client?: CustomerClient;
  /** Default `true`. */
  readonly enabled?: boolean;
  /** Time before its expiry at which the token is renewed. Default 60, at most half of its lifetime. */
  readonly renewBeforeSeconds?: number;
}

const idle: ClientAuthTokenState = { status: 'idle' };
const loading: ClientAuthTokenState = { status: 'loading' };

/**
 * Keeps a valid client auth token while the component is mounted. All components share one request for each id. The token is renewed before
 * it expires, by the seconds that the gateway counted, and only while the page is visible. It is never in a cache.
 *
 * A token in the result of `useCreateCustomerWithToken` is ready immediately.
 *
 * @param id the provider's id or the reference. Without an id the hook is idle.
 * @throws Error in server rendering, because a token belongs to one browser. Inside `<Suspense>`, React renders the component in the browser.
 */
export function useClientAuthToken(
  id: string | null | undefined,
  { client, enabled = true, renewBeforeSeconds }: ClientAuthTokenOptions = {},
): ClientAuthTokenState {
  const provided = useContext(Context);
  const used = client ?? provided;
  if (used === undefined) throw new Error('There is no <CustomerProvider client={…}> above this component.');
  const watching = watchingOf(used);
  const watchedId = enabled && id != null ? id : undefined;
  const subscribe = useCallback(
    (onChange: () => void) =>
      watchedId === undefined
        ? () => undefined
        : watching.watch(watchedId, onChange, renewBeforeSeconds === undefined ? {} : { renewBeforeSeconds }),
    [watching, watchedId, renewBeforeSeconds],
  );
  const read = () => {
    if (watchedId === undefined) return idle;
    const state = watching.state(watchedId);
    // The request starts when this component subscribes, after the first render.
    return state.status === 'idle' ? loading : state;
  };
  return useSyncExternalStore(subscribe, read, () => {
    if (watchedId === undefined) return idle;
    if (pageOf() !== undefined) return loading;
    throw new Error('useClientAuthToken does not run in server rendering. Wrap its component in <Suspense>.');
  });
}

const watchingByClient = /* @__PURE__ */ new WeakMap<CustomerClient, Watching>();

/** Returns one instance for each client, so that all components share requests, timers and states. */
function watchingOf(client: CustomerClient): Watching {
  const existing = watchingByClient.get(client);
  if (existing !== undefined) return existing;
  const watching = createWatching(client.tokens, client.clock, client.visibility ?? pageVisibility);
  watchingByClient.set(client, watching);
  return watching;
}

/** Remaining lifetime of the token in whole seconds, updated every second. `undefined` while there is no token. */
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
