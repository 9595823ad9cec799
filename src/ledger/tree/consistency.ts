import { foldRange, type NodeAt, rangeNodes } from './merkle.ts';
import { type ReadHashes, readNode } from './tile.ts';

/**
 * The consistency proof of RFC 9162 section 2.1.4.1 as what must be read for it: each step is one hash, as the perfect
 * subtrees it consists of (more than one only at the ragged right edge).
 *
 * @throws Error unless 0 < oldSize <= newSize: of the empty tree there is nothing to prove
 */
export function consistencyPath(oldSize: number, newSize: number): NodeAt[][] {
  if (oldSize < 1 || oldSize > newSize) throw new Error('no such older tree');
  return subproof(oldSize, 0, newSize, true);
}

/** SUBPROOF(m, D[from, to), whole). */
function subproof(m: number, from: number, to: number, whole: boolean): NodeAt[][] {
  const n = to - from;
  if (m === n) return whole ? [] : [nodesOf(from, to)];
  const k = 2 ** (Math.ceil(Math.log2(n)) - 1);
  return m <= k
    ? [...subproof(m, from, from + k, whole), nodesOf(from + k, to)]
    : [...subproof(m - k, from + k, to, false), nodesOf(from, from + k)];
}

/** The perfect subtrees of the leaves [from, to), largest first; `from` is where a subtree that wide begins. */
const nodesOf = (from: number, to: number): NodeAt[] =>
  rangeNodes(to - from).map(({ level, index }) => ({ level, index: index + from / 2 ** level }));

/** Its hashes, of the tree that these are read from. */
export const readConsistencyProof = (read: ReadHashes, oldSize: number, newSize: number): Promise<Uint8Array[]> =>
  Promise.all(
    consistencyPath(oldSize, newSize).map(async (step) =>
      foldRange(await Promise.all(step.map((node) => readNode(read, node)))),
    ),
  );
