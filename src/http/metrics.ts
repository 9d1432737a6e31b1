import type { Plugin } from 'graphql-yoga';
import type { Metrics } from '../telemetry/log.ts';
import type { RequestState } from './state.ts';

/** Records type, outcome and duration of each operation that Yoga has answered, and ends its span. */
export function useMetrics(metrics: Metrics | undefined): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onResponse: ({ serverContext: { state } }) => recordOperation(state, metrics),
  };
}

/** Records one answered operation. Requests without an answer of GraphQL, such as `/health`, are not operations. */
export function recordOperation(
  { answer, startedAtMs, span, record }: RequestState,
  metrics: Metrics | undefined,
): void {
  if (answer === undefined) return;
  const { status, operationType, outcome } = answer;
  span?.end({ status, outcome, operationType, record });
  metrics?.operation({ type: operationType, outcome, durationMs: performance.now() - startedAtMs });
}
