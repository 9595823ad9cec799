import { emptyRoot, nodeHash } from '../tree/merkle.ts';
import { tileHeight } from '../tree/tile.ts';

/** Of the log whose tree it is: a root of a 256-wide subtree, of a tile level. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

export interface GrowingTree {
  readonly size: number;
  /** `join`: makes the node over two of a level, where that is not to be done here. */
  add(leaf: Uint8Array, join?: (left: Uint8Array, right: Uint8Array, level: number) => Uint8Array): void;
  root(): Uint8Array;
  /** Roots of the 256-wide subtrees completed since the last call. */
  completed(): readonly Subtree[];
  /** From which it can be grown on. */
  readonly state: TreeState;
}

export interface TreeState {
  readonly size: number;
  /** By level, where there is one. */
  readonly range: readonly (Uint8Array | undefined)[];
}

/** A tree that forgets all but its compact range. */
export function growTree(from: TreeState = { size: 0, range: [] }): GrowingTree {
  const range = [...from.range];
  let { size } = from;
  let done: Subtree[] = [];
  return {
    get size() {
      return size;
    },
    get state() {
      return { size, range: [...range] };
    },
    add(leaf, join = nodeHash) {
      size++;
      let hash = leaf;
      let level = 0;
      for (let left = range[0]; left !== undefined; left = range[level]) {
        hash = join(left, hash, level);
        range[level++] = undefined;
        if (level % tileHeight === 0) done.push({ level: level / tileHeight, index: size / 2 ** level - 1, hash });
      }
      range[level] = hash;
    },
    root() {
      let root: Uint8Array | undefined;
      for (const left of range) if (left !== undefined) root = root === undefined ? left : nodeHash(left, root);
      return root ?? emptyRoot;
    },
    completed() {
      const since = done;
      done = [];
      return since;
    },
  };
}
