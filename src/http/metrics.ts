import type { Plugin } from 'graphql-yoga';
import type { Metrics } from '../telemetry/log.ts';
import type { RequestState } from './state.ts';

/** Records type, outcome and duration of each operation that Yoga has answered. */
export function useMetrics(metrics: Metrics): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onResponse: ({ serverContext: { state } }) => countOperation(state, metrics),
  };
}

/** Records one operation. Requests without an answer of GraphQL, such as `/health`, are not operations. */
export function countOperation({ answer, startedAtMs }: RequestState, metrics: Metrics): void {
  if (answer === undefined) return;
  const { operationType: type, outcome } = answer;
  metrics.operation({ type, outcome, durationMs: performance.now() - startedAtMs });
}
