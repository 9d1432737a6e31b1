import { type CustomerClient, createCustomerClient } from 'juspay-customer-client/client';
import { useSyncExternalStore } from 'react';

/** Who is here, as far as the page knows. */
export type Session =
  | { readonly state: 'unknown' }
  | { readonly state: 'unreachable' }
  | { readonly state: 'out'; readonly ended: boolean }
  | { readonly state: 'in'; readonly reference: string; readonly isNew: boolean };

let current: Session = { state: 'unknown' };
const listeners = new Set<() => void>();
/** The gateway's token. In memory only: what one script can find in storage, any script can. */
let token: Promise<string> | undefined;

function become(next: Session): void {
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

/** Finds out whether there is a session already: after a reload, say. */
export async function restore(): Promise<void> {
  try {
    const { reference } = await read(await call('GET', '/session'));
    become(reference ? { state: 'in', reference, isNew: false } : { state: 'out', ended: false });
  } catch {
    become({ state: 'unreachable' });
  }
}

/**
 * @param isNew the visitor says that they were never here: nothing is looked up, and a create tells.
 * @returns whether the backend takes this reference.
 * @throws Error when the backend cannot be reached.
 */
export async function signIn(wanted: string, isNew: boolean): Promise<boolean> {
  const answer = await call('POST', '/session', { reference: wanted.trim().toLowerCase() });
  if (answer.status === 400) return false;
  const { reference = wanted } = await read(answer);
  become({ state: 'in', reference, isNew });
  return true;
}

export async function signOut(): Promise<void> {
  await call('DELETE', '/session').catch(() => undefined);
  become({ state: 'out', ended: false });
}

/** The way to the gateway: same origin, a token for each request, renewed when the gateway takes it no more. */
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
  const answer = await call('POST', '/session/token');
  if (answer.status === 401) become({ state: 'out', ended: true });
  const { token: minted } = await read(answer);
  if (minted === undefined) throw new Error('There is no token in the answer.');
  return minted;
}

function call(method: string, path: string, body?: object): Promise<Response> {
  return fetch(path, {
    method,
    cache: 'no-store',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
}

/** @throws Error when the answer is no success. */
async function read(answer: Response): Promise<{ reference?: string; token?: string }> {
  if (!answer.ok) throw new Error('The session could not be read.');
  return (await answer.json()) as { reference?: string; token?: string };
}
