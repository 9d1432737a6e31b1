/** An operation as text, with the id under which the gateway knows it. */
export interface TypedDocument<Result, Variables> {
  /** `sha256:<hex>` of {@link text}, as it stands in the manifest; nothing is hashed in a browser. Absent: the text is sent. */
  readonly id?: string;
  readonly kind: 'query' | 'mutation';
  readonly name: string;
  readonly text: string;
  /** Never there: it carries the types, for `ResultOf` and `VariablesOf` of `@graphql-typed-document-node/core` too. */
  readonly __apiType?: (variables: Variables) => Result;
}
