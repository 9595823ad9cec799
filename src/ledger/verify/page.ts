import { sha256Into, sha256Url } from '../../lib/bytes.ts';
import { type Lying, openRecordReader, own, type RecordReader } from '../records/reader.ts';
import { issuanceOf, type LedgerRecord, RecordError } from '../records/record.ts';
import { type Checkpoint, openCheckpoint } from '../tree/checkpoint.ts';
import { emptyRoot, nodeHash } from '../tree/merkle.ts';
import { NoteError, type NoteVerifier, noteVerifier } from '../tree/note.ts';
import type { Finding } from './derive.ts';
import { type PackedRecords, packing, slim } from './record.ts';
import { column, lacking, type Rows, rowsOf } from './rows.ts';
import type { VerifySource } from './source.ts';
import type { GrowingTree } from './tree.ts';

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
  /** What the record of each entry says, where it is one. */
  readonly records: PackedRecords;
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
export function openPages(source: Pick<VerifySource, 'entries' | 'rows' | 'checkpoints'>) {
  const reader = openRecordReader();
  let verifier: NoteVerifier | undefined;
  let key = '';

  return async (span: PageSpan): Promise<PageFacts> => {
    if (verifier === undefined || key !== span.key) verifier = noteVerifier(span.key);
    key = span.key;
    const { base, size, from, to } = span;
    const page = await pageOf(source, span, reader);
    const end = page.many === 0 ? base + from : await endOfBatch(source, base + to, base + size);
    const checkpoints: OpenedCheckpoint[] = [];
    for (const stored of await source.checkpoints(base + from, end))
      checkpoints.push({ end: stored.size, opened: opened(verifier, stored.note) });
    return { ...page, checkpoints };
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

async function pageOf(
  source: Pick<VerifySource, 'entries' | 'rows'>,
  { base, from, to }: PageSpan,
  reader: RecordReader,
): Promise<Omit<PageFacts, 'checkpoints'>> {
  const width = to - from;
  const findings: Finding[] = [];
  const leaves = Buffer.alloc(width * 32);
  const trees = new Float64Array(width).fill(Number.NaN);
  const records = packing(width);
  const there = new Uint8Array(width);
  let many = 0;
  for await (const rows of source.rows?.(base + from, base + to) ?? [
    rowsOf(await source.entries(base + from, base + to)),
  ]) {
    many += rows.many;
    const check = checking(rows, reader, records, (finding) => findings.push(finding));
    for (let row = 0; row < rows.many; row++) {
      const at = (rows.indices[row] as number) - base - from;
      if (there[at] === 1)
        findings.push({
          index: base + from + at,
          code: 'entry_doubled',
          message: 'there is another entry in its place',
        });
      if (there[at] !== 0) continue;
      there[at] = 1;
      trees[at] = rows.trees[row] as number;
      sha256Into(leaves, at * 32, rows.bytes.subarray(rows.from(row, column.record) - 1, rows.to(row, column.record)));
      check(row, at, leaves);
    }
  }
  for (let at = there.indexOf(0); at >= 0; at = there.indexOf(0, at + 1)) {
    findings.push({ index: base + from + at, code: 'entry_missing', message: 'there is no such entry' });
    leaves.set(emptyRoot, at * 32);
  }
  // Those of one entry stay in the order in which they were found.
  findings.sort((one, other) => (one.index as number) - (other.index as number));
  const nodes = from % pageWidth === 0 ? nodesOver(leaves) : undefined;
  return { many, leaves, nodes, trees, records: records.done(), findings };
}

/** Nodes over two hashes each, put side by side in the order in which they become complete; there are fewer than leaves. */
function nodesOver(leaves: Buffer): Buffer {
  const nodes = Buffer.alloc(leaves.length);
  const pair = Buffer.alloc(65, 0x01);
  /** By level, where the one begins that has none to its right yet. */
  const lefts: number[] = [];
  let next = 0;
  for (let leaf = 0; leaf * 32 < leaves.length; leaf++) {
    let right = leaf * 32;
    let level = 0;
    for (; (leaf >>> level) % 2 === 1; level++) {
      const below = level === 0 ? leaves : nodes;
      const left = lefts[level] as number;
      for (let at = 0; at < 32; at++) {
        pair[1 + at] = below[left + at] as number;
        pair[33 + at] = below[right + at] as number;
      }
      sha256Into(nodes, next, pair);
      right = next;
      next += 32;
    }
    lefts[level] = right;
  }
  return nodes;
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

/** Tells what is wrong with an entry of these, and packs its record. */
function checking(
  rows: Rows,
  reader: RecordReader,
  records: ReturnType<typeof packing>,
  report: (finding: Finding) => void,
) {
  const { bytes, from, to, lacks } = rows;
  const { record: text, disclosure } = column;
  const textOf = (row: number, at: number) => bytes.toString('utf8', from(row, at), to(row, at));

  return (row: number, at: number, leaves: Buffer): void => {
    const index = rows.indices[row] as number;
    const lack = lacks[row] as number;
    if ((lack & lacking.leaf) !== 0 || !isLike(leaves, at * 32, rows.leaves, row * 32, 32))
      report({ index, code: 'leaf_differs', message: 'the stored hash is not that of the record' });
    if ((lack & lacking.type) !== 0)
      report({ index, code: 'type_differs', message: 'a value of another type, which look-ups do not find' });
    const lying = reader.find(rows, from(row, text), to(row, text));
    const record = lying !== undefined && slim.has(lying.common.type) ? lying : recordOf(row, lying !== undefined);
    if (typeof record === 'string') {
      report({ index, code: 'record_malformed', message: record });
      return;
    }
    if ('common' in record) records.lying(at, bytes, record);
    else records.whole(at, record);
    const [fits, who] = 'common' in record ? fitsLying(row, lack, record) : fitsRecord(row, lack, record);
    if (!fits) report({ index, code: 'columns_differ', message: 'the row says other than its record' });
    // An absent disclosure is an erased one.
    if (
      (lack & lacking.disclosure) === 0 &&
      sha256Url(bytes.subarray(from(row, disclosure), to(row, disclosure))) !== who
    )
      report({ index, code: 'disclosure_differs', message: 'the disclosure is not the one the record commits to' });
  };

  /** Or why it is none. */
  function recordOf(row: number, good: boolean): LedgerRecord | string {
    const said = textOf(row, text);
    try {
      return good ? (JSON.parse(said) as LedgerRecord) : reader.parse(said);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      return error.reason;
    }
  }

  /** Whether the other columns say what the record does, and the digest of its disclosure. */
  function fitsRecord(row: number, lack: number, record: LedgerRecord): [boolean, string | undefined] {
    const { id, type, issuance, writer } = column;
    const about = (lack & lacking.issuance) === 0 ? textOf(row, issuance) : null;
    const fits =
      record.id === textOf(row, id) && record.type === textOf(row, type) && (issuanceOf(record) ?? null) === about;
    return [fits && record.writer.name === textOf(row, writer), record.identity?.who];
  }

  function fitsLying(row: number, lack: number, { common, froms, tos }: Lying): [boolean, string | undefined] {
    const isThere = (member: number, at: number): boolean => {
      const [begin, length] = [froms[member] as number, to(row, at) - from(row, at)];
      return (
        begin >= 0 && (tos[member] as number) - begin === length && isLike(bytes, begin, bytes, from(row, at), length)
      );
    };
    const about = common.type === 'issuance' ? own.id : own.issuance;
    const fits =
      isThere(own.id, column.id) &&
      isText(bytes, from(row, column.type), to(row, column.type), common.type) &&
      isText(bytes, from(row, column.writer), to(row, column.writer), common.writer.name) &&
      ((lack & lacking.issuance) === 0 ? isThere(about, column.issuance) : (froms[about] as number) < 0);
    const who = froms[own.who] as number;
    return [fits, who < 0 ? undefined : bytes.toString('latin1', who, tos[own.who])];
  }
}

function isLike(one: Uint8Array, from: number, other: Uint8Array, otherFrom: number, many: number): boolean {
  for (let at = 0; at < many; at++) if (one[from + at] !== other[otherFrom + at]) return false;
  return true;
}

/** Of ASCII. */
function isText(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let at = 0; at < text.length; at++) if (bytes[from + at] !== text.charCodeAt(at)) return false;
  return true;
}
