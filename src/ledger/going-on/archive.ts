import { createHash } from 'node:crypto';
import { toUtf8 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { originOf } from '../generation.ts';
import type { Ledger, LogReader, Texts } from '../ledger.ts';
import type { EndedLog } from '../log-store.ts';
import { hashesAt, tilePath, tileWidth } from '../tree/tile.ts';
import { unavailable } from '../unavailable.ts';

/** Where closed logs are put: a folder or a bucket. Putting the same again is harmless, at the same time as well. */
export interface Shelf {
  /** Which it is among all: how far it was filled is remembered of each by itself. */
  readonly name: string;
  /** @throws ShelfTaken where other bytes lie there: nothing is overwritten */
  put(path: string, bytes: Uint8Array, deadline: Deadline): Promise<void>;
  /** Whether it lies there with these bytes; undefined: it is not given out. */
  has(path: string, bytes: Uint8Array, deadline: Deadline): Promise<boolean | undefined>;
}

/** Thrown for a file of an archive that is there with other bytes: it is of another log. */
export class ShelfTaken extends Error {
  override readonly name = 'ShelfTaken';
  constructor(readonly path: string) {
    super(`${path} is there with other bytes`);
  }
}

/** A log of which the closed ones before it can be archived. */
export interface Archivable {
  /** Of the log, its shard included, without a generation. */
  readonly origin: string;
  /** What the folders of its closed logs begin with: `0` of a shard, nothing of a log that is alone. */
  readonly prefix: string;
  readonly reader: LogReader;
  readonly texts: Texts;
}

/** The logs of a ledger that can be archived: none where they are elsewhere. */
export function archivableOf(ledger: Ledger): Archivable[] {
  return (ledger.shards ?? [ledger]).flatMap(({ origin, reader, texts }, shard) => {
    if (reader === undefined || texts === undefined) return [];
    return [{ origin, reader, texts, prefix: ledger.shards === undefined ? '' : String(shard) }];
  });
}

/** How long archiving may go on, and who hears of it. */
export interface ArchiveTurn {
  /** Of the next read or write. */
  deadline(): Deadline;
  /** Whether to look that what was put there is there, also where there is nothing to put. */
  readonly look?: boolean;
  /** Whether there is time for another piece; where there is none, how far it is gets written down. */
  more(): boolean;
  /** Hears how many closed logs are not whole there yet, and which one has just become so. */
  tell?(behind: number, finished?: ArchivedLog): void;
}

export interface ArchivedLog {
  /** Its origin. */
  readonly log: string;
  readonly size: number;
}

/** `whole`: every closed log is there; `more`: the turn was over before; `aside`: somebody else fills the same shelf. */
export type Archived = 'whole' | 'more' | 'aside';

/** How far a ledger's closed logs have been archived, kept as a text beside it. */
interface Cursor {
  readonly generation: number;
  /** Tiles of all levels, the lowest first, or `whole`. */
  readonly tiles: number;
}

const whole = -1;

/** A shelf's name may be longer than a text's may. */
const cursorName = ({ name }: Shelf): string =>
  `archive:${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;

/** Tiles between two notes of how far it is. */
const stride = 64;
/** Tiles on their way at once; they are read one after the other. */
const atOnce = 4;

/** How often another may have moved on meanwhile: each time it has put tiles that need not be put again. */
const mostAside = 1_000;

/** A log in this process is read on its only thread: an append waits for one tile at most. */
const yieldTurn = () => new Promise<void>((resolve) => setTimeout(resolve));

/**
 * Puts all closed logs of a ledger on a shelf, however long that takes; gives those that this call finished. Each read or
 * write has a deadline of its own.
 */
export async function archiveClosed(ledger: Ledger, shelf: Shelf, deadline: () => Deadline): Promise<ArchivedLog[]> {
  const done: ArchivedLog[] = [];
  const tell = (_: number, finished?: ArchivedLog) => {
    if (finished !== undefined) done.push(finished);
  };
  for (const log of archivableOf(ledger)) {
    // Who else fills the same shelf gets on with it, and what that one did is passed over.
    const turn: ArchiveTurn = { deadline, look: true, more: () => true, tell };
    for (let tried = 1; (await archiveLog(log, shelf, turn)) === 'aside'; tried++)
      if (tried === mostAside) throw unavailable('archive_contended');
  }
  return done;
}

/**
 * Puts the closed logs before a log on a shelf as C2SP tlog-tiles, each under `[<shard>]~<generation>/`, its checkpoint
 * last. Goes on where an earlier turn stopped, whoever's it was.
 */
export async function archiveLog(from: Archivable, shelf: Shelf, turn: ArchiveTurn): Promise<Archived> {
  const { reader, texts, origin } = from;
  const { ended } = await reader.head(turn.deadline());
  const name = cursorName(shelf);
  let text = await texts.read(name, turn.deadline());
  const noted = readCursor(text);
  const isOpen =
    ({ generation, tiles }: Cursor) =>
    (log: EndedLog) =>
      log.generation > generation || (log.generation === generation && tiles !== whole);
  const last = ended.findLast((log) => !isOpen(noted)(log));
  const looks = turn.look === true || ended.some(isOpen(noted));
  const gone = looks && last !== undefined && (await isGone(from, shelf, last, turn));
  const { generation, tiles } = gone ? nowhere : noted;
  const open = ended.filter(isOpen({ generation, tiles }));

  /** false: another has moved it meanwhile. */
  async function move(to: Cursor): Promise<boolean> {
    const next = `${to.generation} ${to.tiles}`;
    if (!(await texts.write(name, text, next, turn.deadline()))) return false;
    text = next;
    return true;
  }

  turn.tell?.(open.length);
  for (const [at, log] of open.entries()) {
    const begun = log.generation === generation ? tiles : 0;
    const outcome = await archiveOne({ from, shelf, log, turn, move }, begun);
    if (outcome !== 'whole') return outcome;
    turn.tell?.(open.length - at - 1, { log: originOf(origin, log.generation), size: log.size });
  }
  return 'whole';
}

interface Archiving {
  readonly from: Archivable;
  readonly shelf: Shelf;
  readonly log: EndedLog;
  readonly turn: ArchiveTurn;
  readonly move: (to: Cursor) => Promise<boolean>;
}

async function archiveOne({ from, shelf, log, turn, move }: Archiving, begun: number): Promise<Archived> {
  const { reader, prefix } = from;
  const { generation, size } = log;
  const folder = `${prefix}~${generation}`;
  const put = (path: string, bytes: Uint8Array) => shelf.put(`${folder}/${path}`, bytes, turn.deadline());
  let noted = begun;
  for (let tiles = begun; ; ) {
    if (!turn.more()) return tiles === noted || (await move({ generation, tiles })) ? 'more' : 'aside';
    const some = tilesFrom(size, tiles, atOnce);
    if (some.length === 0) break;
    try {
      const read: TileBytes[] = [];
      for (const tile of some) {
        read.push(await readTile(tile));
        await yieldTurn();
      }
      await Promise.all(read.map(putTile));
    } catch (error) {
      if (tiles > noted) await move({ generation, tiles }).catch(() => false);
      throw error;
    }
    tiles += some.length;
    if (tiles - noted < stride) continue;
    if (!(await move({ generation, tiles }))) return 'aside';
    noted = tiles;
  }
  await put('checkpoint', toUtf8(await reader.checkpoint(turn.deadline(), generation)));
  return (await move({ generation, tiles: whole })) ? 'whole' : 'aside';

  async function readTile(tile: Tile): Promise<TileBytes> {
    const { level, n, width } = tile;
    const hashes = await reader.tile(level, n, width, turn.deadline(), generation);
    if (hashes === undefined) throw unavailable('hashes_missing');
    if (level > 0) return { tile, hashes };
    const bundle = await reader.bundle(n, width, turn.deadline(), generation);
    if (bundle === undefined) throw unavailable('entries_missing');
    return { tile, hashes, bundle };
  }

  async function putTile({ tile: { level, n, width }, hashes, bundle }: TileBytes): Promise<void> {
    if (bundle !== undefined) await put(tilePath('entries', n, width), bundle);
    await put(tilePath(level, n, width), hashes);
  }
}

interface Tile {
  readonly level: number;
  readonly n: number;
  readonly width: number;
}

interface TileBytes {
  readonly tile: Tile;
  readonly hashes: Uint8Array;
  /** Of the entries, where it is of the lowest level. */
  readonly bundle?: Uint8Array;
}

/** Up to `count` of a log's tiles after the first `skip`, level after level. */
function tilesFrom(size: number, skip: number, count: number): Tile[] {
  const found: Tile[] = [];
  let before = 0;
  for (let level = 0; hashesAt(size, level) > 0; level++) {
    const hashes = hashesAt(size, level);
    const tiles = Math.ceil(hashes / tileWidth);
    for (let n = Math.max(0, skip - before); n < tiles && found.length < count; n++)
      found.push({ level, n, width: Math.min(tileWidth, hashes - n * tileWidth) });
    before += tiles;
  }
  return found;
}

/** Whether what was put last is not there: another disk or bucket may have its name by now. */
async function isGone({ reader, prefix }: Archivable, shelf: Shelf, { generation }: EndedLog, turn: ArchiveTurn) {
  const checkpoint = toUtf8(await reader.checkpoint(turn.deadline(), generation));
  return (await shelf.has(`${prefix}~${generation}/checkpoint`, checkpoint, turn.deadline())) === false;
}

const nowhere: Cursor = { generation: 0, tiles: whole };

function readCursor(text: string | undefined): Cursor {
  if (text === undefined) return nowhere;
  const [generation = 0, tiles = 0] = text.split(' ').map(Number);
  // Of what is none, nothing would ever be put there.
  return Number.isSafeInteger(generation) && Number.isSafeInteger(tiles) ? { generation, tiles } : nowhere;
}
