// Imported before a program with `node --import`. Changes the source of the gateway as `PLANT` says, to test that the comparison of the books
// finds the fault.
import { registerHooks } from 'node:module';

interface Plant {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const idempotency = 'src/idempotency/idempotency.ts';

export const plants = {
  'the key is not bound to the caller': [
    {
      file: idempotency,
      from: "['name', credentialKeys, [...scopes].toSorted(), customers, key]",
      to: "['name', key]",
    },
  ],
  'the answer of a failed write is kept': [
    {
      file: 'src/idempotency/recording.ts',
      from: "['VALIDATION_FAILED', 'ALREADY_EXISTS', 'NOT_FOUND'] as const",
      to: "['VALIDATION_FAILED', 'ALREADY_EXISTS', 'NOT_FOUND', 'OUTCOME_UNKNOWN'] as const",
    },
  ],
  'a repeat does not wait': [
    { file: idempotency, from: 'other !== undefined; other = inProgress.get(this.#claim)', to: 'false;' },
    {
      file: idempotency,
      from: 'const isFree = claim === undefined || claim.holder === this.#holder',
      to: 'const isFree = true',
    },
  ],
} as const satisfies Readonly<Record<string, readonly Plant[]>>;

const planted = Object.entries(plants).find(([name]) => name === process.env['PLANT'])?.[1] ?? [];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const own = planted.filter(({ file }) => url.endsWith(`/${file}`));
    if (own.length === 0) return loaded;
    let source = String(loaded.source);
    for (const { file, from, to } of own) {
      if (!source.includes(from)) throw new Error(`${file} has no ${from}`);
      source = source.replace(from, to);
    }
    return { ...loaded, source };
  },
});
