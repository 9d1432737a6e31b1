/** Permissions: read customers, change them, have client auth tokens minted. */
export type Scope = 'customer:read' | 'customer:write' | 'customer:token';

export const scopes: readonly Scope[] = ['customer:read', 'customer:write', 'customer:token'];

/** The customers that a caller can reach. */
export interface Access {
  /**
   * `any`: all customers of the merchant. `none`: a token without a customer claim and without `customer:any`. Otherwise the ids or
   * references that a customer must have, all of them: two credentials can bind to one customer in two ways.
   */
  readonly customers: 'any' | 'none' | readonly string[];
  /** Nothing is allowed: two valid credentials contradict each other, or the merchant is unknown. */
  readonly denied: boolean;
}
