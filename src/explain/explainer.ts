import { createEngine, type Engine, type EngineOptions } from '../execution/engine.ts';
import type { OperationsOptions } from '../graphql/operations.ts';
import { buildSubgraph } from '../graphql/schema.ts';
import { attributed } from './attribution.ts';
import type { Explained } from './explained.ts';
import { createPlanning } from './planning.ts';
import { createTracing } from './tracing.ts';

export interface ExplainerOptions extends Omit<EngineOptions, 'schema'> {
  readonly operations: OperationsOptions;
  /** Whether calls to the provider have the header `version`. */
  readonly hasVersion: boolean;
}

/**
 * Creates explanations of operations. Its engine has a schema of its own whose resolvers report their fields, so that other
 * operations do not pay for it. The schema is built for the first explanation.
 */
export function createExplainer(options: ExplainerOptions): (mode: 'plan' | 'trace') => Explained {
  const { operations, hasVersion, ...engineOptions } = options;
  let engine: Engine | undefined;

  return (mode) => {
    engine ??= createEngine({
      ...engineOptions,
      schema: attributed(buildSubgraph({ exposesSdl: engineOptions.introspection })),
    });
    return mode === 'plan' ? createPlanning(engine, operations, hasVersion) : createTracing(engine, operations);
  };
}
