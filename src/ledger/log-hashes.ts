import type { Deadline } from '../lib/deadline.ts';
import type { LogReader } from './ledger.ts';
import { emptyRoot, foldRange } from './tree/merkle.ts';
import { type ReadHashes, readRange, tileWidth } from './tree/tile.ts';
import { unavailable } from './unavailable.ts';

/** The hashes of one of a ledger's logs, by way of its tiles; a run of them never crosses one. */
export const hashesIn =
  ({ tile }: Pick<LogReader, 'tile'>, generation: number, deadline: Deadline): ReadHashes =>
  async (level, from, to) => {
    const n = Math.floor(from / tileWidth);
    const bytes = await tile(level, n, to - n * tileWidth, deadline, generation);
    if (bytes === undefined) throw unavailable('tile_missing');
    const hashes: Uint8Array[] = [];
    for (let at = from % tileWidth; at < to - n * tileWidth; at++) hashes.push(bytes.subarray(at * 32, at * 32 + 32));
    return hashes;
  };

/** The root of a log's first `size` entries, of which it has as many. Rejects with Refusal ledger_unavailable. */
export const rootAt = async (
  reader: Pick<LogReader, 'tile'>,
  generation: number,
  size: number,
  deadline: Deadline,
): Promise<Uint8Array> =>
  size === 0 ? emptyRoot : foldRange(await readRange(hashesIn(reader, generation, deadline), size));
