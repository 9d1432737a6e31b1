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

/**
 * Applies changed files while the gateway runs. Validates a changed file together with the last valid content of all other files, by the
 * same rules as at startup.
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
  const closers = files.map(({ setting, paths }) =>
    watchFile(
      {
        setting,
        paths,
        initial: paths.map(contentOf),
        accept(contents) {
          const changed = new Map(paths.map((path, index) => [path, contents[index] ?? '']));
          const readFile: ReadFile = (path) => changed.get(path) ?? valid.get(path) ?? contentOf(path);
          appliers[setting](reload(readFile), readFile);
          for (const [path, content] of changed) valid.set(path, content);
        },
      },
      telemetry,
    ),
  );
  return async () => {
    await Promise.all(closers.map((close) => close()));
  };
}
