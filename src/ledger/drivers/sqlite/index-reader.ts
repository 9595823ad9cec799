// Reads what an index is to be given from one ledger file, on a thread of its own. Bundled for that, and started by its path.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { StoreFault } from '../../log-store.ts';
import { rowOf } from '../../questions/index-row.ts';
import { batchOf } from '../../questions/sql-index-rows.ts';
import { sqlReads } from '../../sql/reads.ts';
import { comeAfterRequests } from './behind.mjs';
import { openDatabase, openFileToRead, readsOf } from './file.ts';
import type { ToRead } from './index-reading.ts';

comeAfterRequests();

const { path, ending } = workerData as { readonly path: string; readonly ending: Int32Array };
const port = parentPort as MessagePort;
const connection = openFileToRead(path, openDatabase);
const { entries } = sqlReads(readsOf(() => connection));

port.on('message', async ({ from, to, forgotten }: ToRead) => {
  // Told so by the main thread, which terminates nobody inside SQLite: that would end the process.
  if (Atomics.load(ending, 0) !== 0) process.exit();
  try {
    port.postMessage({ batch: batchOf((await entries(from, to)).map(rowOf), new Set(forgotten)) });
  } catch (error) {
    port.postMessage({ fault: error instanceof StoreFault ? error.reason : 'thread_failed' });
  }
});
