import { equalBytes } from '../../lib/bytes.ts';
import type { Head, LogStore } from '../log-store.ts';
import { openCheckpoint } from '../tree/checkpoint.ts';
import { foldRange, leafHash } from '../tree/merkle.ts';
import { NoteError, type NoteVerifier } from '../tree/note.ts';
import { hashesOf, readRange, tileWidth } from '../tree/tile.ts';
import { endOf } from './draft.ts';

/** Thrown for a log whose stored parts contradict each other; it takes no append until somebody has looked. */
export class DamagedLog extends Error {
  override readonly name = 'DamagedLog';
  constructor(what: string) {
    super(`the log is damaged: ${what}; run hallpass ledger verify`);
  }
}

/** Whether the head row agrees with itself and with the checkpoint under our key. @throws DamagedLog */
export function checkSigned(head: Head, verifier: NoteVerifier): void {
  if (!equalBytes(foldRange(head.range), head.root)) throw new DamagedLog('the head row contradicts itself');
  if (head.size === 0) return;
  const { size, root } = openOwn(head.checkpoint, verifier);
  if (size !== head.size || !equalBytes(root, head.root)) throw new DamagedLog('the checkpoint is not of the head');
}

/**
 * Computes the head again from what is stored: the last entries from their records, the rest from the hashes of
 * complete tiles.
 *
 * @throws DamagedLog
 */
export async function checkHead(store: LogStore, head: Head, verifier: NoteVerifier): Promise<void> {
  checkSigned(head, verifier);
  const from = Math.max(0, Math.floor((head.size - 1) / tileWidth) * tileWidth);
  const count = head.size - from;
  const read = await store.entries(head.base + from, head.base + head.size + 1);
  // Another process may have appended since the head was read.
  const moved = read.length > count && endOf(await store.head()) > endOf(head);
  const last = moved ? read.slice(0, count) : read;
  if (last.length !== count) throw new DamagedLog('entries are missing or too many');
  for (const { record, leaf, index } of last)
    if (!equalBytes(leafHash(record), leaf)) throw new DamagedLog(`entry ${index} was changed`);
  if (!equalBytes(foldRange(await readRange(hashesOf(store, head.base), head.size)), head.root))
    throw new DamagedLog('the stored hashes do not make the head');
}

/** Whether the log still begins with the tree that was acknowledged last. @throws DamagedLog */
export async function checkGrown(
  store: LogStore,
  head: Head,
  acknowledged: Pick<Head, 'base' | 'size' | 'root'>,
): Promise<void> {
  if (endOf(head) < endOf(acknowledged)) throw new DamagedLog('it has lost entries');
  const known = await readRange(hashesOf(store, acknowledged.base), acknowledged.size);
  if (!equalBytes(foldRange(known), acknowledged.root)) throw new DamagedLog('its past was changed');
}

function openOwn(note: string, verifier: NoteVerifier): { size: number; root: Uint8Array } {
  try {
    return openCheckpoint(verifier, note);
  } catch (error) {
    throw new DamagedLog(`its checkpoint does not verify (${error instanceof NoteError ? error.reason : 'malformed'})`);
  }
}
