import type { Answer } from '../execution/answer.ts';
import type { Engine } from '../execution/engine.ts';
import type { createOperations } from '../graphql/operations.ts';

/** The explanation of one operation. It replaces the engine and the contexts of its request. */
export interface Explained {
  readonly engine: Engine;
  readonly openOperation: ReturnType<typeof createOperations>['open'];
  /** Adds the explanation to the answer. Returns the answer of a refused document unchanged. */
  explain(answer: Answer): Answer;
}
