import { resolve } from 'node:path';
import type { Deadline } from '../../../lib/deadline.ts';
import { type Log, openLog } from '../../log/log.ts';
import { StoreFault } from '../../log-store.ts';
import { withIndex } from '../../questions/with-index.ts';
import { sqlLogStore } from '../../sql/log-store.ts';
import { blankStatement, type Sql } from '../../sql/sql.ts';
import { noteSigner } from '../../tree/note.ts';
import type { LedgerDriverDeps } from '../driver.ts';
import { type CommitThread, openCommitThread } from './commit-thread.ts';
import { type Connection, openDatabase, openFile, readsOf } from './file.ts';
import { openSqliteIndex } from './index-file.ts';

export interface SqliteLedgerConfig {
  readonly kind: 'sqlite';
  readonly path: string;
}

/** Where the parts come from; the defaults are the real ones. */
export interface SqliteParts {
  readonly openDatabase?: typeof openDatabase;
  /** The commit worker lies beside this module in the sources, and beside the bundle when built. */
  readonly workerUrl?: URL;
  /** The index worker, likewise. */
  readonly indexUrl?: URL;
  /** The index reader, where it is not beside the bundle. */
  readonly readerUrl?: URL;
}

/**
 * A log in one SQLite file: commits on a thread of their own, reads here; its index in a file beside it.
 *
 * @throws Error that says what is wrong with the file or its path
 */
export async function openSqliteLedger(
  config: SqliteLedgerConfig,
  deps: LedgerDriverDeps,
  parts: SqliteParts = {},
): Promise<Log> {
  const { platform, origin, secrets, writer, gate } = deps;
  if (secrets === undefined) throw new Error('a sqlite ledger needs a checkpoint key');
  if (platform.folder === undefined) throw new Error('a sqlite ledger needs a file system');
  const path = resolve(platform.folder, config.path);
  const signer = noteSigner(origin, secrets.checkpointKey);
  const sql = openSqliteFile(path, signer.vkey, parts);
  const { now, random, log } = platform;
  try {
    const opened = await openLog({
      store: sqlLogStore(sql),
      signer,
      ...secrets,
      writer,
      now,
      random,
      log,
      // That of node:timers/promises is a module that no start needs but for this.
      gather: () => new Promise((done) => void setImmediate(done)),
      ...(gate && { gate }),
    });
    return withIndex(
      opened,
      openSqliteIndex(`${path}.index`, { workerUrl: parts.indexUrl, readerUrl: parts.readerUrl, log: path }),
    );
  } catch (error) {
    await sql.close();
    throw error;
  }
}

const threadStartMs = 250;

/** The file as the log's tables use it. @throws ForeignFile, StoreFault */
export function openSqliteFile(path: string, vkey: string, parts: SqliteParts = {}): Sql {
  const { openDatabase: open = openDatabase, workerUrl = new URL('./commit-worker.mjs', import.meta.url) } = parts;
  let connection: Connection | undefined = openFile(path, vkey, open);
  let thread: CommitThread | undefined;

  function commits(): CommitThread {
    if (connection === undefined) throw new StoreFault('closed');
    thread ??= openCommitThread(path, workerUrl);
    return thread;
  }

  // Started when the process has come up, so that a start does not wait for it, and no first append either.
  setTimeout(() => connection !== undefined && commits(), threadStartMs).unref();

  const current = (): Connection => {
    if (connection === undefined) throw new StoreFault('closed');
    return connection;
  };

  async function closeAll(): Promise<void> {
    const [oldThread, oldConnection] = [thread, connection];
    [thread, connection] = [undefined, undefined];
    // A thread that hangs in a system call may never end: it is told to, not waited for.
    oldThread?.close().catch(() => {});
    oldConnection?.close();
  }

  return {
    read: readsOf(current).read,
    apart: true,
    write: async (statements, deadline) => commits().commit(statements, deadline),
    poll: () => thread?.poll(),
    blank: async (column, deadline) => commits().erase([blankStatement(column)], deadline),
    async reopen(deadline: Deadline) {
      await closeAll();
      connection = openFile(path, vkey, open, true);
      await commits().settle(deadline);
    },
    async close() {
      const [oldThread, oldConnection] = [thread, connection];
      [thread, connection] = [undefined, undefined];
      await oldThread?.close();
      oldConnection?.close();
    },
  };
}
