export * from '../../schema/generated/documents.ts';
export type * from '../../schema/generated/operations.ts';
export type { Clock, Visibility } from './clock.ts';
export type { TypedAst, TypedDocument } from './document.ts';
export { type ClientErrorCode, CustomerClientError, type TransportErrorCode } from './error.ts';
export { type CustomerClient, type CustomerClientOptions, createCustomerClient } from './kit.ts';
export { type OtherOutcome, type Outcome, outcomeOf, type RootOf, unreachable } from './outcome.ts';
export type { ClientAuthTokenState, ClientAuthTokens, ReadyToken, WatchOptions } from './tokens.ts';
export type { Answer, RequestOptions, TransportOptions } from './transport.ts';
