import { equalBytes } from '../../lib/bytes.ts';
import type { Copied } from '../following.ts';
import type { Generations } from '../generation.ts';
import type { Change, Found, Head, StoredEntry, Wanted } from '../log-store.ts';
import { closingOf } from '../receipts/succession.ts';
import { whoOf } from '../records/disclosure.ts';
import { issuanceOf, keyNameOf, type LedgerRecord, parseRecord, type RecordText } from '../records/record.ts';
import { openCheckpoint, signCheckpoint } from '../tree/checkpoint.ts';
import { emptyRoot, extend, type Grown, leafHash } from '../tree/merkle.ts';
import { completedSubtrees } from './change.ts';
import { add, base, type Draft, endOf, inForceAt, lockdownChanges, over } from './draft.ts';
import { hold } from './holding.ts';
import { bareState, nextState } from './issuance-state.ts';

/** Thrown for a copy that is not of this log; `reason` is a stable word. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
  constructor(readonly reason: string) {
    super(`the copy does not fit: ${reason}`);
  }
}

/**
 * Two copies of half the entries each, where a commit cannot hold them all. Once the whole is known to be right, the tree
 * in its middle may be signed here.
 */
export function halvesOf(copied: Copied): [Copied, Copied] {
  const half = copied.entries.length >> 1;
  const middle = copied.from + half;
  const before = copied.checkpoints.filter(({ end }) => end <= middle);
  if (before.at(-1)?.end !== middle) before.push({ end: middle, note: null });
  return [
    { ...copied, entries: copied.entries.slice(0, half), checkpoints: before },
    {
      ...copied,
      from: middle,
      entries: copied.entries.slice(half),
      checkpoints: copied.checkpoints.filter(({ end }) => end > middle),
    },
  ];
}

/** What must be looked up before a copy can be taken. @throws CopyError */
export function wantedByCopy({ entries }: Copied, now: number): Wanted {
  const records = entries.map(({ record }) => parsed(record));
  const issuances = [...new Set(records.map(issuanceOf).filter((id) => id !== undefined))];
  const names = records.flatMap((record) => [keyNameOf(record), policyNameOf(record)]);
  return {
    ids: issuances,
    issuances,
    spent: [...new Set(records.map(({ once }) => once).filter((key) => key !== undefined))],
    seen: [...new Set(names.filter((name) => name !== undefined))],
    holders: [],
    now,
  };
}

/**
 * Plans the commit that takes entries from another copy of this log, with all that follows from them: only where they
 * make the very trees that the checkpoints are of. A copy of the next log begins it, and must say how this one ended.
 *
 * @throws CopyError
 */
export function replayOf(found: Found, copied: Copied, signers: Generations, now: number): Change {
  const begun = startOf(found.head, copied);
  const start = { ...found, head: begun };
  const draft = over(base(start), endOf(begun));
  for (const text of copied.entries) take(draft, text, now);
  const { verifier, signer } = signers.of(copied.generation);
  const checkpoints: Change['checkpoints'][number][] = [];
  const stored: StoredEntry[] = [];
  const subtrees: Change['subtrees'][number][] = [];
  let tree: Pick<Grown, 'size' | 'range' | 'root'> = begun;
  let checkpoint = begun.checkpoint;
  for (const { end, note } of copied.checkpoints) {
    const run = draft.added.slice(stored.length, end - copied.from);
    const leaves = run.map(({ record }) => leafHash(record));
    const grown = extend(tree.size, tree.range, leaves);
    const signed = note === null ? grown : openCheckpoint(verifier, note);
    if (run.length === 0 || signed.size !== grown.size || !equalBytes(signed.root, grown.root))
      throw new CopyError('root_differs');
    subtrees.push(...completedSubtrees(grown, begun.base));
    stored.push(...run.map((entry, at) => ({ ...entry, leaf: leaves[at] as Uint8Array, tree: end })));
    [tree, checkpoint] = [grown, note ?? signCheckpoint(signer, grown.size, grown.root)];
    checkpoints.push({ end, note: checkpoint });
  }
  if (stored.length !== copied.entries.length || stored.length === 0) throw new CopyError('not_covered');
  const { base: from, size, root } = found.head;
  return {
    from: { base: from, size, root },
    head: { ...begun, size: tree.size, range: tree.range, root: tree.root, epoch: draft.epoch, checkpoint },
    entries: stored,
    subtrees,
    checkpoints,
    ended: begun === found.head ? [] : [begun.ended.at(-1) as Head['ended'][number]],
    issuances: [...draft.issuances.own.values()],
    spent: [...draft.spent.own].map(([key, index]) => ({ key, index })),
    seen: [...draft.seen.own].map(([name, index]) => ({ name, index })),
    lockdowns: lockdownChanges(inForceAt(found), draft.lockdowns),
    held: [...draft.held.own].flatMap(([id, held]) => (held === null ? [] : [{ id, ...held }])),
    freed: [...draft.held.own].flatMap(([id, held]) => (held === null ? [id] : [])),
    now,
  };
}

/** The head the copy goes on from: this one, or the empty one of the next log. */
function startOf(head: Head, { generation, base: begins, from, entries }: Copied): Head {
  if (from !== endOf(head)) throw new CopyError('another_place');
  if (generation === head.generation && begins === head.base) return head;
  if (generation !== head.generation + 1 || begins !== from) throw new CopyError('another_log');
  const closing = closingOf(parsed(entries[0]?.record ?? ''));
  const whole = closing?.size === head.size && equalBytes(closing.root, head.root);
  if (closing === undefined || (closing.kept === closing.size ? !whole : closing.kept !== head.size))
    throw new CopyError('not_its_successor');
  const ended = [...head.ended, { generation: head.generation, base: head.base, size: head.size }];
  return { ...head, generation, base: begins, ended, size: 0, range: [], root: emptyRoot, checkpoint: '' };
}

/** What the checks of an append would have left behind: the log has taken it, so they are not made again. */
function take(draft: Draft, text: RecordText, now: number): void {
  const record = parsed(text.record);
  if (text.disclosure !== null && whoOf(text.disclosure) !== record.identity?.who)
    throw new CopyError('disclosure_differs');
  const index = draft.size + draft.added.length;
  if (record.once !== undefined && draft.spent.get(record.once) === undefined) draft.spent.own.set(record.once, index);
  if (record.type === 'lockdown') lock(draft, record, text, index);
  else follow(draft, record, index);
  hold(draft, undefined, record, now);
  for (const name of [keyNameOf(record), policyNameOf(record)])
    if (name !== undefined && draft.seen.get(name) === undefined) draft.seen.own.set(name, index);
  add(draft, text, record);
}

function lock(draft: Draft, record: LedgerRecord, text: RecordText, index: number): void {
  const after = new Map(draft.lockdowns);
  if (record.op === 'add') after.set(record.id, { ...text, index });
  else after.delete(record.target as string);
  draft.epoch++;
  draft.lockdowns = after;
}

function follow(draft: Draft, record: LedgerRecord, index: number): void {
  const id = issuanceOf(record);
  if (id === undefined) return;
  const entry = draft.entries.get(id);
  const state = draft.issuances.get(id) ?? (entry === undefined ? undefined : bareState(entry));
  const next = nextState(state, record, id, index, record.reason === 'mint_failed');
  if (next !== undefined) draft.issuances.own.set(id, next);
}

const policyNameOf = ({ type, hash }: LedgerRecord): string | undefined =>
  type === 'policy' ? `policy:${hash}` : undefined;

function parsed(text: string): LedgerRecord {
  try {
    return parseRecord(text);
  } catch {
    throw new CopyError('record_malformed');
  }
}
