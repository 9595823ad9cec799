import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Deadline } from '../../../lib/deadline.ts';
import { StoreFault } from '../../log-store.ts';
import type { QueryIndex } from '../../query-index.ts';
import { indexSchema } from '../../questions/sql-index-tables.ts';
import { sqlQueryIndex } from '../../questions/sql-query-index.ts';
import type { IndexSql } from '../../sql/sql.ts';
import { faultOf } from './commit-thread.ts';
import { endThread, newEnding } from './ending.ts';
import { openIndexReading } from './index-reading.ts';

/** `HPIX`: SQLite's application_id of an index file. */
export const applicationId = 0x48504958;
export const version = 2;
/** Positions of a run: the more, the fewer there are to look in, and the longer one takes to be sealed. */
export const usualRun = 16_384;
const batch = 1_024;

// It can be built again, so a commit need not be on the disk when it is answered; what is overwritten is overwritten.
const pragmas = [
  'busy_timeout = 1000',
  'journal_mode = WAL',
  'synchronous = NORMAL',
  'secure_delete = ON',
  'wal_autocheckpoint = 2000',
  'journal_size_limit = 4194304',
  'cache_size = -32768',
];

/** How long a thread may be at one thing before it is taken for stuck, unless somebody waits longer; milliseconds. */
const stuckMs = 10_000;

const ownFaults: Readonly<Record<string, string>> = { FOREIGN: 'foreign', LATE: 'timeout' };

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

interface Asked {
  /** Milliseconds since the epoch. */
  readonly until: number;
  resolve(value: unknown): void;
  reject(error: StoreFault): void;
}

/** What is otherwise than usual. */
export interface SqliteIndexParts {
  readonly workerUrl?: URL | undefined;
  /** The ledger's file. */
  readonly log?: string | undefined;
  /** The bundled index-reader, which lies beside the bundle; without it, as in the sources, much is not read on a thread. */
  readonly readerUrl?: URL | undefined;
  readonly run?: number | undefined;
}

/** A file beside the ledger's, kept by a thread that starts with the first question. */
export function openSqliteIndex(path: string, parts: SqliteIndexParts = {}): QueryIndex {
  const { workerUrl, log, readerUrl = new URL('./index-reader.mjs', import.meta.url), run = usualRun } = parts;
  const sql = indexSql(path, workerUrl);
  if (log === undefined || !existsSync(fileURLToPath(readerUrl))) return sqlQueryIndex(sql, { run, batch });
  const { read, close } = openIndexReading(log, readerUrl);
  const closeAll = async () => {
    await close();
    await sql.close();
  };
  return sqlQueryIndex({ ...sql, close: closeAll }, { run, batch, reading: read });
}

function indexSql(path: string, workerUrl = new URL('./index-worker.mjs', import.meta.url)): IndexSql {
  let thread: IndexThread | undefined;
  let closed = false;

  const ask = (what: object, deadline: Deadline): Promise<unknown> => {
    if (closed) throw new StoreFault('closed');
    thread ??= openThread(path, workerUrl, () => {
      thread = undefined;
    });
    return thread.ask(what, deadline);
  };

  return {
    read: async (sql, params, deadline) => (await ask({ sql, params }, deadline)) as never,
    write: async (statements, deadline) => (await ask({ statements }, deadline)) as never,
    async scrub(deadline) {
      const rows = await ask({ sql: 'PRAGMA wal_checkpoint(TRUNCATE)', params: [] }, deadline);
      if ((rows as readonly { readonly busy: number }[])[0]?.busy !== 0) throw new StoreFault('busy');
    },
    async close() {
      closed = true;
      await thread?.close();
    },
  };
}

interface IndexThread {
  /** Rejects with StoreFault. What takes too long for one is no reason to refuse others: the thread goes on. */
  ask(what: object, deadline: Deadline): Promise<unknown>;
  close(): Promise<void>;
}

function openThread(path: string, workerUrl: URL, gone: () => void): IndexThread {
  const ending = newEnding();
  const workerData = { path, pragmas, schema: indexSchema, applicationId, version, ending };
  const worker = new Worker(workerUrl, { workerData });
  const asked = new Map<number, Asked>();
  let next = 0;
  let stuck: NodeJS.Timeout | undefined;
  let over = false;

  /** A thread that says nothing for so long is given up, and the next question starts another. */
  function watch(): void {
    clearTimeout(stuck);
    if (asked.size === 0) return;
    const patience = [...asked.values()].map(({ until }) => until - Date.now());
    stuck = setTimeout(() => give(new StoreFault('timeout')), Math.max(stuckMs, ...patience)).unref();
  }

  function give(up: StoreFault): void {
    // When it has ended at last, another may be at work in its place.
    if (over) return;
    over = true;
    clearTimeout(stuck);
    gone();
    for (const one of asked.values()) one.reject(up);
    asked.clear();
    endThread(worker, ending);
  }

  worker.unref();
  worker.on('error', (cause) => give(new StoreFault('thread_failed', { cause })));
  worker.on('exit', () => give(new StoreFault('thread_ended')));
  worker.on('message', ({ id, value, error }: Answer) => {
    const one = asked.get(id);
    asked.delete(id);
    watch();
    if (asked.size === 0) worker.unref();
    if (error === undefined) one?.resolve(value);
    else one?.reject(new StoreFault(ownFaults[error] ?? faultOf(error)));
  });

  return {
    ask(what, deadline) {
      if (deadline.left() <= 0) return Promise.reject(new StoreFault('timeout'));
      const id = next++;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new StoreFault('timeout')), deadline.left());
        const settle = (answer: () => void) => {
          clearTimeout(timer);
          answer();
        };
        const until = Date.now() + deadline.left();
        asked.set(id, {
          until,
          resolve: (value) => settle(() => resolve(value)),
          reject: (error) => settle(() => reject(error)),
        });
        // A process that waits for an answer stays alive for it.
        worker.ref();
        if (asked.size === 1) watch();
        // What nobody waits for any more when its turn comes is not begun.
        worker.postMessage({ id, until, ...what });
      });
    },
    async close() {
      worker.ref();
      await endThread(worker, ending);
      give(new StoreFault('closed'));
    },
  };
}
