import { createHash } from 'node:crypto';
import { toUtf8 } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Ledger, LogReader, Texts } from './ledger.ts';
import type { EndedLog } from './log-store.ts';
import { hashesAt, tilePath, tileWidth } from './tile.ts';
import { unavailable } from './wire.ts';

/** Where closed logs are put: a folder or a bucket. Putting the same again is harmless. */
export interface Shelf {
  /** Which it is among all: how far it was filled is remembered of each by itself. */
  readonly name: string;
  /** @throws ShelfTaken where other bytes lie there: nothing is overwritten */
  put(path: string, bytes: Uint8Array, deadline: Deadline): Promise<void>;
}

/** Thrown for a file of an archive that is there with other bytes: it is of another log. */
export class ShelfTaken extends Error {
  override readonly name = 'ShelfTaken';
  constructor(readonly path: string) {
    super(`${path} is there with other bytes`);
  }
}

/** How far a ledger's closed logs have been archived, kept as a text beside it. */
interface Cursor {
  readonly generation: number;
  /** Tiles of its entries, or `whole`. */
  readonly tiles: number;
}

const whole = -1;

/** A shelf's name may be longer than a text's may. */
const cursorOf = ({ name }: Shelf): string => `archive:${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;

/** Tiles between two notes of how far it is. */
const stride = 64;

/**
 * Puts the closed logs of a ledger on a shelf as C2SP tlog-tiles, each under `[<shard>]~<generation>/`, its checkpoint last.
 * Goes on where an earlier call stopped; gives how many logs this one finished.
 */
export async function archiveClosed(ledger: Ledger, shelf: Shelf, deadline: () => Deadline): Promise<number> {
  let finished = 0;
  const logs = ledger.shards ?? [ledger];
  for (const [shard, { reader, texts }] of logs.entries()) {
    if (reader === undefined || texts === undefined) continue;
    const prefix = ledger.shards === undefined ? '' : String(shard);
    const { ended } = await reader.head(deadline());
    const from = await readCursor(texts, cursorOf(shelf), deadline());
    for (const log of ended) {
      const tiles = log.generation === from.generation ? from.tiles : 0;
      if (log.generation < from.generation || tiles === whole) continue;
      await archiveOne({ reader, texts, shelf, log, folder: `${prefix}~${log.generation}`, deadline }, tiles);
      finished++;
    }
  }
  return finished;
}

interface Archiving {
  readonly reader: LogReader;
  readonly texts: Texts;
  readonly shelf: Shelf;
  readonly log: EndedLog;
  readonly folder: string;
  readonly deadline: () => Deadline;
}

async function archiveOne({ reader, texts, shelf, log, folder, deadline }: Archiving, from: number): Promise<void> {
  const { generation, size } = log;
  const count = Math.ceil(size / tileWidth);
  for (let n = from; n < count; n++) {
    const width = Math.min(tileWidth, size - n * tileWidth);
    const bundle = await reader.bundle(n, width, deadline(), generation);
    if (bundle === undefined) throw unavailable('entries_missing');
    await shelf.put(`${folder}/${tilePath('entries', n, width)}`, bundle, deadline());
    await putTile(0, n, width);
    if (n % stride === stride - 1) await writeCursor(texts, cursorOf(shelf), { generation, tiles: n + 1 }, deadline());
  }
  for (let level = 1; hashesAt(size, level) > 0; level++) {
    const hashes = hashesAt(size, level);
    for (let n = 0; n * tileWidth < hashes; n++) await putTile(level, n, Math.min(tileWidth, hashes - n * tileWidth));
  }
  const note = await reader.checkpoint(deadline(), generation);
  await shelf.put(`${folder}/checkpoint`, toUtf8(note), deadline());
  await writeCursor(texts, cursorOf(shelf), { generation, tiles: whole }, deadline());

  async function putTile(level: number, n: number, width: number): Promise<void> {
    const tile = await reader.tile(level, n, width, deadline(), generation);
    if (tile === undefined) throw unavailable('hashes_missing');
    await shelf.put(`${folder}/${tilePath(level, n, width)}`, tile, deadline());
  }
}

async function readCursor(texts: Texts, name: string, deadline: Deadline): Promise<Cursor> {
  const [generation, tiles] = ((await texts.read(name, deadline)) ?? `0 ${whole}`).split(' ').map(Number);
  return { generation: generation ?? 0, tiles: tiles ?? 0 };
}

async function writeCursor(
  texts: Texts,
  name: string,
  { generation, tiles }: Cursor,
  deadline: Deadline,
): Promise<void> {
  const was = await texts.read(name, deadline);
  await texts.write(name, was, `${generation} ${tiles}`, deadline);
}
