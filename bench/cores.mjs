import { execFileSync } from 'node:child_process';

/** The command that starts Node on one core, where the system can pin; elsewhere plain Node. */
export function pinned(core) {
  try {
    execFileSync('taskset', ['-c', String(core), 'true'], { stdio: 'ignore' });
    return ['taskset', '-c', String(core), process.execPath];
  } catch {
    return [process.execPath];
  }
}
