/** Permissions of a caller: read customers, create and change them, obtain client auth tokens, see the upstream calls of operations. */
export type Scope = 'customer:read' | 'customer:write' | 'customer:token' | 'gateway:explain';

export const scopes: readonly Scope[] = ['customer:read', 'customer:write', 'customer:token', 'gateway:explain'];

/** The customers that a caller may access. */
export interface Access {
  /**
   * `any`: all customers of the merchant. `none`: no customer; the token has neither a customer claim nor `customer:any`.
   * A list: the customer must have each of these ids or references. The list has one entry for each credential of the request
   * that names a customer.
   */
  readonly customers: 'any' | 'none' | readonly string[];
  /** Every access is denied: two valid credentials contradict each other, or the merchant is unknown. */
  readonly denied: boolean;
}
