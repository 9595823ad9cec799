import { describe, expect, test } from 'vitest';
import { consistencyPath, readConsistencyProof } from '../../../src/ledger/tree/consistency.ts';
import { foldRange, leafHash, nodeHash, rangeNodes, verifyConsistency } from '../../../src/ledger/tree/merkle.ts';
import type { ReadHashes } from '../../../src/ledger/tree/tile.ts';

const most = 600;
const leaves = Array.from({ length: most }, (_, at) => leafHash(`entry ${at}`));

/** Every level of the whole tree's perfect subtrees. */
const levels = [leaves];
for (let level = 0; (levels[level] as Uint8Array[]).length > 1; level++) {
  const below = levels[level] as Uint8Array[];
  levels.push(
    Array.from({ length: Math.floor(below.length / 2) }, (_, at) =>
      nodeHash(below[2 * at] as Uint8Array, below[2 * at + 1] as Uint8Array),
    ),
  );
}
const read: ReadHashes = async (tileLevel, from, to) => (levels[tileLevel * 8] as Uint8Array[]).slice(from, to);
const rootOf = (size: number) =>
  foldRange(rangeNodes(size).map(({ level, index }) => (levels[level] as Uint8Array[])[index] as Uint8Array));

describe('a consistency proof', () => {
  test('shows of every two sizes up to 40 that the larger tree begins with the smaller', async () => {
    for (let size = 1; size <= 40; size++)
      for (let old = 1; old <= size; old++) {
        const proof = await readConsistencyProof(read, old, size);
        expect(verifyConsistency(old, size, proof, rootOf(old), rootOf(size)), `${old} in ${size}`).toBe(true);
      }
  });

  test('is read from tiles where the tree has more than one', async () => {
    for (const [old, size] of [
      [1, most],
      [255, 256],
      [256, 512],
      [257, 511],
      [300, 600],
      [511, 600],
    ] as const) {
      const proof = await readConsistencyProof(read, old, size);
      expect(verifyConsistency(old, size, proof, rootOf(old), rootOf(size)), `${old} in ${size}`).toBe(true);
    }
  });

  test('shows nothing of another tree', async () => {
    const proof = await readConsistencyProof(read, 11, 30);
    expect(verifyConsistency(11, 30, proof, rootOf(12), rootOf(30))).toBe(false);
    expect(verifyConsistency(11, 30, proof, rootOf(11), rootOf(31))).toBe(false);
  });

  test('is of trees that have grown, and of none that is empty', () => {
    expect(consistencyPath(7, 7)).toEqual([]);
    expect(() => consistencyPath(0, 7)).toThrow('older');
    expect(() => consistencyPath(8, 7)).toThrow('older');
  });
});
