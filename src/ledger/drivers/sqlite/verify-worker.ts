// Reads pages of one ledger file to be verified, on a thread of its own. Bundled for that, and started by its path.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { StoreFault } from '../../log-store.ts';
import { openPages, type PageSpan } from '../../verify/page.ts';
import { sqlVerifySource } from '../../verify/source.ts';
import { openDatabase, openFileToRead, readsOf } from './file.ts';

const { path, ending } = workerData as { readonly path: string; readonly ending: Int32Array };
const port = parentPort as MessagePort;
const connection = openFileToRead(path, openDatabase);
const read = openPages(sqlVerifySource(readsOf(() => connection)));

port.on('message', async (span: PageSpan) => {
  // Told so by the main thread, which terminates nobody inside SQLite: that would end the process.
  if (Atomics.load(ending, 0) !== 0) process.exit();
  try {
    const facts = await read(span);
    const { leaves, nodes = leaves, trees, records } = facts;
    const moved = [leaves, nodes, trees, records.places, records.own].map(({ buffer }) => buffer as ArrayBuffer);
    port.postMessage({ facts }, [...new Set(moved)]);
  } catch (error) {
    port.postMessage({ fault: error instanceof StoreFault ? error.reason : 'thread_failed' });
  }
});
