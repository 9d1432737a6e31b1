import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';

/**
 * Claims a file for this process, with a lock file that names the process and its start time. The lock of a process that has ended is
 * replaced. Process ids alone are not enough: after the restart of a container, another process may have the same id.
 *
 * A lock does not protect against a gateway on another machine or in another container. The audit file detects its lines by the size of the file.
 *
 * @returns a function that releases the lock.
 * @throws the system error; with the code `EBUSY` if another process holds the lock.
 */
export function lock(path: string): () => void {
  const lockPath = `${path}.lock`;
  const own = `${process.pid} ${startOf(process.pid)}\n`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      writeFileSync(lockPath, own, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) throw error;
      if (isHeld(readIfPresent(lockPath))) throw Object.assign(new Error('locked'), { code: 'EBUSY' });
      removeIfPresent(lockPath);
    }
  }
  return () => {
    if (readIfPresent(lockPath) === own) removeIfPresent(lockPath);
  };
}

function isHeld(content: string | undefined): boolean {
  const [, pid, start] = /^(\d+) (\S+)\n$/.exec(content ?? '') ?? [];
  return pid !== undefined && isRunning(Number(pid)) && startOf(Number(pid)) === start;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The start time of a process, in clock ticks since the machine started. `unknown` outside Linux. */
function startOf(pid: number): string {
  // The second field is the name of the program, which may contain blanks.
  const fields = readIfPresent(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ');
  return fields?.[19] ?? 'unknown';
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function removeIfPresent(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Another process has removed it.
  }
}
