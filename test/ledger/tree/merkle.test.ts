import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyRoot,
  extend,
  foldRange,
  inclusionProof,
  inclusionProofs,
  leafHash,
  nodeHash,
  rangeNodes,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/ledger/tree/merkle.ts';
import { formatProof, proofsIn } from '../../../src/ledger/tree/proof.ts';
import { readInclusionProof, readRange, tileWidth } from '../../../src/ledger/tree/tile.ts';
import { vectorFiles, vectors } from '../vectors.ts';

/** RFC 6962 section 2.1, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot;
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

function naivePath(index: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length <= 1) return [];
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return index < k
    ? [...naivePath(index, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(index - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}

const leaves = Array.from({ length: 1_100 }, (_, index) => leafHash(`entry ${index}`));
const rangeOf = (size: number) =>
  rangeNodes(size).map(({ level, index }) => naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)));

describe('the tree', () => {
  it('has the roots of RFC 6962 at every size from 0 to 1100', () => {
    let range: readonly Uint8Array[] = [];
    for (let size = 0; size <= 1_100; size++) {
      if (size % 37 === 0 || [1, 2, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025].includes(size))
        expect(foldRange(range)).toEqual(naiveRoot(leaves.slice(0, size)));
      range = extend(size, range, leaves.slice(size, size + 1)).range;
    }
  });

  it('proves new leaves from the compact range alone, as the naive tree does', () => {
    fc.assert(
      fc.property(fc.nat(600), fc.integer({ min: 1, max: 400 }), fc.nat(), (old, added, pick) => {
        const grown = extend(old, rangeOf(old), leaves.slice(old, old + added));
        const all = leaves.slice(0, old + added);
        const index = old + (pick % added);
        const proof = inclusionProof(index, grown.size, grown.node);
        expect(grown.root).toEqual(naiveRoot(all));
        expect(proof).toEqual(naivePath(index, all));
        expect(verifyInclusion(all[index] as Uint8Array, index, grown.size, proof, grown.root)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('proves all leaves of a batch together as each by itself, whatever they share', () => {
    fc.assert(
      fc.property(
        fc.nat(300),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 60 }),
        (old, added, stride) => {
          const grown = extend(old, rangeOf(old), leaves.slice(old, old + added));
          const together = inclusionProofs(grown.size, grown.node);
          const proofOf = proofsIn(grown, 'checkpoint');
          for (let index = grown.size - 1; index >= old; index -= stride) {
            const path = naivePath(index, leaves.slice(0, old + added));
            expect(together(index)).toEqual(path);
            expect(proofOf(index)).toBe(formatProof({ index, path, checkpoint: 'checkpoint' }));
          }
          expect(() => together(grown.size)).toThrow('outside the tree');
        },
      ),
      { numRuns: 10 },
    );
  });

  it('says which tiles a batch completed, each once', () => {
    const completed = new Map<number, Uint8Array>();
    let range: readonly Uint8Array[] = [];
    for (let size = 0; size < 1_100; ) {
      const grown = extend(size, range, leaves.slice(size, size + 1 + ((size * 7) % 300)));
      const { first, hashes } = grown.completed(8);
      hashes.forEach((hash, at) => {
        expect(completed.has(first + at)).toBe(false);
        completed.set(first + at, hash);
      });
      ({ size, range } = grown);
    }
    expect([...completed.keys()]).toEqual([0, 1, 2, 3]);
    for (const [index, hash] of completed)
      expect(hash).toEqual(naiveRoot(leaves.slice(index * tileWidth, (index + 1) * tileWidth)));
  });

  it('proves old entries from tiles, at every size', async () => {
    const read = async (level: number, from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => {
        const width = tileWidth ** level;
        return naiveRoot(leaves.slice((from + at) * width, (from + at + 1) * width));
      });
    for (const [index, size] of [
      [0, 1],
      [0, 2],
      [3, 700],
      [255, 257],
      [256, 257],
      [5, 1100],
      [600, 1025],
      [1024, 1025],
    ] as const)
      expect(await readInclusionProof(read, index, size)).toEqual(naivePath(index, leaves.slice(0, size)));
    expect(foldRange(await readRange(read, 1_099))).toEqual(naiveRoot(leaves.slice(0, 1_099)));
  });

  it('refuses every proof with one bit, hash, index or size changed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), fc.nat(255), (size, pick, bit) => {
        const all = leaves.slice(0, size);
        const index = pick % size;
        const [leaf, proof, root] = [all[index] as Uint8Array, naivePath(index, all), naiveRoot(all)];
        const broken = proof.map((hash) => Uint8Array.from(hash));
        const at = pick % broken.length;
        (broken[at] as Uint8Array)[bit % 32] = ((broken[at] as Uint8Array)[bit % 32] as number) ^ (1 << (bit % 8));
        expect(verifyInclusion(leaf, index, size, broken, root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, proof.slice(1), root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, [...proof, root], root)).toBe(false);
        expect(verifyInclusion(leaf, (index + 1) % size, size, proof, root)).toBe(false);
        expect(verifyInclusion(leaf, size, size, proof, root)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });
});

describe.skipIf(vectors === undefined)('the public Merkle vectors (HALLPASS_VECTORS)', () => {
  const folder = join(vectors ?? '', 'merkle/testdata');
  const bytes = (text: string) => Buffer.from(text, 'base64');

  it('inclusion: every case as its file says', () => {
    const files = vectorFiles(join(folder, 'inclusion'));
    expect(files.length).toBe(98);
    for (const file of files) {
      const { leafIdx, treeSize, root, leafHash: leaf, proof, wantErr } = JSON.parse(readFileSync(file, 'utf8'));
      const ok = verifyInclusion(bytes(leaf), leafIdx, treeSize, (proof ?? []).map(bytes), bytes(root));
      expect(ok, file).toBe(!wantErr);
    }
  });

  it('consistency: every case as its file says', () => {
    const files = vectorFiles(join(folder, 'consistency'));
    expect(files.length).toBe(98);
    for (const file of files) {
      const { size1, size2, root1, root2, proof, wantErr } = JSON.parse(readFileSync(file, 'utf8'));
      const ok = verifyConsistency(size1, size2, (proof ?? []).map(bytes), bytes(root1), bytes(root2));
      expect(ok, file).toBe(!wantErr);
    }
  });

  it('has a folder to read', () => {
    expect(readdirSync(folder).length).toBeGreaterThan(0);
  });
});
