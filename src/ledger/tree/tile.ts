import { concat } from '../../lib/bytes.ts';
import { foldRange, inclusionPath, type NodeAt, nodeHash, rangeNodes } from './merkle.ts';

// C2SP tlog-tiles: a tile of level L holds 256 nodes of tree level 8 L.

export const tileHeight = 8;
export const tileWidth = 256;

/** Reads stored hashes [from, to) of a tile level; rejects when they are not all there. */
export type ReadHashes = (tileLevel: number, from: number, to: number) => Promise<readonly Uint8Array[]>;

/** The hashes of the log that begins at `base`. */
export const hashesOf =
  (
    store: { hashes(base: number, tileLevel: number, from: number, to: number): Promise<readonly Uint8Array[]> },
    base: number,
  ): ReadHashes =>
  (tileLevel, from, to) =>
    store.hashes(base, tileLevel, from, to);

/** How many hashes the log of `size` has at this tile level. */
export const hashesAt = (size: number, tileLevel: number): number => Math.floor(size / tileWidth ** tileLevel);

/** The hash of any perfect subtree, computed from the tiles. */
export async function readNode(read: ReadHashes, { level, index }: NodeAt): Promise<Uint8Array> {
  const tileLevel = Math.floor(level / tileHeight);
  const width = 2 ** (level - tileLevel * tileHeight);
  let hashes = await read(tileLevel, index * width, (index + 1) * width);
  while (hashes.length > 1) {
    const parents: Uint8Array[] = [];
    for (let at = 0; at < hashes.length; at += 2)
      parents.push(nodeHash(hashes[at] as Uint8Array, hashes[at + 1] as Uint8Array));
    hashes = parents;
  }
  return hashes[0] as Uint8Array;
}

const readNodes = (read: ReadHashes, nodes: readonly NodeAt[]): Promise<Uint8Array[]> =>
  Promise.all(nodes.map((node) => readNode(read, node)));

/** The compact range of the first `size` leaves. */
export const readRange = (read: ReadHashes, size: number): Promise<Uint8Array[]> => readNodes(read, rangeNodes(size));

/** The inclusion proof of an old entry. */
export const readInclusionProof = (read: ReadHashes, index: number, size: number): Promise<Uint8Array[]> =>
  Promise.all(inclusionPath(index, size).map(async (step) => foldRange(await readNodes(read, step))));

/** Log entries as an entry bundle holds them: each behind its length, two bytes, big-endian. */
export function encodeBundle(records: readonly string[]): Uint8Array {
  const parts = records.flatMap((record) => {
    const bytes = Buffer.from(record);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    return [length, bytes];
  });
  return concat(...parts);
}

/** Where C2SP tlog-tiles has a tile: `tile/{level}/{n, three digits a step, all but the last behind an x}[.p/{width}]`. */
export function tilePath(level: number | 'entries', n: number, width: number): string {
  let path = digits(n);
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) path = `x${digits(rest)}/${path}`;
  return `tile/${level}/${path}${width === tileWidth ? '' : `.p/${width}`}`;
}

const digits = (n: number): string => String(n % 1000).padStart(3, '0');
