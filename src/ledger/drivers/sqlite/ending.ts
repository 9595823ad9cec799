import type { Worker } from 'node:worker_threads';

/** How long a thread may take to end by itself, milliseconds. */
const endMs = 3_000;

/** Shared with a thread: once it is not 0, what waits there is not done any more. */
export const newEnding = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));

/**
 * Tells a thread to end when it is next in JavaScript: one that is terminated inside libsql takes the process with it.
 * Resolves when it has ended, or has had the time to.
 */
export function endThread(
  worker: Worker,
  ending: Int32Array,
  /** Where it listens. */
  port: Pick<Worker, 'postMessage'> = worker,
): Promise<void> {
  // It has ended by itself.
  if (worker.threadId === -1) return Promise.resolve();
  Atomics.store(ending, 0, 1);
  port.postMessage({});
  return new Promise((resolve) => {
    const ended = () => {
      clearTimeout(timer);
      worker.unref();
      resolve();
    };
    const timer = setTimeout(ended, endMs).unref();
    worker.once('exit', ended);
  });
}
