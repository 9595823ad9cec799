import { openCheckpoint } from '../ledger/checkpoint.ts';
import type { Head, StoredEntry } from '../ledger/log-store.ts';
import { leafHash } from '../ledger/merkle.ts';
import { noteVerifier } from '../ledger/note.ts';
import { issuanceOf, type LedgerRecord, parseRecord, RecordError } from '../ledger/record.ts';
import { hashesAt, tilePath, tileWidth } from '../ledger/tile.ts';
import type { VerifySource } from '../ledger/verify-source.ts';
import { fromUtf8 } from '../lib/bytes.ts';
import { exit, Failure } from './failure.ts';

/** Reads one file of a published log, such as `checkpoint` or `tile/entries/000.p/5`. @throws Failure */
export type ReadPublished = (path: string) => Promise<Uint8Array>;

/**
 * A log as it is published (C2SP tlog-tiles): no tables, no disclosures, and of the checkpoints only the newest.
 *
 * @throws NoteError for a checkpoint that is not this key's
 */
export async function publishedSource(read: ReadPublished, key: string): Promise<VerifySource> {
  const checkpoint = fromUtf8(await read('checkpoint'));
  const { size, root } = openCheckpoint(noteVerifier(key), checkpoint);
  const head: Head = { generation: 1, base: 0, ended: [], size, root, range: [], epoch: 0, checkpoint };

  /** Tiles that hold [from, to) of a level that has `count`, each as wide as the log is there. */
  async function tiles(level: number | 'entries', from: number, to: number, count: number): Promise<Uint8Array[]> {
    const read: Promise<Uint8Array>[] = [];
    for (let n = Math.floor(from / tileWidth); n * tileWidth < Math.min(to, count); n++)
      read.push(tile(level, n, Math.min(tileWidth, count - n * tileWidth)));
    return Promise.all(read);
  }

  const tile = (level: number | 'entries', n: number, width: number) => read(tilePath(level, n, width));

  return {
    key: async () => key,
    head: async () => head,
    async entries(from, to) {
      const records = (await tiles('entries', from, to, size)).flatMap(readBundle);
      const first = Math.floor(from / tileWidth) * tileWidth;
      return records
        .slice(from - first, Math.min(to, size) - first)
        .map((record, at) => entryOf(record, from + at, size));
    },
    checkpoints: async () => (size === 0 ? [] : [{ size, note: checkpoint }]),
    async subtrees(_base, level, from, to) {
      const hashes = (await tiles(level, from, to, hashesAt(size, level))).flatMap(splitHashes);
      const first = Math.floor(from / tileWidth) * tileWidth;
      return hashes.slice(from - first, to - first).map((hash, at) => ({ level, index: from + at, hash }));
    },
  };
}

function readBundle(bundle: Uint8Array): string[] {
  const bytes = Buffer.from(bundle);
  const records: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 <= bytes.length ? at + 2 + bytes.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw new Failure(exit.negative, 'an entry bundle is cut short');
    records.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return records;
}

function splitHashes(tile: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.floor(tile.length / 32) }, (_, at) => tile.subarray(at * 32, at * 32 + 32));
}

/** What a table would say beside the record is what the record says; a malformed one is for verify to find. */
function entryOf(record: string, index: number, tree: number): StoredEntry {
  const parsed = tryParse(record);
  return {
    index,
    id: parsed?.id ?? '',
    type: parsed?.type ?? 'failure',
    issuance: (parsed && issuanceOf(parsed)) ?? null,
    writer: parsed?.writer.name ?? '',
    record,
    disclosure: null,
    leaf: leafHash(record),
    tree,
  };
}

function tryParse(record: string): LedgerRecord | undefined {
  try {
    return parseRecord(record);
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}
