import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeSnapshots, printed, type Snapshot, totalsOf } from '../../src/telemetry/aggregate.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const textsOf = (snapshot: Snapshot) => printed(() => Promise.resolve(snapshot));

test('metrics of several processes MUST be one text: totals added up, gauges by their meaning', async () => {
  const [first, second] = [createMetrics('1.0.0'), createMetrics('1.0.0')];
  for (const { operation } of [first, second, second]) operation({ type: 'query', outcome: 'OK', durationMs: 20 });
  second.operation({ type: 'mutation', outcome: 'INTERNAL_SERVER_ERROR', durationMs: 20 });
  first.inFlight(2);
  second.inFlight(3);
  first.breaker({ merchant: 'm', method: 'GET', isOpen: true });
  second.breaker({ merchant: 'm', method: 'GET', isOpen: false });
  first.merchantOpened('m', { retriesLeft: () => 9, heldMs: () => 0 });
  second.merchantOpened('m', { retriesLeft: () => 4, heldMs: () => 2_000 });
  first.watchedFile({ file: 'MERCHANTS_FILE', isUsable: true });
  second.watchedFile({ file: 'MERCHANTS_FILE', isUsable: false });
  const snapshots = await Promise.all([first.snapshot(), second.snapshot()]);
  const text = await textsOf(mergeSnapshots(snapshots)).read();
  for (const line of [
    'customer_gateway_operations_total{type="query",outcome="OK"} 3',
    'customer_gateway_operations_total{type="mutation",outcome="INTERNAL_SERVER_ERROR"} 1',
    'customer_gateway_operation_duration_seconds_count{type="query"} 3',
    'customer_gateway_operation_duration_seconds_bucket{le="0.01",type="query"} 0',
    'customer_gateway_operation_duration_seconds_bucket{le="+Inf",type="query"} 3',
    'customer_gateway_in_flight 5',
    'customer_gateway_workers 2',
    'customer_gateway_breaker_open{merchant="m",method="GET"} 1',
    'customer_gateway_file_usable{file="MERCHANTS_FILE"} 0',
    'customer_gateway_retry_budget_left{merchant="m"} 4',
    'customer_gateway_hold_back_seconds_left{merchant="m"} 2',
    'customer_gateway_build_info{version="1.0.0"} 1',
  ])
    assert.ok(text.includes(`\n${line}\n`), `${line} is not in\n${text}`);

  // Names, types and descriptions are those of one process.
  const headsOf = (metrics: string) => metrics.split('\n').filter((line) => line.startsWith('#'));
  assert.deepEqual(headsOf(text), headsOf(await first.read()));
  const totals = await textsOf(totalsOf(mergeSnapshots(snapshots))).read();
  assert.doesNotMatch(totals, /# TYPE \S+ gauge/);
  assert.match(totals, /customer_gateway_operations_total\{type="query",outcome="OK"\} 3/);
});

test('the OpenMetrics text of several processes MUST have the heads of one process, and the latest exemplar of each bucket', async () => {
  const [first, second] = [createMetrics('1.0.0'), createMetrics('1.0.0')];
  const operation = { type: 'query', outcome: 'OK', durationMs: 20 } as const;
  first.operation({ ...operation, traceId: 'a'.repeat(32) });
  const earlier = await first.snapshot();
  while (Date.now() / 1000 <= latestOf(earlier));
  second.operation({ ...operation, traceId: 'b'.repeat(32) });
  const later = await second.snapshot();
  for (const snapshots of [
    [earlier, later],
    [later, earlier],
  ]) {
    const { contentType, read } = textsOf(mergeSnapshots(snapshots)).openMetrics;
    assert.equal(contentType, first.openMetrics.contentType);
    const text = await read();
    assert.match(text, /^customer_gateway_operations_total\{type="query",outcome="OK"\} 2$/m);
    const exemplars = text.split('\n').filter((line) => line.includes('# {'));
    assert.equal(exemplars.length, 1);
    assert.match(
      exemplars[0] ?? '',
      /^customer_gateway_operation_duration_seconds_bucket\{le="0.025",type="query"\} 2 # \{trace_id="b{32}"\} 0.02 /,
    );
    const headsOf = (metrics: string) => metrics.split('\n').filter((line) => line.startsWith('#'));
    assert.deepEqual(headsOf(text), headsOf(await first.openMetrics.read()));
  }
});

/** The time of the latest exemplar, in seconds. */
function latestOf(snapshot: Snapshot): number {
  return Math.max(...snapshot.flatMap(({ values }) => values.map(({ exemplar }) => exemplar?.timestamp ?? 0)));
}
