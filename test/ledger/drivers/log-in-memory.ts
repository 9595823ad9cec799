import { signCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { inclusionProof, leafHash, nodeHash } from '../../../src/ledger/tree/merkle.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { formatProof } from '../../../src/ledger/tree/proof.ts';

/** A log without storage or checks: enough to answer appends truly, or with one thing wrong. */
export function logInMemory(origin: string, seed = new Uint8Array(32).fill(1)) {
  const signer = noteSigner(origin, seed);
  const leaves: Uint8Array[] = [];
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? (leaves[index] as Uint8Array) : nodeHash(node(level - 1, index * 2), node(level - 1, index * 2 + 1));
  const root = (from: number, to: number): Uint8Array => {
    if (to - from === 1) return leaves[from] as Uint8Array;
    let split = 1;
    while (split * 2 < to - from) split *= 2;
    return nodeHash(root(from, from + split), root(from + split, to));
  };
  return {
    vkey: signer.vkey,
    /** Appends, and proves each record in a tree of `size` entries: the newest, unless an older one is asked for. */
    append(records: readonly string[], size?: number) {
      const first = leaves.length;
      for (const record of records) leaves.push(leafHash(record));
      return records.map((_, at) => this.receipt(first + at, size));
    },
    receipt(index: number, size = leaves.length) {
      const checkpoint = signCheckpoint(signer, size, root(0, size));
      const path = inclusionProof(index, size, node);
      return { log: origin, index, proof: formatProof({ index, path, checkpoint }) };
    },
    size: () => leaves.length,
  };
}
