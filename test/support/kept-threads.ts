import { EventEmitter } from 'node:events';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import {
  MessageChannel,
  type MessagePort,
  type Transferable,
  type Worker,
  type WorkerOptions,
} from 'node:worker_threads';

// To start a thread costs a hundred times as much as what most tests do on it. So tests whose claims are not of threads
// have theirs kept for the next ledger; the tests of the sqlite driver itself have real ones.

interface Answer {
  readonly code: number;
  readonly error?: unknown;
}

const threads = createRequire(import.meta.url)('node:worker_threads') as { Worker: typeof Worker };
const keptFile = new URL('./kept-thread.mjs', import.meta.url);
const modules = /\/src\/ledger\/drivers\/sqlite\/(commit|index)-worker\.mjs$/;
const done = Symbol.for('hallpass.test.kept-threads');

/** What its users see of a Worker: it begins and ends, and the thread below stays. */
class KeptWorker extends EventEmitter {
  threadId: number;
  readonly #port: MessagePort;

  constructor(url: URL, { workerData, transferList = [] }: WorkerOptions, idle: Worker[], start: () => Worker) {
    super();
    const thread = idle.pop() ?? start();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.threadId = thread.threadId;
    const leave = (code: number) => {
      thread.off('message', answered).off('error', failed).off('exit', left);
      port1.close();
      this.threadId = -1;
      this.emit('exit', code);
    };
    const answered = ({ code, error }: Answer) => {
      idle.push(thread);
      if (error !== undefined) this.emit('error', error);
      leave(code);
    };
    const failed = (error: unknown) => this.emit('error', error);
    const left = (code: number) => leave(code);
    thread.on('message', answered).on('error', failed).on('exit', left);
    thread.unref();
    port1.on('message', (message) => this.emit('message', message));
    const given = { url: fileURLToPath(url), workerData, port: port2 };
    thread.postMessage(given, [port2, ...(transferList as readonly Transferable[])]);
  }

  postMessage(message: unknown): void {
    this.#port.postMessage(message);
  }
  ref(): void {
    this.#port.ref();
  }
  unref(): void {
    this.#port.unref();
  }
}

if (!(done in threads)) {
  const Real = threads.Worker;
  const idle: Worker[] = [];
  const start = () => new Real(keptFile).setMaxListeners(0);
  threads.Worker = new Proxy(Real, {
    construct(_, [url, options]: [URL, WorkerOptions]) {
      if (!(url instanceof URL) || !modules.test(url.pathname)) return new Real(url, options);
      return new KeptWorker(url, options, idle, start);
    },
  });
  Object.assign(threads, { [done]: true });
  syncBuiltinESMExports();
}
