import { originOf } from '../../ledger/generation.ts';
import { logNamed, mostShards } from '../../ledger/log-name.ts';
import type { EndedLog, Head, StoredEntry } from '../../ledger/log-store.ts';
import { issuanceOf, type LedgerRecord, parseRecord, RecordError } from '../../ledger/records/record.ts';
import { openCheckpoint } from '../../ledger/tree/checkpoint.ts';
import { noteVerifier, vkeyAs } from '../../ledger/tree/note.ts';
import { hashesAt, tilePath, tileWidth } from '../../ledger/tree/tile.ts';
import type { VerifySource } from '../../ledger/verify/source.ts';
import { fromUtf8 } from '../../lib/bytes.ts';
import { exit, Failure, NotThere } from '../failure.ts';

/** Reads one file of a published log, such as `checkpoint` or `tile/entries/000.p/5`. @throws NotThere, or another Failure */
export type ReadPublished = (path: string) => Promise<Uint8Array>;

/** Where a log lies among those that are published: the one that grows, or an earlier generation; a shard below its number. */
const folderOf = (shard: number | undefined, generation?: number): string => {
  const name = `${shard ?? ''}${generation === undefined ? '' : `~${generation}`}`;
  return name === '' ? '' : `${name}/`;
};

/** Closed every hour, that is eleven years; whoever has the key could serve more without end. */
const usuallyMost = 100_000;

interface PublishedLog extends EndedLog {
  readonly folder: string;
  readonly root: Uint8Array;
  readonly checkpoint: string;
}

/**
 * How many shards lie there; undefined for a ledger of one log.
 *
 * @throws Failure where one is missing before the last of them
 */
export async function shardsPublished(read: ReadPublished): Promise<number | undefined> {
  if ((await tryRead(read, 'checkpoint')) !== undefined || (await tryRead(read, '~1/checkpoint')) !== undefined)
    return undefined;
  const there: boolean[] = [];
  for (let shard = 0; shard < mostShards; shard++) there.push(await isPublished(read, shard));
  const count = there.lastIndexOf(true) + 1;
  const missing = there.indexOf(false);
  if (missing < count && missing >= 0)
    throw new Failure(exit.negative, `shard ${missing} is missing, of at least ${count}`);
  return count === 0 ? undefined : count;
}

const isPublished = async (read: ReadPublished, shard: number): Promise<boolean> =>
  (await tryRead(read, `${folderOf(shard)}checkpoint`)) !== undefined ||
  (await tryRead(read, `${folderOf(shard, 1)}checkpoint`)) !== undefined;

/** Undefined where there is no such file. */
async function tryRead(read: ReadPublished, path: string): Promise<Uint8Array | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (error instanceof NotThere) return undefined;
    throw error;
  }
}

/**
 * A ledger as it is published (C2SP tlog-tiles), or one shard of it: no tables, no disclosures, and of the checkpoints only
 * the newest of each log. An `archive` may have closed logs alone. `key`: of its first log.
 *
 * @throws NoteError for a checkpoint that is not this key's
 */
export async function publishedSource(
  read: ReadPublished,
  key: string,
  {
    shard,
    archive = false,
    mostLogs = usuallyMost,
  }: { readonly shard?: number | undefined; readonly archive?: boolean; readonly mostLogs?: number } = {},
): Promise<VerifySource> {
  const logs = await publishedLogs(read, key, shard, mostLogs);
  const growing = logs.at(-1) as PublishedLog;
  const head: Head = { ...growing, ended: logs.slice(0, -1), range: [], epoch: 0 };

  /** What the tiles have that hold [from, to) of a level that has `count`, each as wide as the log is there. */
  async function tiles<T>(
    log: PublishedLog,
    { level, count }: { readonly level: number | 'entries'; readonly count: number },
    [from, to]: readonly [from: number, to: number],
    split: (tile: Uint8Array, width: number) => T[] | undefined,
  ): Promise<T[]> {
    const tile = async (n: number, width: number) => {
      const path = `${log.folder}${tilePath(level, n, width)}`;
      const parts = split(await read(path), width);
      if (parts === undefined) throw new Failure(exit.negative, `${path} is not a tile of ${width}`);
      return parts;
    };
    const reading: Promise<T[]>[] = [];
    for (let n = Math.floor(from / tileWidth); n * tileWidth < Math.min(to, count); n++)
      reading.push(tile(n, Math.min(tileWidth, count - n * tileWidth)));
    return (await Promise.all(reading)).flat();
  }

  async function entriesOf(log: PublishedLog, from: number, to: number): Promise<StoredEntry[]> {
    const [records, hashes] = await Promise.all([
      tiles(log, { level: 'entries', count: log.size }, [from, to], readBundle),
      tiles(log, { level: 0, count: log.size }, [from, to], splitHashes),
    ]);
    const first = Math.floor(from / tileWidth) * tileWidth;
    const leaves = hashes.slice(from - first, to - first);
    const end = log.base + log.size;
    return records
      .slice(from - first, to - first)
      .map((record, at) => entryOf(record, leaves[at], log.base + from + at, end));
  }

  return {
    key: async () => key,
    closedOnly: archive,
    head: async () => head,
    async entries(from, to) {
      const found: StoredEntry[] = [];
      for (const log of logs) {
        const [first, end] = [Math.max(0, from - log.base), Math.min(log.size, to - log.base)];
        if (first < end) found.push(...(await entriesOf(log, first, end)));
      }
      return found;
    },
    checkpoints: async (from, to) =>
      logs
        .map(({ base, size, checkpoint }) => ({ size: base + size, note: checkpoint }))
        .filter(({ size }) => size > from && size <= to),
    async subtrees(base, level, from, to) {
      const log = logs.find((one) => one.base === base && one.size > 0);
      if (log === undefined) return [];
      const hashes = await tiles(log, { level, count: hashesAt(log.size, level) }, [from, to], splitHashes);
      const first = Math.floor(from / tileWidth) * tileWidth;
      return hashes.slice(from - first, to - first).map((hash, at) => ({ level, index: from + at, hash }));
    },
  };
}

/** Oldest first; each lies where the one before ended. */
async function publishedLogs(
  read: ReadPublished,
  key: string,
  shard: number | undefined,
  mostLogs: number,
): Promise<PublishedLog[]> {
  const line = noteVerifier(key).name;
  const growing = await tryRead(read, `${folderOf(shard)}checkpoint`);
  const logs: PublishedLog[] = [];
  const add = (generation: number, folder: string, checkpoint: string) => {
    if (generation > mostLogs) throw new Failure(exit.negative, `there are more than ${mostLogs} logs`);
    const { size, root } = openCheckpoint(noteVerifier(vkeyAs(key, originOf(line, generation))), checkpoint);
    const before = logs.at(-1);
    const base = before === undefined ? 0 : before.base + before.size;
    logs.push({ generation, base, size, root, folder, checkpoint });
  };
  const path = (generation: number) => `${folderOf(shard, generation)}checkpoint`;
  if (growing === undefined) {
    add(1, folderOf(shard, 1), fromUtf8(await read(path(1))));
    for (let generation = 2; ; generation++) {
      const note = await tryRead(read, path(generation));
      if (note === undefined) return logs;
      add(generation, folderOf(shard, generation), fromUtf8(note));
    }
  }
  const newest = fromUtf8(growing);
  const last = logNamed(line, newest.slice(0, newest.indexOf('\n')))?.generation ?? 1;
  for (let generation = 1; generation < last; generation++) {
    const note = await tryRead(read, path(generation));
    if (note === undefined)
      throw new Failure(
        exit.negative,
        `${path(generation)} is not there, and ${originOf(line, last)} is checked from the first log on`,
        'give the folder that has ~1, ~2 and so on in it, not one of these alone',
      );
    add(generation, folderOf(shard, generation), fromUtf8(note));
  }
  add(last, folderOf(shard), newest);
  return logs;
}

/** Undefined where there are not so many: whoever serves a log could send what never ends. */
function readBundle(bundle: Uint8Array, width: number): string[] | undefined {
  const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const records: string[] = [];
  let at = 0;
  while (at + 2 <= bytes.length && records.length < width) {
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) return undefined;
    records.push(bytes.toString('utf8', at + 2, end));
    at = end;
  }
  return records.length === width && at === bytes.length ? records : undefined;
}

function splitHashes(tile: Uint8Array, width: number): Uint8Array[] | undefined {
  if (tile.length !== width * 32) return undefined;
  return Array.from({ length: width }, (_, at) => tile.subarray(at * 32, at * 32 + 32));
}

/** What a table would say beside the record is what the record says; a malformed one is for verify to find. */
function entryOf(record: string, leaf: Uint8Array | undefined, index: number, tree: number): StoredEntry {
  const parsed = tryParse(record);
  return {
    index,
    id: parsed?.id ?? '',
    type: parsed?.type ?? 'failure',
    issuance: (parsed && issuanceOf(parsed)) ?? null,
    writer: parsed?.writer.name ?? '',
    record,
    disclosure: null,
    // As published, for verify to compare: what others take for the leaf must be this record's.
    leaf: leaf ?? new Uint8Array(),
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
