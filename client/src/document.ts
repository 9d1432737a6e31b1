/** An operation as text, with its id in the manifest of the gateway. */
export interface TypedDocument<Result, Variables> {
  /** `sha256:<hex>` of {@link text}, computed at build time. Without an id, the text is sent. */
  readonly id?: string;
  readonly kind: 'query' | 'mutation';
  readonly name: string;
  readonly text: string;
  /** Carries the types only, also for `ResultOf` and `VariablesOf` of `@graphql-typed-document-node/core`. Has no value at run time. */
  readonly __apiType?: (variables: Variables) => Result;
}
