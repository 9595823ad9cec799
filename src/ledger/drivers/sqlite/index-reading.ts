import { Worker } from 'node:worker_threads';
import type { Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import type { Batch } from '../../questions/sql-index-rows.ts';
import type { BatchReading } from '../../questions/sql-query-index.ts';
import { endThread, newEnding } from './ending.ts';

/** How long a thread is kept that has nothing to read, milliseconds. */
const idleMs = 5_000;

/** Positions [from, to), and at which of them names and tokens are to be left out. */
export interface ToRead {
  readonly from: number;
  readonly to: number;
  readonly forgotten: readonly number[];
}

interface Answer {
  readonly batch?: Batch;
  readonly fault?: string;
}

/** Reads a ledger file for its index on a thread, which is there only while there is much to read: nobody else waits for it. */
export function openIndexReading(path: string, workerUrl: URL): { read: BatchReading; close(): Promise<void> } {
  let thread: ReturnType<typeof openThread> | undefined;
  let idle: NodeJS.Timeout | undefined;
  let closed = false;

  async function end(): Promise<void> {
    clearTimeout(idle);
    const old = thread;
    thread = undefined;
    await old?.close();
  }

  return {
    async read(from, to, forgotten, deadline) {
      if (closed) throw new StoreFault('closed');
      clearTimeout(idle);
      thread ??= openThread(path, workerUrl);
      try {
        return await thread.read({ from, to, forgotten: [...forgotten] }, deadline);
      } catch (error) {
        // The next one begins with another.
        void end();
        throw error;
      } finally {
        clearTimeout(idle);
        idle = setTimeout(end, idleMs).unref();
      }
    },
    async close() {
      closed = true;
      await end();
    },
  };
}

function openThread(path: string, workerUrl: URL) {
  const ending = newEnding();
  const worker = new Worker(workerUrl, { workerData: { path, ending } });
  /** It answers in the order in which it is asked. */
  const asked: { resolve(batch: Batch): void; reject(fault: StoreFault): void }[] = [];
  let gone: StoreFault | undefined;

  function give(up: StoreFault): void {
    gone ??= up;
    for (const one of asked.splice(0)) one.reject(gone);
  }

  worker.unref();
  worker.on('message', ({ batch, fault }: Answer) => {
    const one = asked.shift();
    if (asked.length === 0) worker.unref();
    if (batch !== undefined) one?.resolve(batch);
    else one?.reject(new StoreFault(fault ?? 'thread_failed'));
  });
  worker.on('error', (cause) => give(new StoreFault('thread_failed', { cause })));
  worker.on('exit', () => give(new StoreFault('thread_ended')));

  return {
    read: (what: ToRead, deadline: Deadline) =>
      new Promise<Batch>((resolve, reject) => {
        if (gone !== undefined) return reject(gone);
        const timer = setTimeout(() => reject(new StoreFault('timeout')), deadline.left());
        asked.push({
          resolve: (batch) => {
            clearTimeout(timer);
            resolve(batch);
          },
          reject: (fault) => {
            clearTimeout(timer);
            reject(fault);
          },
        });
        worker.ref();
        worker.postMessage(what);
      }),
    close: () => endThread(worker, ending),
  };
}
