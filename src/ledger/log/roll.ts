import { toBase64Url } from '../../lib/bytes.ts';
import { instantMs } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import { type Generations, originOf } from '../generation.ts';
import type { RollRequest } from '../ledger.ts';
import type { Change, Head, StoredEntry } from '../log-store.ts';
import { type LedgerRecord, recordText, type Writer } from '../records/record.ts';
import { type Checkpoint, signCheckpoint } from '../tree/checkpoint.ts';
import { extend, type Grown, leafHash } from '../tree/merkle.ts';
import type { NoteSigner } from '../tree/note.ts';
import { completedSubtrees } from './change.ts';

export interface RollContext {
  readonly now: number;
  readonly random: (bytes: number) => Uint8Array;
  readonly writer: Writer;
  /** The ledger's own origin. */
  readonly origin: string;
  readonly signers: Generations;
}

type Facts = Pick<LedgerRecord, 'state' | 'log' | 'size' | 'root' | 'kept' | 'reason'>;

/** A log with one entry more. */
interface Longer {
  readonly entry: StoredEntry;
  readonly grown: Grown;
  readonly note: string;
}

/**
 * Plans the one commit by which a log ends and its successor begins. A log that ends in peace says so in its own last
 * entry; one of which a larger tree is known elsewhere, or may be, gets no entry any more, as what stood there is lost:
 * the successor's first record alone says where it ended and how much of it was kept.
 */
export function rollOf(
  head: Head,
  { lost, reason }: Pick<RollRequest, 'lost' | 'reason'>,
  context: RollContext,
): Change {
  const { origin, signers } = context;
  const { generation, base, range, root, size } = head;
  const old = { signer: signers.of(generation).signer, base, range, size };
  const next = signers.of(generation + 1).signer;
  const ending =
    lost === undefined
      ? longer(old, { state: 'end', log: originOf(origin, generation + 1), reason }, context)
      : undefined;
  const ended = { generation, base, size: ending?.grown.size ?? size };
  // By now there may be more here than there was when it was asked what is lost.
  const tree = lost !== undefined && lost.size > size ? lost : { size: ended.size, root: ending?.grown.root ?? root };
  const commits: Facts = { log: old.signer.name, size: tree.size, root: toBase64Url(tree.root), reason };
  const first: Facts = { state: 'begin', ...commits, ...(lost !== undefined && { kept: size }) };
  const young = { signer: next, base: base + ended.size, range: [], size: 0 };
  const begun = longer(young, first, context);
  return {
    ...nothing(head, context.now),
    head: {
      ...head,
      generation: generation + 1,
      base: young.base,
      ended: [...head.ended, ended],
      size: 1,
      range: begun.grown.range,
      root: begun.grown.root,
      checkpoint: begun.note,
    },
    entries: [...(ending === undefined ? [] : [ending.entry]), begun.entry],
    subtrees: ending === undefined ? [] : completedSubtrees(ending.grown, base),
    checkpoints: [...(ending === undefined ? [] : [checkpointOf(ending)]), checkpointOf(begun)],
    ended: [ended],
  };
}

/** Plans the entry by which a successor says that it has heard of a larger tree of the log it follows. */
export function claimOf(head: Head, { origin, size, root }: Checkpoint, kept: number, context: RollContext): Change {
  const { generation, base, range } = head;
  const log = { signer: context.signers.of(generation).signer, base, range, size: head.size };
  const facts: Facts = { state: 'begin', log: origin, size, root: toBase64Url(root), kept };
  const { entry, grown, note } = longer(log, facts, context);
  return {
    ...nothing(head, context.now),
    head: { ...head, size: grown.size, range: grown.range, root: grown.root, checkpoint: note },
    entries: [entry],
    subtrees: completedSubtrees(grown, base),
    checkpoints: [checkpointOf({ entry, grown, note })],
    ended: [],
  };
}

function longer(
  { signer, base, range, size }: Pick<Head, 'base' | 'range' | 'size'> & { readonly signer: NoteSigner },
  facts: Facts,
  { now, random, writer }: RollContext,
): Longer {
  const record = { v: 1, type: 'roll', id: newUlid(now, random), time: instantMs(now), writer, ...facts } as const;
  const text = recordText(record);
  const leaf = leafHash(text);
  const grown = extend(size, range, [leaf]);
  const entry: StoredEntry = {
    index: base + size,
    id: record.id,
    type: 'roll',
    issuance: null,
    writer: writer.name,
    record: text,
    disclosure: null,
    leaf,
    tree: base + grown.size,
  };
  return { entry, grown, note: signCheckpoint(signer, grown.size, grown.root) };
}

const checkpointOf = ({ entry, note }: Longer): { end: number; note: string } => ({ end: entry.tree, note });

const nothing = ({ base, size, root }: Head, now: number) => ({
  from: { base, size, root },
  issuances: [],
  spent: [],
  seen: [],
  lockdowns: [],
  held: [],
  freed: [],
  now,
});
