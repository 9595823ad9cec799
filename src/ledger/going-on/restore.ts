import { equalBytes } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { isFree, pledgeIn, pledgeName } from '../confirming/pledge.ts';
import { originOf } from '../generation.ts';
import type { Ledger, RollRequest } from '../ledger.ts';
import { logNamed } from '../log-name.ts';
import type { Head } from '../log-store.ts';
import { closingOf } from '../receipts/succession.ts';
import { parseRecord, type RecordText } from '../records/record.ts';
import { openCheckpoint } from '../tree/checkpoint.ts';
import { NoteError, noteVerifier, vkeyAs } from '../tree/note.ts';
import {
  adoptRun,
  type CopiedEntry,
  type Here,
  type Known,
  type Reached,
  RestoreError,
  recordIn,
  takeCopies,
} from './copies.ts';
import { type FullerCopies, openFullerCopies } from './fuller-copies.ts';
import { keepTokenLife } from './once-gate.ts';

export interface RestoreSources {
  /** Signed checkpoints of this ledger that were kept elsewhere. */
  readonly checkpoints: readonly string[];
  /** Copies of entries, best in the order of the logs; repeated ones are skipped. Read more than once. */
  readonly copies: AsyncIterable<CopiedEntry>;
  /** How long a workload token lives at most, milliseconds: so long none that may be used once is taken after a gap. */
  readonly tokenLife?: number;
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

/** What is to become of one log; nothing of it is done yet. */
interface Planned {
  readonly log: Here;
  readonly known: readonly Known[];
  readonly reached: Reached;
  readonly added: number;
  readonly leftOut: number;
  readonly fuller: FullerCopies;
  /** A run before this one, that was cut off, has ended it. */
  readonly done: boolean;
}

/**
 * Brings a ledger that was put back from a backup as far as the copies of its entries lead, by the checkpoints kept
 * elsewhere, and begins its next log: the old one may have had more than anybody here knows of, and brokers may have seen it.
 * Of several shards each goes by its own copies and checkpoints; where one does not fit, nothing is written to any. Cut off,
 * it is told again.
 *
 * @throws RestoreError, Refusal
 */
export async function restoreLedger(
  ledger: Ledger,
  { checkpoints, copies, tokenLife }: RestoreSources,
  deadline: () => Deadline,
): Promise<Restored[]> {
  const logs = (ledger.shards ?? [ledger]).map(here);
  const known = await readKnown(logs, checkpoints, deadline());
  await refusePromised(logs, deadline());
  const begun = await readBegun(logs, deadline());
  const plans: Planned[] = [];
  for (const [at, log] of logs.entries())
    plans.push(await planFor(log, known[at] as Known[], copies, begun?.[at], deadline));
  for (const { log, known: notes, done, fuller } of plans)
    if (!done) await takeCopies(log, notes, fuller.of(copies), deadline, adoptRun);
  if (tokenLife !== undefined) await keepTokenLife(ledger, tokenLife, deadline());
  // Of several, those that have ended are not ended once more by the run after one that was cut off.
  if (logs.length > 1) await writeBegun(plans, begun, deadline());
  const restored: Restored[] = [];
  for (const plan of plans) restored.push(await goOn(plan, deadline));
  if (logs.length > 1) {
    await handLockdowns(logs, deadline);
    await keepText(logs, null, deadline());
  }
  return restored;
}

/** What a standby relies on does not go back: it has all that was answered. @throws RestoreError */
async function refusePromised([first]: readonly Here[], deadline: Deadline): Promise<void> {
  const pledge = pledgeIn(await first?.texts?.read(pledgeName, deadline));
  if (pledge === undefined || isFree(pledge)) return;
  throw new RestoreError(
    `the standby ${pledge.standby} relies on this ledger and has all that was answered`,
    'promote it: hallpass ledger promote; where it is gone for good: hallpass ledger forget-standby',
  );
}

function here(log: Ledger): Here {
  const { reader, adopt, roll } = log;
  if (reader === undefined || adopt === undefined || roll === undefined)
    throw new RestoreError('this ledger keeps no log here');
  return { ...log, reader, adopt, roll };
}

/** Reads all copies for one log, and writes nothing. @throws RestoreError where it cannot be brought to its newest checkpoint */
async function planFor(
  log: Here,
  known: readonly Known[],
  copies: AsyncIterable<CopiedEntry>,
  ends: number | undefined,
  deadline: () => Deadline,
): Promise<Planned> {
  const head = await log.reader.head(deadline());
  const seen = new Map<string, Set<number>>();
  const fuller = openFullerCopies();
  const noted = { [Symbol.asyncIterator]: () => noting(copies, behind(log.origin, head), seen, fuller) };
  const { added, reached } = await takeCopies(log, known, noted, deadline);
  const newest = known.at(-1);
  if (newest !== undefined && newest.generation > reached.generation)
    throw new RestoreError(
      `the copies do not lead to ${newest.origin}, of which a checkpoint was given: ${originOf(log.origin, reached.generation)} is known up to ${reached.size}`,
      'give the --records or --tiles that reach from there to it',
    );
  endOf(reached, known);
  const isLeft = behind(log.origin, reached);
  const left = [...seen].map(([name, leaves]) => [...leaves].filter((leaf) => isLeft({ log: name, leaf })).length);
  const leftOut = left.reduce((sum, count) => sum + count, 0);
  // A log that has anything but its first entry was written to since.
  const done = ends === head.generation - 1 && reached.generation === head.generation && reached.size === 1;
  return { log, known, reached, added, leftOut, fuller, done };
}

/** Ends a log where it is, and begins the next. */
async function goOn({ log, known, added, leftOut, done }: Planned, deadline: () => Deadline): Promise<Restored> {
  const head = await log.reader.head(deadline());
  const before = head.ended.at(-1);
  if (done && before !== undefined) {
    const [first] = await log.reader.entries(head.base, head.base + 1, deadline());
    const size = closingOf(parseRecord(first?.record ?? ''))?.size ?? before.size;
    const [ended, now] = [before.generation, head.generation].map((each) => originOf(log.origin, each));
    return { added, ended: ended as string, kept: before.size, known: size, leftOut, log: now as string };
  }
  const lost = endOf(head, known);
  const { log: next } = await log.roll({ generation: head.generation, lost, reason: 'restored' }, deadline());
  return { added, ended: originOf(log.origin, head.generation), kept: head.size, known: lost.size, leftOut, log: next };
}

/** Kept beside the first of several logs while a restore ends them one after another: which generation of each. */
const begunName = 'restoring';

async function readBegun([first]: readonly Here[], deadline: Deadline): Promise<readonly number[] | undefined> {
  const text = await first?.texts?.read(begunName, deadline);
  return text === undefined ? undefined : text.split(' ').map(Number);
}

const writeBegun = (plans: readonly Planned[], begun: readonly number[] | undefined, deadline: Deadline) => {
  const ends = plans.map(({ reached, done }, at) => (done ? (begun?.[at] as number) : reached.generation));
  return keepText(
    plans.map(({ log }) => log),
    ends.join(' '),
    deadline,
  );
};

async function keepText([first]: readonly Here[], text: string | null, deadline: Deadline): Promise<void> {
  const was = await first?.texts?.read(begunName, deadline);
  await first?.texts?.write(begunName, was, text, deadline);
}

/** A lockdown that the first shard has lost and another still has is taken back from there: the first has all of them. */
async function handLockdowns(logs: readonly Here[], deadline: () => Deadline): Promise<void> {
  const heads = await Promise.all(logs.map(({ reader }) => reader.head(deadline())));
  const epochs = heads.map(({ epoch }) => epoch);
  const [first, most] = [logs[0] as Here, Math.max(...epochs)];
  const from = logs[epochs.indexOf(most)] as Here;
  for (let epoch = (epochs[0] as number) + 1; epoch <= most; epoch++) {
    const { record, disclosure } = await lockdownOf(from, epoch, deadline());
    await first.copy?.({ record, disclosure }, deadline());
  }
}

async function lockdownOf({ reader, origin }: Here, epoch: number, deadline: Deadline): Promise<RecordText> {
  let before: number | undefined;
  for (;;) {
    const page = await reader.list({ type: 'lockdown', limit: 100, ...(before !== undefined && { before }) }, deadline);
    const found = page.find(({ record }) => recordIn(record)?.epoch === epoch);
    if (found !== undefined) return found;
    before = page.at(-1)?.index;
    if (before === undefined) throw new RestoreError(`${origin} has lost the lockdown that began epoch ${epoch}`);
  }
}

/** Notes which entries behind `head` there are copies of: sinks repeat some, and not all tell as much. */
async function* noting(
  copies: AsyncIterable<CopiedEntry>,
  isBehind: (copy: CopiedEntry) => boolean,
  seen: Map<string, Set<number>>,
  fuller: FullerCopies,
): AsyncGenerator<CopiedEntry> {
  for await (const copy of copies) {
    if (isBehind(copy)) {
      seen.set(copy.log, (seen.get(copy.log) ?? new Set()).add(copy.leaf));
      fuller.note(copy);
    }
    yield copy;
  }
}

/** Whether an entry lies behind the newest one here. */
const behind =
  (origin: string, { generation, size }: Pick<Head, 'generation' | 'size'>) =>
  ({ log, leaf }: Pick<CopiedEntry, 'log' | 'leaf'>): boolean => {
    const named = logNamed(origin, log);
    if (named === undefined || named.shard !== undefined) return false;
    return named.generation > generation || (named.generation === generation && leaf >= size);
  };

/** The largest tree known of the log that ends here. @throws RestoreError where it is of other entries */
function endOf(
  head: Pick<Head, 'generation' | 'size' | 'root'>,
  known: readonly Known[],
): NonNullable<RollRequest['lost']> {
  const last = known.findLast(({ generation }) => generation === head.generation);
  if (last === undefined || last.size < head.size) return { size: head.size, root: head.root };
  if (last.size === head.size && !equalBytes(last.root, head.root))
    throw new RestoreError('the backup is not of the log whose checkpoint was given');
  return { size: last.size, root: last.root };
}

/** Of each log, by generation and size. @throws RestoreError for one that this ledger's key did not sign */
async function readKnown(logs: readonly Here[], notes: readonly string[], deadline: Deadline): Promise<Known[][]> {
  const known = logs.map((): Known[] => []);
  for (const note of notes) {
    const name = note.slice(0, note.indexOf('\n'));
    const named = logs.map(({ origin }) => logNamed(origin, name));
    const at = named.findIndex((log) => log !== undefined && log.shard === undefined);
    const { generation } = named[at] ?? {};
    if (generation === undefined) throw new RestoreError('a checkpoint is not of this ledger');
    const vkey = await (logs[at] as Here).key(deadline);
    try {
      known[at]?.push({ ...openCheckpoint(noteVerifier(vkeyAs(vkey, name)), note), generation, note });
    } catch (error) {
      if (error instanceof NoteError) throw new RestoreError(`a checkpoint does not verify: ${error.reason}`);
      throw error;
    }
  }
  const bare = logs.filter((_, at) => known[at]?.length === 0).map(({ origin }) => origin);
  if (notes.length > 0 && bare.length > 0)
    throw new RestoreError(`each shard wants its own newest checkpoint; none is of ${bare.join(', ')}`);
  for (const some of known) {
    some.sort((one, other) => one.generation - other.generation || one.size - other.size);
    refuseForked(some);
  }
  return known;
}

/** Of two trees of one size one was signed for a log that was written anew: which, nobody knows here. @throws RestoreError */
function refuseForked(known: readonly Known[]): void {
  for (const [at, one] of known.entries()) {
    const before = known[at - 1];
    if (before?.generation !== one.generation || before.size !== one.size || equalBytes(before.root, one.root))
      continue;
    throw new RestoreError(
      `two checkpoints of ${one.origin} with ${one.size} entries are of different trees: the log was written anew`,
      'keep both, as they prove it; give those alone that are of the log to go on with',
    );
  }
}
