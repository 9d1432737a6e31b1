import { performance } from 'node:perf_hooks';
import type { Log, Metrics } from '../telemetry/log.ts';
import type { Config, WatchedSetting } from './config.ts';
import type { FileContent, ReadFile } from './operator-files.ts';
import { watchFile } from './watched-file.ts';

/**
 * A function for each watched setting that applies changed content. `next` is the complete new configuration. `readFile` returns the new
 * content of the file.
 *
 * Each function throws an error if the content is unusable, and then has changed nothing.
 */
export type Appliers = Readonly<Record<WatchedSetting, (next: Config, readFile: ReadFile) => void>>;

/** How long rejected content counts as the content of its file, in ms. The file is read and rejected again within 2 s. */
const rejectedForMs = 5_000;

/**
 * Applies changed files while the gateway runs. Validates a changed file together with the last valid content of all other files, by the
 * same rules as at startup.
 *
 * `JUSPAY_API_KEY_FILE` and `MERCHANTS_FILE` can describe the same merchant, and are applied by the same function. They must change
 * together: if the content of one is rejected, it is validated again together with the rejected content of the other.
 *
 * @returns a function that stops watching.
 */
export function watchSettings(
  { sources }: Pick<Config, 'sources'>,
  appliers: Appliers,
  telemetry: { log: Log; metrics?: Metrics | undefined },
): () => Promise<void> {
  if (sources === undefined) return async () => undefined;
  const { files, contentOf, reload } = sources;
  const valid = new Map<string, FileContent>();
  const rejected = new Map<WatchedSetting, { readonly contents: Contents; readonly atMs: number }>();
  const closers = files.map(({ setting, paths }) =>
    watchFile(
      {
        setting,
        paths,
        initial: paths.map(contentOf),
        accept(contents) {
          const changed: Contents = new Map(paths.map((path, index) => [path, contents[index] ?? '']));
          try {
            apply(setting, changed);
          } catch (error) {
            rejected.set(setting, { contents: changed, atMs: performance.now() });
            if (!applyWithRejected(setting, changed)) throw error;
          }
          rejected.delete(setting);
          // Not the content of the other file: its own watcher applies it, if the file still has it.
          for (const [path, content] of changed) valid.set(path, content);
        },
      },
      telemetry,
    ),
  );
  return async () => {
    await Promise.all(closers.map((close) => close()));
  };

  /** @throws Error if the content is unusable. */
  function apply(setting: WatchedSetting, changed: Contents): void {
    const readFile: ReadFile = (path) => changed.get(path) ?? valid.get(path) ?? contentOf(path);
    appliers[setting](reload(readFile), readFile);
  }

  /** Applies content together with the rejected content of another file. @returns whether both together were valid. */
  function applyWithRejected(setting: WatchedSetting, changed: Contents): boolean {
    for (const [other, { contents, atMs }] of rejected) {
      if (other === setting || appliers[other] !== appliers[setting]) continue;
      if (performance.now() - atMs > rejectedForMs) continue;
      try {
        apply(setting, new Map([...contents, ...changed]));
        return true;
      } catch {
        // The caller throws the error of the content alone.
      }
    }
    return false;
  }
}

type Contents = ReadonlyMap<string, FileContent>;
