import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { exit, Failure } from './failure.ts';
import { shown } from './terminal.ts';

/** A signal that a command may be sent, by its name. */
export type Signal = NodeJS.Signals;

/** A command that was started. */
export interface Child {
  kill(signal: Signal): void;
  /** Its exit code, 128 + n when signal n ended it. Rejects with a Failure when it cannot be started: 127 not found, 126 for any other reason. */
  readonly ended: Promise<number>;
}

/** As a shell counts them. */
export const exitForSignal = (signal: Signal): number => 128 + constants.signals[signal];

// Some servers take SIGWINCH as the wish that they end.
const heard: readonly Signal[] = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGWINCH',
];

/** Hears the signals that would end this process, and SIGWINCH; the function it gives back ends that. */
export function hearSignals(hear: (signal: Signal) => void): () => void {
  for (const signal of heard) process.on(signal, hear);
  return () => {
    for (const signal of heard) process.off(signal, hear);
  };
}

/** Starts a command on this process's own stdin, stdout and stderr, with exactly this environment. @throws Failure */
export function startChild([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Child {
  const child = spawnChild(file, args, env);
  return {
    kill: (signal) => void child.kill(signal),
    ended: new Promise((done, fail) => {
      // One that runs and takes no signal of ours (it has become another user's) is an error here as well, and runs on.
      child.on('error', (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) fail(notStarted(file, error.code));
      });
      child.once('exit', (code, signal) => done(signal === null ? (code ?? exit.negative) : exitForSignal(signal)));
    }),
  };
}

// Some faults are told by an event, others (too long an environment, an empty name) are thrown at once.
function spawnChild(file: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  try {
    return spawn(file, args, { stdio: 'inherit', env });
  } catch (error) {
    throw notStarted(file, (error as NodeJS.ErrnoException).code);
  }
}

// The codes of a shell, as what follows in a script expects them.
function notStarted(file: string, code: string | undefined): Failure {
  if (code === 'ENOENT' || file === '') return new Failure(127, `${shown(file) || 'an empty name'} is not found`);
  return new Failure(126, `${shown(file)} cannot be started (${code})`);
}
