import { type Access, type Scope, scopes } from '../customers/access.ts';

/** Who is calling, and what they may do. */
export interface Caller extends Access {
  /** For the audit: the name of an API key's entry, the `sub` of a token. Never printed as it is. */
  readonly name: string;
  /** For rate limits: one for each credential, told apart by kind. Empty: nobody knows who it is, so the address counts. */
  readonly counted: readonly string[];
  readonly scopes: ReadonlySet<Scope>;
  /** Chosen by the caller's credentials; `undefined` is the default merchant. */
  readonly merchant: string | undefined;
  /** May send documents that no manifest holds: an API key entry of a router. */
  readonly anyDocument: boolean;
}

/** Whoever reaches the port, where `AUTH_MODE=none` says so, and on the sandbox. */
export const anonymous: Caller = {
  name: 'anonymous',
  counted: [],
  scopes: new Set(scopes),
  merchant: undefined,
  customers: 'any',
  denied: false,
  anyDocument: false,
};

/** Both credentials on one request: scopes intersect, every binding applies. */
export function combine(one: Caller, other: Caller): Caller {
  return {
    name: `${one.name} ${other.name}`,
    counted: [...one.counted, ...other.counted],
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
