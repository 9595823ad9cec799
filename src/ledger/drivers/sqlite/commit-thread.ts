import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import type { SqlStatement } from '../../sql/sql.ts';
import { endThread, newEnding } from './ending.ts';

/** The one connection that writes, on a thread of its own. */
export interface CommitThread {
  /** Rejects with StoreFault; then the outcome is unknown and the thread is gone. */
  commit(statements: readonly SqlStatement[], deadline: Deadline): Promise<'done' | 'conflict'>;
  /** Moves all of the write-ahead log into the file. */
  settle(deadline: Deadline): Promise<void>;
  /** Commits, and empties the write-ahead log: what these statements overwrote is in no file afterwards. Rejects as `commit`. */
  erase(statements: readonly SqlStatement[], deadline: Deadline): Promise<void>;
  /** Takes an answer that has come and that the event loop has not got to yet. */
  poll(): void;
  close(): Promise<void>;
}

interface Answer {
  readonly id: number;
  readonly done?: 'done' | 'conflict';
  readonly error?: string;
}

interface Asked {
  resolve(done: 'done' | 'conflict'): void;
  reject(error: StoreFault): void;
}

// synchronous=FULL: a commit is on the disk before it is answered. The write-ahead log stays small. secure_delete=ON, always:
// what SQLite moves between pages is overwritten where it was, so that erasing a row erases its only copy.
const pragmas = [
  'busy_timeout = 1000',
  'journal_mode = WAL',
  'synchronous = FULL',
  'secure_delete = ON',
  'wal_autocheckpoint = 512',
  'journal_size_limit = 4194304',
];

export function openCommitThread(path: string, workerUrl: URL): CommitThread {
  const ending = newEnding();
  const { port1: port, port2: theirs } = new MessageChannel();
  const workerData = { path, pragmas, ending, port: theirs };
  const worker = new Worker(workerUrl, { workerData, transferList: [theirs] });
  const asked = new Map<number, Asked>();
  let next = 0;
  let gone: StoreFault | undefined;

  /** Ends the thread: what it was doing may still happen, or not. A native call that hangs is not waited for. */
  function give(up: StoreFault): void {
    gone ??= up;
    for (const one of asked.values()) one.reject(gone);
    asked.clear();
    endThread(worker, ending, port);
  }

  function take({ id, done, error }: Answer): void {
    const one = asked.get(id);
    asked.delete(id);
    if (asked.size === 0) unref();
    if (done !== undefined) one?.resolve(done);
    else one?.reject(new StoreFault(faultOf(error ?? '')));
  }

  function unref(): void {
    worker.unref();
    port.unref();
  }

  port.on('message', take);
  unref();
  worker.on('error', (cause) => give(new StoreFault('thread_failed', { cause })));
  worker.on('exit', () => give(new StoreFault('thread_ended')));

  function ask(
    statements: readonly SqlStatement[],
    deadline: Deadline,
    after?: 'settle' | 'truncate',
  ): Promise<'done' | 'conflict'> {
    if (gone !== undefined) return Promise.reject(gone);
    const id = next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => give(new StoreFault('timeout')), deadline.left());
      const settle = (answer: () => void) => {
        clearTimeout(timer);
        answer();
      };
      asked.set(id, { resolve: (done) => settle(() => resolve(done)), reject: (error) => settle(() => reject(error)) });
      // A process that waits for a commit stays alive for it.
      worker.ref();
      port.ref();
      port.postMessage({ id, statements, after });
    });
  }

  return {
    commit: (statements, deadline) => ask(statements, deadline),
    async settle(deadline) {
      await ask([], deadline, 'settle');
    },
    async erase(statements, deadline) {
      await ask(statements, deadline, 'truncate');
    },
    poll() {
      if (asked.size === 0) return;
      const come = receiveMessageOnPort(port);
      if (come !== undefined) take(come.message);
    },
    async close() {
      worker.ref();
      gone ??= new StoreFault('closed');
      await endThread(worker, ending, port);
      port.close();
    },
  };
}

/** A stable word for SQLite's result code. */
export function faultOf(code: string): string {
  if (code.startsWith('SQLITE_FULL')) return 'disk_full';
  if (code === 'SQLITE_READONLY_DBMOVED') return 'moved';
  if (code.startsWith('SQLITE_READONLY')) return 'read_only';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  if (code.startsWith('SQLITE_IOERR')) return 'io';
  if (code.startsWith('SQLITE_CANTOPEN')) return 'cannot_open';
  if (code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')) return 'corrupt';
  return 'sql';
}
