import { equalBytes, toHex } from '../../lib/bytes.ts';
import { originOf } from '../generation.ts';
import { endOf } from '../log/draft.ts';
import { logNamed } from '../log-name.ts';
import type { Head } from '../log-store.ts';
import { type Checkpoint, openCheckpoint } from '../tree/checkpoint.ts';
import { NoteError, type NoteVerifier, noteVerifier, vkeyAs } from '../tree/note.ts';
import { tileWidth } from '../tree/tile.ts';
import { type CheckpointsOfLog, checkpointFinding, followCheckpoints } from './checkpoints.ts';
import { type Derived, type DerivedState, deriveTables, type Finding } from './derive.ts';
import { checkIndex } from './index-check.ts';
import { joined, opened, openPages, type PageFacts, pageWidth } from './page.ts';
import { ownLength, unpacking } from './record.ts';
import { followRolls, type Gap, type PassedLog, type Rolls, type RollsState } from './rolls.ts';
import type { VerifySource } from './source.ts';
import { checkTables } from './tables.ts';
import { type GrowingTree, growTree, type TreeState } from './tree.ts';

export type { Finding } from './derive.ts';

export interface VerifyOptions {
  /** The verifier key the ledger must be under; default: the one it says itself. */
  readonly key?: string;
  /** Names of the kinds made at the target: their issuances must follow an intent. */
  readonly needIntent: ReadonlySet<string>;
  /** Older signed checkpoints kept elsewhere: the log each names must still begin with that tree. */
  readonly since?: string | readonly string[];
  /** Of one shard: whether a replay key is to be spent in it. */
  readonly placed?: ((once: string) => boolean) | undefined;
  readonly progress?: (done: number, size: number) => void;
  /** The index of the questions is compared too, where the source has it: all of it, whatever `from` says. */
  readonly index?: boolean;
  /** Where an earlier run stopped, or ended; ignored where one of `since` is of what it had read. */
  readonly from?: VerifyState | undefined;
  /** Told after each page where this run stands, and once at its end. */
  readonly keep?: (state: () => VerifyState, last: boolean) => Promise<void>;
}

/** Where a run stands. Whoever goes on from it believes it: it is the verifier's own, and never the ledger's. */
export interface VerifyState {
  readonly key: string;
  /** Of the log at hand. */
  readonly origin: string;
  readonly tree: TreeState;
  readonly derived: DerivedState;
  readonly rolls: RollsState;
  readonly findings: readonly Finding[];
}

export interface VerifyReport {
  /** Entries of all its logs. */
  readonly size: number;
  readonly findings: readonly Finding[];
  /** Intents without outcome: no finding, but somebody should look. */
  readonly open: readonly { readonly index: number; readonly issuance: string }[];
  /** What was lost with a log and is said so by its successor: no finding, but to be known. */
  readonly gaps: readonly Gap[];
  /** Digests of the lockdowns, in order. */
  readonly lockdowns: readonly string[];
}

/** Findings beyond this say nothing new. */
const mostFindings = 1_000;

type Report = (finding: Finding) => void;

/**
 * Reads a whole ledger again, its logs one after another, and says what is not as it must be. Rejects with StoreFault or
 * NoteError (of `key`, `since`).
 */
export async function verifyLog(source: VerifySource, options: VerifyOptions): Promise<VerifyReport> {
  const shown = await source.key();
  const key = options.key ?? shown;
  const head = await source.head();
  const kept = [options.since ?? []].flat().map((note) => sinceOf(note, key));
  const findings: Finding[] = [];
  const many = { cut: 0, other: 0 };
  const report: Report = (found) => {
    // Thousands of checkpoints that a backup does not reach hide nothing else.
    if (many[found.code === 'cut' ? 'cut' : 'other']++ < mostFindings) findings.push(found);
  };
  if (!isCounted(head)) {
    report({ code: 'head_differs', message: 'a number of the head is none' });
    return { size: 0, findings, open: [], gaps: [], lockdowns: [] };
  }
  const logs = logsOf(head, noteVerifier(key).name, report);
  const from = goOnFrom(options.from, key, logs, kept);
  if (from !== undefined) findings.unshift(...from.findings);
  if (key !== shown && from === undefined)
    report({ code: 'key_differs', message: 'the log says that it is under another key' });
  const derived = deriveTables(options.needIntent, options.placed, from?.derived);
  const rolls = followRolls(from?.rolls, source.closedOnly);
  const origins = new Set(logs.map(({ origin }) => origin));
  for (const { origin } of kept)
    if (!origins.has(origin))
      report({ code: 'cut', message: `there is no log ${origin}, which the checkpoint given is of` });
  const keptOf = new Map<string, Checkpoint[]>();
  for (const one of kept) keptOf.set(one.origin, [...(keptOf.get(one.origin) ?? []), one]);

  let whole = true;
  const first = from === undefined ? 0 : logs.findIndex(({ origin }) => origin === from.origin);
  for (const [at, log] of logs.entries()) {
    if (at < first || !whole) continue;
    const logKey = vkeyAs(key, log.origin);
    const tree = growTree(log.origin === from?.origin ? from.tree : undefined);
    const since = keptOf.get(log.origin) ?? [];
    for (const { size } of since)
      if (size > log.size)
        report({ code: 'cut', message: `${log.origin} has ${log.size} entries, the checkpoint given ${size}` });
    const state = (): VerifyState => {
      const { origin } = log;
      return { key, origin, tree: tree.state, derived: derived.state, rolls: rolls.state, findings };
    };
    whole = await checkLog(source, log, { since, derived, rolls, report, tree, key: logKey }, async (done) => {
      options.progress?.(log.base + done, endOf(head));
      await options.keep?.(state, false);
    });
    // Not by its base: a log of no entries has that of its successor.
    if (at === logs.length - 1) {
      if (whole) await options.keep?.(state, true);
      checkHeadRow(head, tree, noteVerifier(logKey), report);
    }
    for (const finding of rolls.end(log, tree.root(), logs[at + 1])) report(finding);
  }
  const open = openIntents(derived);
  if (source.tables !== undefined) await checkTables(source, source.tables, derived, head, report);
  if (options.index === true && source.index !== undefined) await checkIndex(source, source.index, report);
  return { size: endOf(head), findings, open, gaps: rolls.gaps, lockdowns: derived.sequence };
}

/** An earlier run's state, where it is of this ledger and of nothing that has to be read again. */
function goOnFrom(
  from: VerifyState | undefined,
  key: string,
  logs: readonly PassedLog[],
  kept: readonly Checkpoint[],
): VerifyState | undefined {
  const at = logs.findIndex(({ origin }) => origin === from?.origin);
  const log = logs[at];
  if (from === undefined || log === undefined || from.key !== key || from.tree.size > log.size) return undefined;
  const places = new Map(logs.map(({ origin }, place) => [origin, place]));
  const passed = kept.some(({ origin, size }) => {
    const asked = places.get(origin) ?? -1;
    return asked < at || (asked === at && size <= from.tree.size);
  });
  return passed ? undefined : from;
}

/** @throws NoteError */
function sinceOf(note: string, key: string): Checkpoint {
  const origin = note.slice(0, Math.max(0, note.indexOf('\n')));
  const named = logNamed(noteVerifier(key).name, origin);
  if (named === undefined || named.shard !== undefined) throw new NoteError('wrong_origin');
  return openCheckpoint(noteVerifier(vkeyAs(key, origin)), note);
}

/** Whether everything that is counted with is a number: a store may hold anything in its place. */
function isCounted({ generation, base, size, epoch, ended }: Head): boolean {
  const counts = ended.flatMap((log) => [log.generation, log.base, log.size]);
  const numbers = [generation, base, size, base + size, epoch, ...counts];
  return numbers.every((number) => Number.isSafeInteger(number) && number >= 0);
}

/** The logs of a ledger, oldest first: they lie side by side, and nothing between them. */
function logsOf({ generation, base, ended, size }: Head, origin: string, report: Report): PassedLog[] {
  const logs = [...ended, { generation, base, size }];
  let end = 0;
  for (const [at, log] of logs.entries()) {
    if (log.base !== end || log.generation !== at + 1)
      report({ code: 'logs_differ', message: `log ${log.generation} does not begin where the one before ended` });
    end = log.base + log.size;
  }
  return logs.map((log) => ({ origin: originOf(origin, log.generation), base: log.base, size: log.size }));
}

interface Checking {
  readonly tree: GrowingTree;
  readonly derived: Derived;
  readonly rolls: Rolls;
  /** Of the log. */
  readonly key: string;
  /** Of this log. */
  readonly since: readonly Checkpoint[];
  readonly report: Report;
}

/** False where its entries stop before the size it claims: no use in reading on. */
async function checkLog(
  source: VerifySource,
  log: PassedLog,
  checking: Checking,
  progress: (done: number) => Promise<void>,
): Promise<boolean> {
  const { base } = log;
  const signed = followCheckpoints(log, checking.report);
  for await (const { facts, from, to } of pagesOf(source, log, checking)) {
    if (facts.many === 0) {
      signed.end();
      // The head may claim any size: pages are read as long as there is something in them.
      checking.report({ index: base + from, code: 'entry_missing', message: 'from here on there are no entries' });
      return false;
    }
    checkPage(log, { from, to }, facts, { ...checking, signed });
    await checkSubtrees(source, log, checking, { from, to });
    await progress(to);
  }
  signed.end();
  return true;
}

/** The pages of a log that are still to be read, in order; read ahead where the source has threads for that. */
async function* pagesOf(source: VerifySource, { base, size }: PassedLog, { tree, key }: Checking) {
  // Where there is but one page, threads are not worth their start.
  const threads = size - tree.size > pageWidth ? source.pages : undefined;
  const read = threads?.read ?? openPages(source);
  const ahead: { readonly from: number; readonly to: number; readonly facts: Promise<PageFacts> }[] = [];
  for (let next = tree.size; next < size || ahead.length > 0; ) {
    while (next < size && ahead.length < (threads?.atOnce ?? 1)) {
      // Pages begin where subtrees do.
      const [from, to] = [next, Math.min(size, Math.floor(next / pageWidth + 1) * pageWidth)];
      const facts = read({ key, base, size, from, to });
      // Whoever stops before it is its turn asks no more.
      facts.catch(() => {});
      ahead.push({ from, to, facts });
      next = to;
    }
    const { from, to, facts } = ahead.shift() as (typeof ahead)[number];
    yield { from, to, facts: await facts };
  }
}

/** Leaves of one log. */
interface Span {
  readonly from: number;
  readonly to: number;
}

function checkPage(
  log: PassedLog,
  { from, to }: Span,
  facts: PageFacts,
  checking: Checking & { readonly signed: CheckpointsOfLog },
): void {
  const { tree, since, derived, rolls, report, signed } = checking;
  const checkpoints = facts.checkpoints.values();
  const found = facts.findings.values();
  const records = unpacking(facts.records);
  const join = joined(facts.nodes);
  const before = since.filter(({ size }) => size > from && size <= to).sort((a, b) => a.size - b.size);
  let passed = 0;
  let next = checkpoints.next().value;
  let wrong = found.next().value;
  for (let leaf = from; leaf < to; leaf++) {
    const [index, at] = [log.base + leaf, leaf - from];
    for (; wrong?.index === index; wrong = found.next().value) report(wrong);
    const covering = facts.trees[at] as number;
    if (!Number.isNaN(covering) && (covering !== next?.end || covering <= index))
      report({ index, code: 'checkpoint_missing', message: `no checkpoint that ends at ${covering}` });
    const bare = records.commonAt(at);
    if (bare === undefined || !derived.takeBare(bare, records.own, at * ownLength, index)) {
      const record = records.recordAt(at);
      if (record !== undefined) for (const finding of derived.take(record, index)) report(finding);
      if (record !== undefined) for (const finding of rolls.take(record, leaf, log)) report(finding);
    } else for (const finding of rolls.take(bare, leaf, log)) report(finding);
    tree.add(facts.leaves.subarray(at * 32, at * 32 + 32), join);
    if (next?.end === log.base + tree.size) {
      signed.take(next.opened, tree);
      next = checkpoints.next().value;
    }
    for (; before[passed]?.size === tree.size; passed++)
      if (!equalBytes((before[passed] as Checkpoint).root, tree.root()))
        report({ code: 'rewritten', message: `the first ${tree.size} entries are not those of the checkpoint given` });
  }
}

async function checkSubtrees(
  source: VerifySource,
  { base }: PassedLog,
  { tree, report }: Checking,
  { from, to }: Span,
): Promise<void> {
  const completed = tree.completed();
  for (let level = 1; completed.some((subtree) => subtree.level === level); level++) {
    const width = tileWidth ** level;
    const stored = await source.subtrees(base, level, Math.floor(from / width), Math.floor(to / width));
    const hashes = new Map(stored.map(({ index, hash }) => [index, toHex(hash)]));
    for (const { index, hash, ...at } of completed)
      if (at.level === level && hashes.get(index) !== toHex(hash))
        report({ code: 'subtree_differs', message: `the stored hash ${level}/${index} is not that of its entries` });
  }
}

function checkHeadRow(head: Head, tree: GrowingTree, verifier: NoteVerifier, report: Report): void {
  const { base, size, checkpoint } = head;
  if (!equalBytes(head.root, tree.root()))
    report({ code: 'head_differs', message: 'the head is not that of the entries' });
  const log = { origin: verifier.name, base, size };
  const finding = size > 0 ? checkpointFinding(opened(verifier, checkpoint), log, tree) : undefined;
  if (finding !== undefined) report({ ...finding, message: `in the head, ${finding.message}` });
}

function openIntents(derived: Derived): VerifyReport['open'] {
  const open: { index: number; issuance: string }[] = [];
  for (const { id, intent, outcome } of derived.issuances.values())
    if (intent !== null && outcome === null) open.push({ index: intent, issuance: id });
  return open;
}
