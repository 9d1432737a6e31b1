// Apart from the documents as text: whoever uses those need not have `graphql`, not even its types.
import type { DocumentNode } from 'graphql';

/** An operation of the kit parsed: for Apollo Client and urql, which take no text. */
export interface TypedAst<Result, Variables> extends DocumentNode {
  /** As `TypedDocument.id`. urql takes it for the key of its cache. */
  readonly documentId?: string;
  readonly __apiType?: (variables: Variables) => Result;
}
