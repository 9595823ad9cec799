import { equalBytes } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { whoOf } from './disclosure.ts';
import { originOf } from './generation.ts';
import type { Ledger, RollRequest } from './ledger.ts';
import { logNamed } from './log-name.ts';
import type { Head } from './log-store.ts';
import { extend, leafHash } from './merkle.ts';
import { NoteError, noteVerifier, vkeyAs } from './note.ts';
import { type LedgerRecord, parseRecord, type RecordText } from './record.ts';
import { closingOf } from './succession.ts';

/** An entry as a sink or an archive has it. */
export interface CopiedEntry extends RecordText {
  /** Origin of its log. */
  readonly log: string;
  /** Its index in that log. */
  readonly leaf: number;
}

export interface RestoreSources {
  /** Signed checkpoints of this ledger that were kept elsewhere. */
  readonly checkpoints: readonly string[];
  /** Copies of entries, in the order of the log; repeated ones are skipped. */
  readonly copies: AsyncIterable<CopiedEntry>;
}

export interface Restored {
  /** Entries that were taken from the copies. */
  readonly added: number;
  /** The log that ended, and how many of its entries are here. */
  readonly ended: string;
  readonly kept: number;
  /** How many it had by the newest checkpoint: entries [kept, known) are lost. */
  readonly known: number;
  /** Entries of the copies behind the end of that log: no checkpoint that was given proves them. */
  readonly leftOut: number;
  /** The log that grows now. */
  readonly log: string;
}

/** Thrown where a restore cannot go on; says why. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
}

interface Known extends Checkpoint {
  readonly generation: number;
  readonly note: string;
}

type Here = Ledger & Required<Pick<Ledger, 'adopt' | 'roll' | 'reader'>>;

/** Entries of one commit. */
const batch = 400;

/**
 * Brings a ledger that was put back from a backup as far as the copies of its entries lead, by the checkpoints kept
 * elsewhere, and begins its next log: the old one may have had more than anybody here knows of, and brokers may have seen it.
 *
 * @throws RestoreError, Refusal
 */
export async function restoreLedger(
  ledger: Ledger,
  { checkpoints, copies }: RestoreSources,
  deadline: () => Deadline,
): Promise<Restored> {
  const { reader, adopt, roll } = ledger;
  if (ledger.shards !== undefined)
    throw new RestoreError('a ledger of several shards is put back by the tools of its database, whole');
  if (reader === undefined || adopt === undefined || roll === undefined)
    throw new RestoreError('this ledger keeps no log here');
  const here = { ...ledger, reader, adopt, roll };
  const known = await readKnown(here, checkpoints, deadline());
  const seen = new Map<string, Set<number>>();
  const isBehind = behind(ledger.origin, await reader.head(deadline()));
  const added = await takeCopies(here, known, noting(copies, isBehind, seen), deadline);
  const head = await reader.head(deadline());
  const newest = known.at(-1);
  if (newest !== undefined && newest.generation > head.generation)
    throw new RestoreError(
      `the copies do not lead to ${newest.origin}, of which a checkpoint was given: ${originOf(ledger.origin, head.generation)} is known up to ${head.size}`,
    );
  const lost = endOf(head, known);
  const isLeft = behind(ledger.origin, head);
  const left = [...seen].map(([log, leaves]) => [...leaves].filter((leaf) => isLeft({ log, leaf })).length);
  const leftOut = left.reduce((sum, count) => sum + count, 0);
  const { log } = await roll({ generation: head.generation, lost, reason: 'restored' }, deadline());
  return { added, ended: originOf(ledger.origin, head.generation), kept: head.size, known: lost.size, leftOut, log };
}

/** Notes which entries behind `head` there are copies of: sinks repeat some. */
async function* noting(
  copies: AsyncIterable<CopiedEntry>,
  isBehind: (copy: CopiedEntry) => boolean,
  seen: Map<string, Set<number>>,
): AsyncIterable<CopiedEntry> {
  for await (const copy of copies) {
    if (isBehind(copy)) seen.set(copy.log, (seen.get(copy.log) ?? new Set()).add(copy.leaf));
    yield copy;
  }
}

/** Whether an entry lies behind the newest one here. */
const behind =
  (origin: string, { generation, size }: Head) =>
  ({ log, leaf }: Pick<CopiedEntry, 'log' | 'leaf'>): boolean => {
    const named = logNamed(origin, log);
    if (named === undefined || named.shard !== undefined) return false;
    return named.generation > generation || (named.generation === generation && leaf >= size);
  };

/** The largest tree known of the log that ends here. @throws RestoreError where it is of other entries */
function endOf(head: Head, known: readonly Known[]): NonNullable<RollRequest['lost']> {
  const last = known.findLast(({ generation }) => generation === head.generation);
  if (last === undefined || last.size < head.size) return { size: head.size, root: head.root };
  if (last.size === head.size && !equalBytes(last.root, head.root))
    throw new RestoreError('the backup is not of the log whose checkpoint was given');
  return { size: last.size, root: last.root };
}

/** By generation and size. @throws RestoreError for one that this ledger's key did not sign */
async function readKnown(ledger: Here, notes: readonly string[], deadline: Deadline): Promise<Known[]> {
  const vkey = await ledger.key(deadline);
  const known = notes.map((note): Known => {
    const name = note.slice(0, note.indexOf('\n'));
    const log = logNamed(ledger.origin, name);
    if (log === undefined || log.shard !== undefined) throw new RestoreError('a checkpoint is not of this ledger');
    try {
      return { ...openCheckpoint(noteVerifier(vkeyAs(vkey, name)), note), generation: log.generation, note };
    } catch (error) {
      if (error instanceof NoteError) throw new RestoreError(`a checkpoint does not verify: ${error.reason}`);
      throw error;
    }
  });
  return known.sort((one, other) => one.generation - other.generation || one.size - other.size);
}

/** Takes what the copies have behind the newest entry, as far as a checkpoint covers it. */
async function takeCopies(
  ledger: Here,
  known: readonly Known[],
  copies: AsyncIterable<CopiedEntry>,
  deadline: () => Deadline,
): Promise<number> {
  let added = 0;
  let chain = await chainFrom(ledger, known, deadline());
  for await (const copy of copies) {
    const run = chain.at(-1);
    // No checkpoint leads further; what there is more is counted only.
    if (run === undefined) continue;
    if (copy.log !== run.log || copy.leaf !== run.from + run.entries.length) continue;
    run.entries.push({ record: copy.record, disclosure: fitting(copy) });
    if (run.until === undefined) {
      if (isEnd(copy.record)) chain.push(nextRun(ledger, run, known));
    } else if (run.from + run.entries.length === run.until.size) {
      checkChain(chain);
      for (const one of chain) added += await adoptRun(ledger, one, deadline);
      chain = await chainFrom(ledger, known, deadline());
    }
  }
  return added;
}

/** Entries of one log that follow what is here. */
interface Run {
  readonly log: string;
  readonly base: number;
  readonly generation: number;
  /** Index in the log of the first of these, and the tree before it. */
  readonly from: number;
  readonly range: Head['range'];
  /** The checkpoint that proves them; absent where the log after this one does, which commits to all of it. */
  readonly until: Known | undefined;
  readonly entries: RecordText[];
}

/** What is to be read next: up to the next checkpoint that is known, over the logs that end before it. */
async function chainFrom(ledger: Here, known: readonly Known[], deadline: Deadline): Promise<Run[]> {
  const head = await ledger.reader.head(deadline);
  const { base, size, generation, range } = head;
  if (!known.some((one) => one.generation > generation || (one.generation === generation && one.size > size)))
    return [];
  const [last] = await ledger.reader.entries(base + size - 1, base + size, deadline);
  const until = known.find((one) => one.generation === generation && one.size > size);
  const here: Run = {
    log: originOf(ledger.origin, generation),
    base,
    generation,
    from: size,
    range,
    until,
    entries: [],
  };
  return last !== undefined && isEnd(last.record) ? [nextRun(ledger, here, known)] : [here];
}

function nextRun({ origin }: Here, { base, from, entries, generation: before }: Run, known: readonly Known[]): Run {
  const generation = before + 1;
  const until = known.find((one) => one.generation === generation);
  const begins = base + from + entries.length;
  return { log: originOf(origin, generation), base: begins, generation, from: 0, range: [], until, entries: [] };
}

function isEnd(text: string): boolean {
  const { type, state } = recordIn(text) ?? {};
  return type === 'roll' && state === 'end';
}

/** The last run by the checkpoint, each before it by the first record of the next. @throws RestoreError */
function checkChain(chain: readonly Run[]): void {
  for (const [at, { from, range, entries, until, log }] of chain.entries()) {
    const leaves = entries.map(({ record }) => leafHash(record));
    const { size, root } = extend(from, range, leaves);
    const first = recordIn(chain[at + 1]?.entries[0]?.record ?? '');
    const proof = until ?? (first && closingOf(first));
    if (proof?.size !== size || !equalBytes(proof.root, root))
      throw new RestoreError(`the copies of ${log} up to ${size} are not the entries that were signed`);
  }
}

/** In batches, once all of it is known to be what was signed. */
async function adoptRun(ledger: Here, run: Run, deadline: () => Deadline): Promise<number> {
  const { base, generation, from, until, entries } = run;
  for (let at = 0; at < entries.length; at += batch) {
    const some = entries.slice(at, at + batch);
    const end = base + from + at + some.length;
    const note = at + batch >= entries.length ? (until?.note ?? null) : null;
    const copied = { generation, base, from: base + from + at, entries: some, checkpoints: [{ end, note }] };
    await ledger.adopt(copied, deadline());
  }
  return entries.length;
}

function recordIn(text: string): LedgerRecord | undefined {
  try {
    return parseRecord(text);
  } catch {
    return undefined;
  }
}

/** A disclosure that is another's, or was changed, is none. */
function fitting({ record, disclosure }: CopiedEntry): string | null {
  if (disclosure === null) return null;
  return recordIn(record)?.identity?.who === whoOf(disclosure) ? disclosure : null;
}
