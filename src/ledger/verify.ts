import { equalBytes, toHex } from '../lib/bytes.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { type Derived, deriveTables, type Finding } from './derive.ts';
import { whoOf } from './disclosure.ts';
import type { Head, IssuanceState, StoredEntry } from './log-store.ts';
import { emptyRoot, foldRange, leafHash, nodeHash } from './merkle.ts';
import { NoteError, type NoteVerifier, noteVerifier } from './note.ts';
import { issuanceOf, type LedgerRecord, parseRecord, RecordError } from './record.ts';
import { tileHeight, tileWidth } from './tile.ts';
import type { StoredCheckpoint, VerifySource, VerifyTables } from './verify-source.ts';

export type { Finding } from './derive.ts';

export interface VerifyOptions {
  /** The verifier key the log must be under; default: the one it says itself. */
  readonly key?: string;
  /** Names of the kinds made at the target: their issuances must follow an intent. */
  readonly needIntent: ReadonlySet<string>;
  /** An older signed checkpoint kept elsewhere: the log must still begin with that tree. */
  readonly since?: string;
  readonly progress?: (done: number, size: number) => void;
}

export interface VerifyReport {
  readonly size: number;
  readonly findings: readonly Finding[];
  /** Intents without outcome: no finding, but somebody should look. */
  readonly open: readonly { readonly index: number; readonly issuance: string }[];
}

/** Findings beyond this say nothing new. */
const mostFindings = 1_000;
/** Entries read at once; a multiple of the tile's width. */
const page = 2_048;

/** Reads a whole log again and says what is not as it must be. Rejects with StoreFault or NoteError (of `key`, `since`). */
export async function verifyLog(source: VerifySource, options: VerifyOptions): Promise<VerifyReport> {
  const findings: Finding[] = [];
  const report = (found: Finding) => {
    if (findings.length < mostFindings) findings.push(found);
  };
  const key = await source.key();
  if (options.key !== undefined && options.key !== key)
    report({ code: 'key_differs', message: 'the log says that it is under another key' });
  const verifier = noteVerifier(options.key ?? key);
  const head = await source.head();
  const since = options.since === undefined ? undefined : openCheckpoint(verifier, options.since);
  if (since !== undefined && since.size > head.size)
    report({ code: 'cut', message: `the log has ${head.size} entries, the checkpoint given ${since.size}` });

  const tree = growTree();
  const derived = deriveTables(options.needIntent);
  for (let from = 0; from < head.size; from += page) {
    const to = Math.min(head.size, from + page);
    const entries = await source.entries(from, to);
    if (entries.length === 0) {
      // The head may claim any size: pages are read as long as there is something in them.
      report({ index: from, code: 'entry_missing', message: 'from here on there are no entries' });
      break;
    }
    const covering = await source.checkpoints(from, await endOfBatch(source, to, head.size));
    checkPage(from, to, entries, covering, { tree, derived, verifier, since, report });
    await checkSubtrees(source, tree, from, to, report);
    options.progress?.(to, head.size);
  }
  checkHeadRow(head, tree, verifier, report);
  if (source.tables !== undefined) await checkTables(source, source.tables, derived, head, report);
  return { size: head.size, findings, open: openIntents(derived) };
}

/** The size of the checkpoint that covers the last entries of a page: it may lie in a later one. */
async function endOfBatch(source: VerifySource, to: number, size: number): Promise<number> {
  for (let span = page; ; span *= 8) {
    const end = Math.min(size, to + span);
    const next = (await source.checkpoints(to - 1, end))[0];
    if (next !== undefined || end === size) return next?.size ?? to;
  }
}

interface Tree {
  readonly size: number;
  add(leaf: Uint8Array): void;
  root(): Uint8Array;
  /** Roots of the 256-wide subtrees completed since the last call. */
  completed(): { level: number; index: number; hash: Uint8Array }[];
}

/** A tree that forgets all but its compact range. */
function growTree(): Tree {
  const range: (Uint8Array | undefined)[] = [];
  let size = 0;
  let done: { level: number; index: number; hash: Uint8Array }[] = [];
  return {
    get size() {
      return size;
    },
    add(leaf) {
      size++;
      let hash = leaf;
      let level = 0;
      for (let left = range[0]; left !== undefined; left = range[level]) {
        hash = nodeHash(left, hash);
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

interface Checking {
  readonly tree: Tree;
  readonly derived: Derived;
  readonly verifier: NoteVerifier;
  readonly since: Checkpoint | undefined;
  readonly report: (finding: Finding) => void;
}

function checkPage(
  from: number,
  to: number,
  entries: readonly StoredEntry[],
  covering: readonly StoredCheckpoint[],
  { tree, derived, verifier, since, report }: Checking,
): void {
  const byIndex = new Map(entries.map((entry) => [entry.index, entry]));
  const checkpoints = covering.values();
  let next = checkpoints.next().value;
  for (let index = from; index < to; index++) {
    const entry = byIndex.get(index);
    if (entry === undefined) report({ index, code: 'entry_missing', message: 'there is no such entry' });
    else checkEntry(entry, next?.size, derived, report);
    tree.add(entry === undefined ? emptyRoot : leafHash(entry.record));
    if (next?.size === tree.size) {
      checkCheckpoint(next, tree, verifier, report);
      next = checkpoints.next().value;
    }
    if (since?.size === tree.size && !equalBytes(since.root, tree.root()))
      report({ code: 'rewritten', message: `the first ${since.size} entries are not those of the checkpoint given` });
  }
}

function checkEntry(
  entry: StoredEntry,
  tree: number | undefined,
  derived: Derived,
  report: (finding: Finding) => void,
): void {
  const { index } = entry;
  if (!equalBytes(leafHash(entry.record), entry.leaf))
    report({ index, code: 'leaf_differs', message: 'the stored hash is not that of the record' });
  if (entry.tree !== tree)
    report({ index, code: 'checkpoint_missing', message: `no checkpoint of size ${entry.tree}` });
  const record = read(entry, report);
  if (record === undefined) return;
  const columns = [record.id, record.type, issuanceOf(record) ?? null, record.writer.name];
  if (columns.some((value, at) => value !== [entry.id, entry.type, entry.issuance, entry.writer][at]))
    report({ index, code: 'columns_differ', message: 'the row says other than its record' });
  // An absent disclosure is an erased one.
  if (entry.disclosure !== null && whoOf(entry.disclosure) !== record.identity?.who)
    report({ index, code: 'disclosure_differs', message: 'the disclosure is not the one the record commits to' });
  for (const finding of derived.take(record, index)) report(finding);
}

function read({ record, index }: StoredEntry, report: (finding: Finding) => void): LedgerRecord | undefined {
  try {
    return parseRecord(record);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    report({ index, code: 'record_malformed', message: error.reason });
    return undefined;
  }
}

function checkCheckpoint(
  { size, note }: StoredCheckpoint,
  tree: Tree,
  verifier: NoteVerifier,
  report: (finding: Finding) => void,
): void {
  try {
    const checkpoint = openCheckpoint(verifier, note);
    if (checkpoint.size !== size || !equalBytes(checkpoint.root, tree.root()))
      report({ index: size - 1, code: 'root_differs', message: `the entries are not those signed at size ${size}` });
  } catch (error) {
    const reason = error instanceof NoteError ? error.reason : 'malformed';
    report({ index: size - 1, code: 'signature', message: `the checkpoint of size ${size}: ${reason}` });
  }
}

async function checkSubtrees(
  source: VerifySource,
  tree: Tree,
  from: number,
  to: number,
  report: (finding: Finding) => void,
): Promise<void> {
  const completed = tree.completed();
  for (let level = 1; completed.some((subtree) => subtree.level === level); level++) {
    const width = tileWidth ** level;
    const stored = await source.subtrees(0, level, Math.floor(from / width), Math.floor(to / width));
    const hashes = new Map(stored.map(({ index, hash }) => [index, toHex(hash)]));
    for (const { index, hash, ...at } of completed)
      if (at.level === level && hashes.get(index) !== toHex(hash))
        report({ code: 'subtree_differs', message: `the stored hash ${level}/${index} is not that of its entries` });
  }
}

function checkHeadRow(head: Head, tree: Tree, verifier: NoteVerifier, report: (finding: Finding) => void): void {
  if (!equalBytes(head.root, tree.root()))
    report({ code: 'head_differs', message: 'the head is not that of the entries' });
  if (head.size > 0) checkCheckpoint({ size: head.size, note: head.checkpoint }, tree, verifier, report);
}

async function checkTables(
  source: Pick<VerifySource, 'head'>,
  tables: VerifyTables,
  derived: Derived,
  head: Head,
  report: (finding: Finding) => void,
): Promise<void> {
  const { size } = head;
  if (head.epoch !== derived.epoch)
    report({ code: 'epoch_differs', message: `the head says epoch ${head.epoch}, the records ${derived.epoch}` });
  if (!equalBytes(foldRange(head.range), head.root))
    report({ code: 'head_differs', message: 'the hashes beside the head do not make it' });
  for (const index of await tables.strays())
    report({ index, code: 'entry_unknown', message: 'an entry that the head does not cover' });
  const spent = await readAll(tables.spent, ({ key }) => key);
  const seen = await readAll(tables.seen, ({ name }) => name);
  const states = await readAll(tables.issuances, ({ id }) => id);
  const locked = await tables.lockdowns();
  // What a running server wrote since the head was read is not compared; what not even it can have written is found.
  const { size: now } = await source.head();
  const earlier = <T>(table: string, rows: readonly T[], indices: (row: T) => readonly number[]): T[] => {
    if (rows.some((row) => indices(row).some((index) => index < 0 || index >= now)))
      report({ code: `${table}_differs`, message: 'a row speaks of an entry that is not there' });
    return rows.filter((row) => indices(row).every((index) => index < size));
  };
  const indicesOf = ({ intent, outcome, ended, owed }: IssuanceState) =>
    [intent, outcome, ended, owed?.since ?? null].filter((index) => index !== null);
  const keys = earlier('spent', spent, ({ index }) => [index]);
  compare('spent', new Map(keys.map(({ key, index }) => [key, index])), derived.spent, report);
  const names = earlier('seen', seen, ({ index }) => [index]);
  compare('seen', new Map(names.map(({ name, index }) => [name, index])), derived.seen, report);
  const known = earlier('issuances', states, indicesOf);
  const implied = new Map([...derived.issuances].map(([id, state]) => [id, shown(state)]));
  const stored = new Map(known.map((state) => [state.id, shown(state)]));
  for (const state of states) {
    if (implied.get(state.id) === shown(state) || !(await tables.touched(state.id, size))) continue;
    implied.delete(state.id);
    stored.delete(state.id);
  }
  compare('issuances', stored, implied, report);
  compare(
    'lockdowns',
    new Map(earlier('lockdowns', locked, (index) => [index]).map((index) => [String(index), index])),
    new Map([...derived.lockdowns.values()].map((index) => [String(index), index])),
    report,
  );
}

const shown = ({ writer, intent, outcome, once, expiresAt, ended, owed }: IssuanceState): string =>
  JSON.stringify([writer, intent, outcome, once, expiresAt, ended, owed?.since, owed?.told]);

async function readAll<T>(read: (after: string) => Promise<readonly T[]>, keyOf: (row: T) => string): Promise<T[]> {
  const all: T[] = [];
  for (let after = ''; ; ) {
    const rows = await read(after);
    const last = rows.at(-1);
    // A key that is no text comes again and again.
    if (last === undefined || keyOf(last) === after) return all;
    all.push(...rows);
    after = keyOf(last);
  }
}

function compare<V>(
  table: string,
  stored: ReadonlyMap<string, V>,
  implied: ReadonlyMap<string, V>,
  report: (finding: Finding) => void,
): void {
  for (const [key, value] of implied)
    if (stored.get(key) !== value)
      report({ code: `${table}_differs`, message: `the row of ${key} is not as the records imply` });
  for (const key of stored.keys())
    if (!implied.has(key)) report({ code: `${table}_differs`, message: `no record implies the row of ${key}` });
}

function openIntents(derived: Derived): VerifyReport['open'] {
  const open: { index: number; issuance: string }[] = [];
  for (const { id, intent, outcome } of derived.issuances.values())
    if (intent !== null && outcome === null) open.push({ index: intent, issuance: id });
  return open;
}
