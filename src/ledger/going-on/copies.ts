import { equalBytes } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { originOf } from '../generation.ts';
import type { Ledger } from '../ledger.ts';
import type { Head } from '../log-store.ts';
import { closingOf } from '../receipts/succession.ts';
import { whoOf } from '../records/disclosure.ts';
import { type LedgerRecord, parseRecord, type RecordText } from '../records/record.ts';
import type { Checkpoint } from '../tree/checkpoint.ts';
import { extend, leafHash } from '../tree/merkle.ts';

/** An entry as a sink or an archive has it. */
export interface CopiedEntry extends RecordText {
  /** Origin of its log. */
  readonly log: string;
  /** Its index in that log. */
  readonly leaf: number;
}

/** Thrown where a restore cannot go on; says why. */
export class RestoreError extends Error {
  override readonly name = 'RestoreError';
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

export interface Known extends Checkpoint {
  readonly generation: number;
  readonly note: string;
}

export type Here = Ledger & Required<Pick<Ledger, 'adopt' | 'roll' | 'reader'>>;

/** Entries of one commit, and characters of their texts: a standby takes each commit whole. */
const batch = { entries: 400, chars: 1024 * 1024 } as const;

/** Where one log stands, or will once it has what the copies lead to. */
export interface Reached extends Pick<Head, 'generation' | 'base' | 'size' | 'range' | 'root'> {
  /** Its last entry names the log that follows. */
  readonly closed: boolean;
}

/**
 * Takes what the copies have behind the newest entry, as far as a checkpoint covers it, and gives it to `take`. They are
 * read until they lead no further: in the order of the logs that is once.
 *
 * @throws RestoreError
 */
export async function takeCopies(
  ledger: Here,
  known: readonly Known[],
  copies: AsyncIterable<CopiedEntry>,
  deadline: () => Deadline,
  take?: (ledger: Here, run: Run, deadline: () => Deadline) => Promise<void>,
): Promise<{ readonly added: number; readonly reached: Reached }> {
  let added = 0;
  let reached = await standingOf(ledger, deadline());
  let chain = chainFrom(ledger, known, reached);
  const early = openEarly();
  let broken: RestoreError | undefined;

  /** Whether it is the one that comes next. */
  async function place(copy: CopiedEntry): Promise<boolean> {
    const run = chain.at(-1);
    // No checkpoint leads further; what there is more is counted only.
    if (run === undefined) return false;
    const next = run.from + run.entries.length;
    if (copy.log === run.log && copy.leaf > next) early.keep(copy);
    if (broken !== undefined || copy.log !== run.log || copy.leaf !== next) return false;
    run.entries.push({ record: copy.record, disclosure: fitting(copy) });
    if (run.until === undefined) {
      if (isEnd(copy.record)) chain.push(nextRun(ledger, run, known));
    } else if (run.from + run.entries.length === run.until.size) {
      broken = faultOf(chain);
      if (broken !== undefined) return false;
      for (const one of chain) {
        await take?.(ledger, one, deadline);
        added += one.entries.length;
      }
      const { generation, base, from, range, entries } = run;
      const grown = extend(
        from,
        range,
        entries.map(({ record: text }) => leafHash(text)),
      );
      reached = { ...grown, generation, base, closed: isEnd(copy.record) };
      chain = chainFrom(ledger, known, reached);
    }
    return true;
  }

  function waiting(): CopiedEntry | undefined {
    const run = chain.at(-1);
    return run && early.give(run.log, run.from + run.entries.length);
  }

  for (let moved = true; moved; ) {
    moved = false;
    for await (const copy of copies)
      for (let one: CopiedEntry | undefined = copy; one !== undefined && (await place(one)); one = waiting())
        moved = true;
    // What else there is tells why, wherever it lies.
    if (broken !== undefined) throw (await doubledIn(chain, copies)) ?? broken;
    if (chain.length === 0) break;
  }
  return { added, reached };
}

/** Characters of what came before its turn, and what each costs besides: what is more is read once more. */
const earlyChars = 64 * 1024 * 1024;
const eachChars = 256;

/** Holds copies that came before their turn: the files of a sink may be named by time, and clocks differ. */
function openEarly() {
  const kept = new Map<string, CopiedEntry>();
  let chars = 0;
  const keyOf = (log: string, leaf: number): string => `${leaf} ${log}`;
  const sizeOf = ({ record, disclosure }: CopiedEntry): number => eachChars + record.length + (disclosure?.length ?? 0);
  return {
    keep(copy: CopiedEntry): void {
      const key = keyOf(copy.log, copy.leaf);
      if (kept.has(key) || chars + sizeOf(copy) > earlyChars) return;
      kept.set(key, copy);
      chars += sizeOf(copy);
    },
    give(log: string, leaf: number): CopiedEntry | undefined {
      const copy = kept.get(keyOf(log, leaf));
      if (copy === undefined) return undefined;
      kept.delete(keyOf(log, leaf));
      chars -= sizeOf(copy);
      return copy;
    },
  };
}

/** Whether it is another entry than the one that was taken for its place. */
function isAnother(chain: readonly Run[], { log, leaf, record }: CopiedEntry): boolean {
  const run = chain.find((one) => one.log === log);
  const taken = run?.entries[leaf - run.from];
  return taken !== undefined && taken.record !== record;
}

async function standingOf({ reader }: Here, deadline: Deadline): Promise<Reached> {
  const head = await reader.head(deadline);
  const end = head.base + head.size;
  const [last] = await reader.entries(end - 1, end, deadline);
  return { ...head, closed: last !== undefined && isEnd(last.record) };
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
function chainFrom(ledger: Here, known: readonly Known[], { base, size, generation, range, closed }: Reached): Run[] {
  if (!known.some((one) => one.generation > generation || (one.generation === generation && one.size > size)))
    return [];
  const until = known.find((one) => one.generation === generation && one.size > size);
  const log = originOf(ledger.origin, generation);
  const run: Run = { log, base, generation, from: size, range, until, entries: [] };
  return closed ? [nextRun(ledger, run, known)] : [run];
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

/** The last run by the checkpoint, each before it by the first record of the next; undefined: they are what was signed. */
function faultOf(chain: readonly Run[]): RestoreError | undefined {
  for (const [at, { from, range, entries, until, log }] of chain.entries()) {
    const leaves = entries.map(({ record }) => leafHash(record));
    const { size, root } = extend(from, range, leaves);
    const first = recordIn(chain[at + 1]?.entries[0]?.record ?? '');
    const proof = until ?? (first && closingOf(first));
    if (proof?.size !== size || !equalBytes(proof.root, root))
      return new RestoreError(`the copies of ${log} up to ${size} are not the entries that were signed`);
  }
  return undefined;
}

/** That there are two of one place, if there are. */
async function doubledIn(chain: readonly Run[], copies: AsyncIterable<CopiedEntry>): Promise<RestoreError | undefined> {
  for await (const copy of copies)
    if (isAnother(chain, copy))
      return new RestoreError(
        `the copies have two entries ${copy.leaf} of ${copy.log}, of which the wrong one came first`,
        'the log was written anew from there on: leave out what was copied of the other; an s3 sink has put some of it beside, as NAME-HASH.ndjson',
      );
  return undefined;
}

/** In batches, once all of it is known to be what was signed. */
export async function adoptRun(ledger: Here, run: Run, deadline: () => Deadline): Promise<void> {
  const { base, generation, from, until, entries } = run;
  for (let at = 0; at < entries.length; ) {
    const some = commitOf(entries, at);
    const first = base + from + at;
    at += some.length;
    const note = at >= entries.length ? (until?.note ?? null) : null;
    const checkpoints = [{ end: base + from + at, note }];
    await ledger.adopt({ generation, base, from: first, entries: some, checkpoints }, deadline());
  }
}

/** What one commit takes of them, and one at least. */
function commitOf(entries: readonly RecordText[], from: number): readonly RecordText[] {
  let to = from;
  for (let chars = 0; to < entries.length && to - from < batch.entries; to++) {
    const { record, disclosure } = entries[to] as RecordText;
    chars += record.length + (disclosure?.length ?? 0);
    if (chars > batch.chars && to > from) break;
  }
  return entries.slice(from, to);
}

export function recordIn(text: string): LedgerRecord | undefined {
  try {
    return parseRecord(text);
  } catch {
    return undefined;
  }
}

/** A disclosure that is another's, or was changed, is none. */
export function fitting({ record, disclosure }: Pick<CopiedEntry, 'record' | 'disclosure'>): string | null {
  if (disclosure === null) return null;
  return recordIn(record)?.identity?.who === whoOf(disclosure) ? disclosure : null;
}
