import type { Change, Found } from '../log-store.ts';
import { signCheckpoint } from '../tree/checkpoint.ts';
import { extend, type Grown, leafHash } from '../tree/merkle.ts';
import type { NoteSigner } from '../tree/note.ts';
import { tileHeight } from '../tree/tile.ts';
import type { Plan } from './plan.ts';

/** What one commit writes: the planned entries hashed into the tree, and the checkpoint over it. */
export function changeOf(found: Found, planned: Plan, signer: NoteSigner): { change: Change; grown: Grown } {
  const { generation, base, ended, size, range, root } = found.head;
  const leaves = planned.drafted.map(({ record }) => leafHash(record));
  const grown = extend(size, range, leaves);
  const checkpoint = signCheckpoint(signer, grown.size, grown.root);
  const { issuances, spent, seen, lockdowns, held, freed, now, epoch } = planned;
  const change: Change = {
    from: { base, size, root },
    head: { generation, base, ended, size: grown.size, range: grown.range, root: grown.root, epoch, checkpoint },
    entries: planned.drafted.map((entry, at) => ({
      ...entry,
      leaf: leaves[at] as Uint8Array,
      tree: base + grown.size,
    })),
    subtrees: completedSubtrees(grown, base),
    checkpoints: [{ end: base + grown.size, note: checkpoint }],
    ended: [],
    issuances,
    spent,
    seen,
    lockdowns,
    held,
    freed,
    now,
  };
  return { change, grown };
}

/** Roots of the 256-wide subtrees that became complete. */
export function completedSubtrees(grown: Grown, base: number): Change['subtrees'][number][] {
  const subtrees: Change['subtrees'][number][] = [];
  for (let level = 1; 2 ** (level * tileHeight) <= grown.size; level++) {
    const { first, hashes } = grown.completed(level * tileHeight);
    for (const [at, hash] of hashes.entries()) subtrees.push({ base, level, index: first + at, hash });
  }
  return subtrees;
}
