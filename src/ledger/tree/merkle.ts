import { equalBytes, sha256 } from '../../lib/bytes.ts';

// The tree of RFC 6962 section 2.1. A node (level, index) is the root of the perfect subtree over the leaves
// [index * 2^level, (index + 1) * 2^level). Sizes pass 2^31, so shifts are divisions.

export interface NodeAt {
  readonly level: number;
  readonly index: number;
}

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export const leafHash = (entry: Uint8Array | string): Uint8Array =>
  typeof entry === 'string' ? sha256(`\0${entry}`) : sha256(leafPrefix, entry);

/** Two hashes of 32 bytes under their prefix, put together in one place as hashing is synchronous. */
const pair = new Uint8Array(65);
pair[0] = 0x01;

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== 32 || right.length !== 32) return sha256(nodePrefix, left, right);
  pair.set(left, 1);
  pair.set(right, 33);
  return sha256(pair);
}

/** The root of the tree without leaves. */
export const emptyRoot: Uint8Array = sha256();

const shift = (value: number, bits: number): number => Math.floor(value / 2 ** bits);
const bit = (value: number, at: number): boolean => shift(value, at) % 2 === 1;

/** The perfect subtrees that make up the leaves [0, size), largest first: the compact range. */
export function rangeNodes(size: number): NodeAt[] {
  const nodes: NodeAt[] = [];
  for (let level = 0; shift(size, level) > 0; level++)
    if (bit(size, level)) nodes.unshift({ level, index: shift(size, level) - 1 });
  return nodes;
}

/** The root over subtrees that lie side by side, largest first. */
export function foldRange(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.length === 0 ? emptyRoot : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** A tree that has grown; knows every node that a proof of one of the new leaves needs. */
export interface Grown {
  readonly size: number;
  readonly range: readonly Uint8Array[];
  readonly root: Uint8Array;
  /** The hash of a perfect subtree of the old range or of one completed by the new leaves. @throws Error for another */
  node(level: number, index: number): Uint8Array;
  /** The subtrees of this level that the new leaves completed, first index first. */
  completed(level: number): { readonly first: number; readonly hashes: readonly Uint8Array[] };
}

/** Appends leaves to a tree of which only the compact range is known. */
export function extend(size: number, range: readonly Uint8Array[], leaves: readonly Uint8Array[]): Grown {
  const old = new Map(rangeNodes(size).map(({ level }, at) => [level, range[at] as Uint8Array]));
  const levels: { first: number; hashes: Uint8Array[] }[] = [];
  let added: readonly Uint8Array[] = leaves;
  const grown = size + leaves.length;
  for (let level = 0; shift(grown, level) > 0; level++) {
    const left = old.get(level);
    const hashes = left === undefined ? [...added] : [left, ...added];
    levels.push({ first: shift(size, level) - (left === undefined ? 0 : 1), hashes });
    const parents: Uint8Array[] = [];
    for (let at = 0; at + 1 < hashes.length; at += 2)
      parents.push(nodeHash(hashes[at] as Uint8Array, hashes[at + 1] as Uint8Array));
    added = parents;
  }
  const node = (level: number, index: number): Uint8Array => {
    const known = levels[level];
    const hash = known?.hashes[index - known.first];
    if (hash === undefined) throw new Error(`node ${level}/${index} is not known`);
    return hash;
  };
  const grownRange = rangeNodes(grown).map(({ level, index }) => node(level, index));
  return {
    size: grown,
    range: grownRange,
    root: foldRange(grownRange),
    node,
    completed(level) {
      const { first, hashes } = levels[level] ?? { first: 0, hashes: [] };
      const skip = old.has(level) ? 1 : 0;
      return { first: first + skip, hashes: hashes.slice(skip) };
    },
  };
}

/** A sibling on the way from a leaf to the root; `cut`: the tree ends inside it. */
interface Sibling extends NodeAt {
  readonly cut: boolean;
}

/** The siblings of RFC 6962 section 2.1.1, that of the leaf first. */
function siblings(index: number, size: number): Sibling[] {
  if (index < 0 || index >= size) throw new Error('index outside the tree');
  const path: Sibling[] = [];
  for (let level = 0, at = index, last = size - 1; last > 0; level++, at = shift(at, 1), last = shift(last, 1)) {
    if (at % 2 === 1) path.push({ level, index: at - 1, cut: false });
    else if (at < last) path.push({ level, index: at + 1, cut: at + 1 === last && (at + 2) * 2 ** level > size });
  }
  return path;
}

/** The perfect subtrees below this level at the tree's end, where a sibling is cut off. */
const edgeNodes = (size: number, level: number): NodeAt[] => rangeNodes(size).filter((node) => node.level < level);

/**
 * The inclusion proof of RFC 6962 section 2.1.1 as what must be read for it: each step is one sibling, as the perfect
 * subtrees it consists of (more than one only at the ragged right edge).
 */
export function inclusionPath(index: number, size: number): NodeAt[][] {
  return siblings(index, size).map(({ level, index: at, cut }) =>
    cut ? edgeNodes(size, level) : [{ level, index: at }],
  );
}

/** Hashes of inclusion proofs in one tree, leaf's sibling first: what several share at its ragged edge is hashed once. */
export function inclusionProofs(
  size: number,
  node: (level: number, index: number) => Uint8Array,
): (index: number) => Uint8Array[] {
  const edges = new Map<number, Uint8Array>();
  const edge = (level: number): Uint8Array => {
    const hash = edges.get(level) ?? foldRange(edgeNodes(size, level).map((at) => node(at.level, at.index)));
    edges.set(level, hash);
    return hash;
  };
  return (index) => siblings(index, size).map(({ level, index: at, cut }) => (cut ? edge(level) : node(level, at)));
}

/** Hashes of an inclusion proof, leaf's sibling first. */
export const inclusionProof = (
  index: number,
  size: number,
  node: (level: number, index: number) => Uint8Array,
): Uint8Array[] => inclusionProofs(size, node)(index);

/** Whether `proof` shows that `leaf` is entry `index` of the tree of `size` with this root (RFC 9162 section 2.1.3.2). */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  if (leaf.length !== 32) return false;
  let hash = leaf;
  let at = index;
  let last = size - 1;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [shift(at, 1), shift(last, 1)];
    } else hash = nodeHash(hash, sibling);
    [at, last] = [shift(at, 1), shift(last, 1)];
  }
  return last === 0 && equalBytes(hash, root);
}

/** Whether `proof` shows that the tree of `newSize` begins with the tree of `oldSize` (RFC 9162 section 2.1.4.2). */
export function verifyConsistency(
  oldSize: number,
  newSize: number,
  proof: readonly Uint8Array[],
  oldRoot: Uint8Array,
  newRoot: Uint8Array,
): boolean {
  // Every tree begins with the empty one: such a proof would say nothing.
  if (oldSize < 1 || newSize < oldSize) return false;
  if (oldSize === newSize) return proof.length === 0 && equalBytes(oldRoot, newRoot);
  const whole = Number.isInteger(Math.log2(oldSize));
  const [first, ...rest] = whole ? [oldRoot, ...proof] : proof;
  if (first === undefined || proof.length === 0) return false;
  let at = oldSize - 1;
  let last = newSize - 1;
  while (at % 2 === 1) [at, last] = [shift(at, 1), shift(last, 1)];
  let oldHash = first;
  let newHash = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (at % 2 === 0 && at !== 0) [at, last] = [shift(at, 1), shift(last, 1)];
    } else newHash = nodeHash(newHash, sibling);
    [at, last] = [shift(at, 1), shift(last, 1)];
  }
  return last === 0 && equalBytes(oldHash, oldRoot) && equalBytes(newHash, newRoot);
}
