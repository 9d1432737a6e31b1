import { type Access, type Scope, scopes } from '../customers/access.ts';
import type { CallerKind } from '../customers/customer.ts';

/** An authenticated caller and its rights. */
export interface Caller extends Access {
  /** For the audit: the name of the API key entry, or the `sub` of the token. Logged only as a pseudonym. */
  readonly name: string;
  /** The kind of its credentials. Default `anonymous`. */
  readonly kind?: CallerKind;
  /** One key for each credential: the rate limit and the fair queues use them. Empty for the anonymous caller, who is identified by address. */
  readonly credentialKeys: readonly string[];
  readonly scopes: ReadonlySet<Scope>;
  /** Merchant id from the credentials. `undefined` for the default merchant. */
  readonly merchant: string | undefined;
  /** Whether the caller, such as a router, may send documents that are in no manifest. */
  readonly anyDocument: boolean;
}

/** The caller of every request with `AUTH_MODE=none`: it has all scopes for customers. */
export const anonymous: Caller = {
  name: 'anonymous',
  kind: 'anonymous',
  credentialKeys: [],
  scopes: new Set(scopes.filter((scope) => scope !== 'gateway:explain')),
  merchant: undefined,
  customers: 'any',
  denied: false,
  anyDocument: false,
};

/** The caller of requests without a token on the sandbox: the customers are not real, so it may also see the upstream calls. */
export const sandboxAnonymous: Caller = { ...anonymous, scopes: new Set(scopes) };

/** One text for the credentials of a caller. Empty for the anonymous caller. */
export function credentialsOf({ credentialKeys }: Caller): string {
  return credentialKeys.length > 1 ? credentialKeys.join(' ') : (credentialKeys[0] ?? '');
}

/** Combines two credentials of one request. Scopes intersect, and the bindings of both apply. */
export function combine(one: Caller, other: Caller): Caller {
  return {
    name: `${one.name} ${other.name}`,
    kind: 'both',
    credentialKeys: [...one.credentialKeys, ...other.credentialKeys],
    scopes: new Set(scopes.filter((scope) => one.scopes.has(scope) && other.scopes.has(scope))),
    merchant: one.merchant ?? other.merchant,
    customers: bothOf(one.customers, other.customers),
    denied: one.merchant !== undefined && other.merchant !== undefined && one.merchant !== other.merchant,
    anyDocument: one.anyDocument || other.anyDocument,
  };
}

function bothOf(one: Caller['customers'], other: Caller['customers']): Caller['customers'] {
  if (one === 'any') return other;
  if (other === 'any') return one;
  return one === 'none' || other === 'none' ? 'none' : [...one, ...other];
}
