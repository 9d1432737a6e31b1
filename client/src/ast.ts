// Separate from `document.ts`, so that apps that send text do not need the types of `graphql`.
import type { DocumentNode } from 'graphql';

/** A parsed operation, for Apollo Client and urql. */
export interface TypedAst<Result, Variables> extends DocumentNode {
  /** Same as `TypedDocument.id`. urql uses it as the key of its cache. */
  readonly documentId?: string;
  readonly __apiType?: (variables: Variables) => Result;
}
