import { type Deadline, before as inTime } from '../../lib/deadline.ts';
import type { LogReader } from '../ledger.ts';
import type { IndexRow, QueryIndex } from '../query-index.ts';
import { unavailable } from '../unavailable.ts';
import { rowOf } from './index-row.ts';

/** A log that can be asked: of a ledger that is here, or one of its shards. */
export interface Asked {
  readonly origin: string;
  readonly reader: LogReader;
  readonly index?: QueryIndex;
}

/** Entries that a question reads into an index before it is answered, and when it begins no further batch; milliseconds. */
export const freshen = { most: 5_000, ms: 700 } as const;
/** The same of an index whose work here goes on beside others' (in a Durable Object no time passes while it works). */
const freshenHere = { ...freshen, most: 100_000 } as const;
/** Entries read at once, so that nobody else waits for more, and left to an index that reads by itself. */
const batch = { page: 256, byItself: 2_048 } as const;
/** In place of a position: all there is. */
export const open = Number.MAX_SAFE_INTEGER;

/**
 * Reads into its index what a log has more: until the deadline is near, or within `most` entries and `ms` milliseconds. Gives
 * how many entries it has not seen then.
 */
export async function catchUp(
  log: Asked,
  deadline: Deadline,
  { most, ms }: { readonly most: number; readonly ms?: number } = { most: Number.MAX_SAFE_INTEGER },
): Promise<number> {
  const { index, reader } = log;
  if (index === undefined) return 0;
  // A batch that was begun has all the time there is: one that is cut off ends the index's thread.
  const until = deadline.within(ms ?? Number.MAX_SAFE_INTEGER, deadline.left() / 4);
  if (index.follow !== undefined) return followOn(index.follow, index, { most, until, deadline });
  const { batch: together = batch.page } = index;
  /** Read while the batch before it is added. */
  let next: Batch | undefined;
  for (let done = 0; done < most && until.left() > 0; ) {
    // In this order: another process may append and index meanwhile.
    const known = await index.seen(deadline);
    const end = await endOf(reader, deadline);
    const strange = known > end || (await isStrange(index, reader, known, deadline));
    if (strange) await index.clear(deadline);
    const seen = strange ? 0 : known;
    if (seen === end) return 0;
    if (index.read !== undefined && Math.min(end - seen, most - done) > together) {
      const to = Math.min(end, seen + Math.min(batch.byItself, most - done));
      done += to - seen;
      // One that cannot is given as much as it would have read.
      if (
        await index.read(seen, to, deadline).then(
          () => true,
          () => false,
        )
      )
        continue;
    }
    const { rows, to } =
      next?.from === seen ? next : await readBatch(reader, seen, Math.min(end, seen + together), deadline);
    const adding = index.add(rows, seen, to, deadline);
    done += to - seen;
    const reading = to < end && done < most ? readBatch(reader, to, Math.min(end, to + together), deadline) : undefined;
    [, next] = await Promise.all([adding, reading]);
  }
  return missingIn(log, deadline);
}

/** How many entries the index of a log has not seen. */
async function missingIn({ index, reader }: Asked, deadline: Deadline): Promise<number> {
  const seen = (await index?.seen(deadline)) ?? 0;
  return Math.max(0, (await endOf(reader, deadline)) - seen);
}

/** Seen to be of the log that they are asked for. */
const familiar = new WeakSet<QueryIndex>();

/** Whether it was built from another log than this, which was put in that one's place and has grown as large since. */
async function isStrange(index: QueryIndex, reader: LogReader, known: number, deadline: Deadline): Promise<boolean> {
  if (known === 0 || index.timeAt === undefined || familiar.has(index)) return false;
  const time = await index.timeAt(known - 1, deadline);
  const [entry] = await reader.entries(known - 1, known, deadline);
  if (entry === undefined || rowOf(entry).time !== time) return true;
  familiar.add(index);
  return false;
}

/**
 * For an answer that is to be whole: as far as each index gets within `ms`. Gives how many of the entries there were when
 * it began are in none: one that cannot be read on has still seen what it has. Rejects with Refusal.
 */
export async function catchUpAll(logs: readonly Asked[], ms: number, deadline: Deadline): Promise<number> {
  const until = deadline.within(ms);
  const indexed = logs.filter(({ index }) => index !== undefined);
  const ends = await Promise.all(indexed.map(({ reader }) => endOf(reader, deadline)));
  const all = () => Promise.allSettled(indexed.map((log) => catchUp(log, until)));
  await inTime(until, () => unavailable('timeout'), all).catch(() => {});
  const seen = await Promise.all(indexed.map(({ index }) => (index as QueryIndex).seen(deadline)));
  return ends.reduce((missing, end, at) => missing + Math.max(0, end - (seen[at] as number)), 0);
}

interface Batch {
  readonly rows: readonly IndexRow[];
  readonly from: number;
  readonly to: number;
}

async function readBatch(reader: LogReader, from: number, to: number, deadline: Deadline): Promise<Batch> {
  const rows: IndexRow[] = [];
  for (let at = from; at < to; at += batch.page) {
    if (at > from) await breath();
    for (const entry of await reader.entries(at, Math.min(to, at + batch.page), deadline)) rows.push(rowOf(entry));
  }
  return { rows, from, to };
}

/** A log at hand answers at once, without a turn for anybody else. */
const breath = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** As much as one call of `follow` reads, again and again while there is more. */
async function followOn(
  follow: NonNullable<QueryIndex['follow']>,
  index: QueryIndex,
  { most, until, deadline }: { readonly most: number; readonly until: Deadline; readonly deadline: Deadline },
): Promise<number> {
  let missing = 0;
  for (let done = 0, last = -1; until.left() > 0; done += freshen.most) {
    missing = await follow(deadline);
    if (done + freshen.most >= most) break;
    const seen = await index.seen(deadline);
    if (seen === last) break;
    last = seen;
  }
  return missing;
}

/** One more than the newest position. */
export const endOf = async (reader: LogReader, deadline: Deadline): Promise<number> => {
  const { base, size } = await reader.head(deadline);
  return base + size;
};

/** Up to which positions a new question looks, in each log, and how many entries behind these no index has seen. */
export interface Ends {
  readonly ends: readonly number[];
  readonly missing: number;
}

/** Rejects with Refusal. */
export async function freshEnds(logs: readonly Asked[], deadline: Deadline): Promise<Ends> {
  const found = await Promise.all(logs.map((log) => freshEnd(log, logs.length > 1, deadline)));
  return { ends: found.map(({ end }) => end), missing: found.reduce((sum, { missing }) => sum + missing, 0) };
}

/** Beside other logs it must be known, or their pages would not stay. */
async function freshEnd(log: Asked, beside: boolean, deadline: Deadline) {
  if (log.index === undefined) return { end: beside ? await endOf(log.reader, deadline) : open, missing: 0 };
  const missing = await freshened(log, deadline);
  const end = await log.index.seen(deadline);
  return { end, missing: missing ?? (await missingIn(log, deadline)) };
}

/** Whoever asks while another does waits for the same; what did not end in its time, as its request was ended, ends for nobody. */
const freshening = new WeakMap<QueryIndex, { readonly work: Promise<number>; readonly until: Deadline }>();

/**
 * An index that cannot be read on in time, or at all, has still seen what it has: that is what the answer is from. Gives how
 * many entries it lacks; undefined where that was not found out.
 */
export async function freshened(log: Asked, deadline: Deadline): Promise<number | undefined> {
  return inTime<number | undefined>(
    deadline.within(deadline.left() / 2),
    () => unavailable('timeout'),
    () => freshenedOnce(log, deadline),
  ).catch(() => undefined);
}

function freshenedOnce(log: Asked, deadline: Deadline): Promise<number> {
  const index = log.index as QueryIndex;
  // Where the log is, it is done once; here, a promise of another request may never settle (workerd).
  if (index.follow !== undefined) return catchUp(log, deadline, freshen);
  const begun = freshening.get(index);
  if (begun !== undefined && begun.until.left() > 0) return begun.work;
  const work = catchUp(log, deadline, freshenHere).finally(() => {
    if (freshening.get(index)?.work === work) freshening.delete(index);
  });
  freshening.set(index, { work, until: deadline });
  return work;
}
