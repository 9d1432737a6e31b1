import { GCProfiler } from 'node:v8';

/**
 * Loaded into the shipped program with `--import`, and asked over IPC. V8's own trace would not do: it is printed to the
 * pipe of the log, and what does not fit at that moment is lost.
 */

/** The reply to `stop`: what was allocated and collected since the reply to `start`. */
export interface Collections {
  /** Bytes. */
  readonly allocated: number;
  /** Bytes that a scavenge kept, in the new space or the old one. */
  readonly survived: number;
  /** Largest capacity of one of the two semi-spaces, in bytes, without the headers of its pages. */
  readonly semiSpace: number;
}

let profiler = new GCProfiler();

process.on('message', (message: 'start' | 'stop') => {
  if (message === 'start') {
    profiler = new GCProfiler();
    profiler.start();
  }
  // The first and the last collection: between them lies the whole load and nothing else.
  globalThis.gc?.({ type: 'minor' });
  process.send?.(message === 'start' ? {} : summaryOf(profiler.stop().statistics));
});

function summaryOf(collections: ReturnType<GCProfiler['stop']>['statistics']): Collections {
  let [allocated, survived, semiSpace] = [0, 0, 0];
  let usedBefore: number | undefined;
  for (const { gcType, beforeGC, afterGC } of collections) {
    const used = beforeGC.heapStatistics.usedHeapSize;
    const usedAfter = afterGC.heapStatistics.usedHeapSize;
    const newSpace = beforeGC.heapSpaceStatistics.find(({ spaceName }) => spaceName === 'new_space');
    const inNewSpace = newSpace?.spaceUsedSize ?? 0;
    semiSpace = Math.max(semiSpace, inNewSpace + (newSpace?.spaceAvailableSize ?? 0));
    if (usedBefore !== undefined) {
      allocated += used - usedBefore;
      if (gcType === 'Scavenge') survived += inNewSpace - (used - usedAfter);
    }
    usedBefore = usedAfter;
  }
  return { allocated, survived, semiSpace };
}
