import type { LeveledLog, LogLevel } from '../telemetry/log.ts';

/** Each signal shows more, until `debug` is followed by `error`. */
const next: Readonly<Record<LogLevel | 'silent', LogLevel>> = {
  silent: 'error',
  error: 'warn',
  warn: 'info',
  info: 'debug',
  debug: 'error',
};

/**
 * Changes the level of the log on SIGUSR2, by one step to more lines. No signal makes the log `silent`. Windows does not have the signal.
 *
 * Call it early: until then, the signal ends the process.
 */
export function onLevelSignal(log: LeveledLog, onChange?: (level: LogLevel) => void): void {
  if (process.platform === 'win32') return;
  process.on('SIGUSR2', () => {
    const level = next[log.level];
    log.setLevel(level);
    onChange?.(level);
  });
}
