import { type CustomerClient, createCustomerClient } from 'juspay-customer-client/client';
import { useSyncExternalStore } from 'react';

/** The state of the session. */
export type Session =
  | { readonly state: 'unknown' }
  | { readonly state: 'unreachable' }
  | { readonly state: 'out'; readonly ended: boolean }
  | { readonly state: 'in'; readonly reference: string; readonly isNew: boolean };

let current: Session = { state: 'unknown' };
const listeners = new Set<() => void>();
/** The token for the gateway. Kept in memory only, because every script can read the browser's storage. */
let token: Promise<string> | undefined;

function setSession(next: Session): void {
  current = next;
  token = undefined;
  for (const listener of listeners) listener();
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Checks for an existing session, for example after a reload. */
export async function restore(): Promise<void> {
  try {
    const { reference } = await read(await call('GET', '/session'));
    setSession(reference ? { state: 'in', reference, isNew: false } : { state: 'out', ended: false });
  } catch {
    setSession({ state: 'unreachable' });
  }
}

/**
 * @param isNew the visitor is new: skip the lookup.
 * @returns whether the backend accepts this reference.
 * @throws Error if the backend cannot be reached.
 */
export async function signIn(input: string, isNew: boolean): Promise<boolean> {
  const response = await call('POST', '/session', { reference: input.trim().toLowerCase() });
  if (response.status === 400) return false;
  const { reference = input } = await read(response);
  setSession({ state: 'in', reference, isNew });
  return true;
}

export async function signOut(): Promise<void> {
  await call('DELETE', '/session').catch(() => undefined);
  setSession({ state: 'out', ended: false });
}

/** The client for the gateway: same origin, a token on each request, renewed when the gateway rejects it. */
export function createSessionClient(): CustomerClient {
  return createCustomerClient({
    url: '/graphql',
    persisted: true,
    headers: async () => ({ authorization: `Bearer ${await (token ?? renew())}` }),
    refresh: renew,
  });
}

function renew(): Promise<string> {
  const renewed = mint();
  token = renewed;
  renewed.catch(() => {
    if (token === renewed) token = undefined;
  });
  return renewed;
}

async function mint(): Promise<string> {
  const response = await call('POST', '/session/token');
  if (response.status === 401) setSession({ state: 'out', ended: true });
  const { token: minted } = await read(response);
  if (minted === undefined) throw new Error('The response contains no token.');
  return minted;
}

function call(method: string, path: string, body?: object): Promise<Response> {
  return fetch(path, {
    method,
    cache: 'no-store',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
}

/** @throws Error if the response is not a success. */
async function read(response: Response): Promise<{ reference?: string; token?: string }> {
  if (!response.ok) throw new Error('The session could not be read.');
  return (await response.json()) as { reference?: string; token?: string };
}
