import { equalBytes, sha256Into } from '../../lib/bytes.ts';
import type { StoredEntry } from '../log-store.ts';
import { whoOf } from '../records/disclosure.ts';
import { openRecordReader } from '../records/reader.ts';
import { issuanceOf, type LedgerRecord, RecordError } from '../records/record.ts';
import { type Checkpoint, openCheckpoint } from '../tree/checkpoint.ts';
import { emptyRoot, nodeHash } from '../tree/merkle.ts';
import { NoteError, type NoteVerifier, noteVerifier } from '../tree/note.ts';
import type { Finding } from './derive.ts';
import { packed } from './record.ts';
import type { VerifiedEntry, VerifySource } from './source.ts';
import { type GrowingTree, growTree } from './tree.ts';

/** Entries read at once; a power of two, and a multiple of the tile's width. */
export const pageWidth = 2_048;

/** Leaves [from, to) of the log of so many that begins at `base`, whose checkpoints `key` signs. */
export interface PageSpan {
  readonly key: string;
  readonly base: number;
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** What a page of entries says by itself. Members are few and plain, as threads hand it on. */
export interface PageFacts {
  /** How many entries there are. */
  readonly many: number;
  /** The hash of each leaf. */
  readonly leaves: Uint8Array;
  /** Where pages of the tree begin: the nodes over these leaves, in the order in which they become complete. */
  readonly nodes: Uint8Array | undefined;
  /** Where the tree ends that each entry says first covers it; not a number for one that is missing. */
  readonly trees: Float64Array;
  /** For `unpacked`: what the record of each entry says, where it is one. */
  readonly records: string;
  /** In order of the entries. */
  readonly findings: readonly Finding[];
  /** From the first that ends in it, to the one that covers its last entry. */
  readonly checkpoints: readonly OpenedCheckpoint[];
}

export interface OpenedCheckpoint {
  readonly end: number;
  /** Or why it is none. */
  readonly opened: Checkpoint | string;
}

/** Reads pages of one source. Rejects with StoreFault. */
export function openPages(source: Pick<VerifySource, 'entries' | 'checkpoints'>) {
  const read = openRecordReader();
  let verifier: NoteVerifier | undefined;
  let key = '';

  return async (span: PageSpan): Promise<PageFacts> => {
    if (verifier === undefined || key !== span.key) verifier = noteVerifier(span.key);
    key = span.key;
    const { base, size, from, to } = span;
    const entries = await source.entries(base + from, base + to);
    const end = entries.length === 0 ? base + from : await endOfBatch(source, base + to, base + size);
    const checkpoints: OpenedCheckpoint[] = [];
    for (const stored of await source.checkpoints(base + from, end))
      checkpoints.push({ end: stored.size, opened: opened(verifier, stored.note) });
    return { ...pageOf(entries, span, read), checkpoints };
  };
}

export type ReadPage = ReturnType<typeof openPages>;

/** Where the checkpoint ends that covers the last entries of a page: it may lie in a later one. */
async function endOfBatch(source: Pick<VerifySource, 'checkpoints'>, to: number, size: number): Promise<number> {
  for (let span = pageWidth; ; span *= 8) {
    const end = Math.min(size, to + span);
    const next = (await source.checkpoints(to - 1, end))[0];
    if (next !== undefined || end === size) return next?.size ?? to;
  }
}

/** A checkpoint as its log signed it, or a stable word for why it is none. */
export function opened(verifier: NoteVerifier, note: string): Checkpoint | string {
  try {
    return openCheckpoint(verifier, note);
  } catch (error) {
    return error instanceof NoteError ? error.reason : 'malformed';
  }
}

function pageOf(
  entries: readonly VerifiedEntry[],
  { base, from, to }: PageSpan,
  read: (text: string) => LedgerRecord,
): Omit<PageFacts, 'checkpoints'> {
  const findings: Finding[] = [];
  const report = (finding: Finding) => findings.push(finding);
  const byIndex = new Map(entries.map((entry) => [entry.index, entry]));
  const leaves = Buffer.alloc((to - from) * 32);
  const trees = new Float64Array(to - from).fill(Number.NaN);
  const records: (LedgerRecord | undefined)[] = [];
  const tree = growTree();
  const nodes = joining(to - from);
  for (let at = 0; at < to - from; at++) {
    const index = base + from + at;
    const entry = byIndex.get(index);
    const leaf = leaves.subarray(at * 32, at * 32 + 32);
    if (entry === undefined) {
      report({ index, code: 'entry_missing', message: 'there is no such entry' });
      leaf.set(emptyRoot);
    } else {
      sha256Into(leaf, 0, entry.hashed ?? `\0${entry.record}`);
      trees[at] = entry.tree;
    }
    records.push(entry && checked(entry, leaf, read, report));
    tree.add(leaf, nodes.join);
  }
  return {
    many: entries.length,
    leaves,
    nodes: from % pageWidth === 0 ? nodes.joined : undefined,
    trees,
    records: packed(records),
    findings,
  };
}

/** Nodes over two hashes each, put side by side as they are made; over so many leaves there are fewer. */
function joining(leaves: number) {
  const joined = Buffer.alloc(leaves * 32);
  const pair = Buffer.alloc(65, 0x01);
  let at = 0;
  return {
    joined,
    join(left: Uint8Array, right: Uint8Array): Uint8Array {
      pair.set(left, 1);
      pair.set(right, 33);
      sha256Into(joined, at, pair);
      at += 32;
      return joined.subarray(at - 32, at);
    },
  };
}

/** The nodes of a page as a tree grows by its leaves; those over several pages are made. */
export function joined(nodes: Uint8Array | undefined): Parameters<GrowingTree['add']>[1] {
  if (nodes === undefined) return undefined;
  let at = 0;
  return (left, right, level) => {
    if (2 ** level >= pageWidth) return nodeHash(left, right);
    at += 32;
    return nodes.subarray(at - 32, at);
  };
}

/** The record of an entry, after what is wrong with that entry is told. */
function checked(
  entry: StoredEntry,
  hash: Uint8Array,
  read: (text: string) => LedgerRecord,
  report: (finding: Finding) => void,
): LedgerRecord | undefined {
  const { index } = entry;
  if (!equalBytes(hash, entry.leaf))
    report({ index, code: 'leaf_differs', message: 'the stored hash is not that of the record' });
  let record: LedgerRecord;
  try {
    record = read(entry.record);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    report({ index, code: 'record_malformed', message: error.reason });
    return undefined;
  }
  const { id, type, issuance, writer } = entry;
  const fits = record.id === id && record.type === type && (issuanceOf(record) ?? null) === issuance;
  if (!fits || record.writer.name !== writer)
    report({ index, code: 'columns_differ', message: 'the row says other than its record' });
  // An absent disclosure is an erased one.
  if (entry.disclosure !== null && whoOf(entry.disclosure) !== record.identity?.who)
    report({ index, code: 'disclosure_differs', message: 'the disclosure is not the one the record commits to' });
  return record;
}
