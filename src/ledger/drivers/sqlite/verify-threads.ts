import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { StoreFault } from '../../log-store.ts';
import type { PageFacts, PageSpan } from '../../verify/page.ts';
import type { VerifySource } from '../../verify/source.ts';
import { endThread, newEnding } from './ending.ts';

/** More would wait for the one that puts their pages together. */
const mostThreads = 8;
/** So that a thread has its next page when it has answered. */
const pagesEach = 2;

type Pages = NonNullable<VerifySource['pages']> & { close(): Promise<void> };

interface Answer {
  readonly facts?: PageFacts;
  readonly fault?: string;
}

/** Reads pages of a ledger file on as many threads as there are cores; they start with the first page that is asked for. */
export function openVerifyThreads(path: string, workerUrl: URL): Pages {
  const count = Math.min(mostThreads, availableParallelism());
  let threads: ReturnType<typeof openThread>[] | undefined;
  let next = 0;
  return {
    atOnce: count * pagesEach,
    read(span) {
      threads ??= Array.from({ length: count }, () => openThread(path, workerUrl));
      // Pages take about as long as each other.
      return (threads[next++ % count] as ReturnType<typeof openThread>).read(span);
    },
    async close() {
      await Promise.all((threads ?? []).map((thread) => thread.close()));
    },
  };
}

function openThread(path: string, workerUrl: URL) {
  const ending = newEnding();
  const worker = new Worker(workerUrl, { workerData: { path, ending } });
  /** It answers in the order in which it is asked. */
  const asked: { resolve(facts: PageFacts): void; reject(fault: StoreFault): void }[] = [];
  let gone: StoreFault | undefined;

  function give(up: StoreFault): void {
    gone ??= up;
    for (const one of asked.splice(0)) one.reject(gone);
  }

  worker.on('message', ({ facts, fault }: Answer) => {
    const one = asked.shift();
    if (facts !== undefined) one?.resolve(facts);
    else one?.reject(new StoreFault(fault ?? 'thread_failed'));
  });
  worker.on('error', (cause) => give(new StoreFault('thread_failed', { cause })));
  worker.on('exit', () => give(new StoreFault('thread_ended')));

  return {
    read: (span: PageSpan) =>
      new Promise<PageFacts>((resolve, reject) => {
        if (gone !== undefined) return reject(gone);
        asked.push({ resolve, reject });
        worker.postMessage(span);
      }),
    close: () => endThread(worker, ending),
  };
}
