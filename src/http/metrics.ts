import type { Plugin } from 'graphql-yoga';
import type { Metrics } from '../telemetry/log.ts';
import type { RequestState } from './http.ts';

/** Records type, outcome and duration of each operation. Requests without an outcome, such as `/health`, are not operations. */
export function useMetrics(metrics: Metrics): Plugin<{ state: RequestState }, { state: RequestState }> {
  return {
    onResponse({ serverContext: { state } }) {
      const { operationType: type, outcome, startedAtMs } = state;
      if (outcome !== undefined) metrics.operation({ type, outcome, durationMs: performance.now() - startedAtMs });
    },
  };
}
