import { type Deadline, before as inTime } from '../../lib/deadline.ts';
import type { Ledger, LogReader, PlacedEntry } from '../ledger.ts';
import type { IndexFilter, IndexRow, QueryIndex } from '../query-index.ts';
import type { RecordType } from '../records/record.ts';
import { unavailable } from '../unavailable.ts';
import { canFit, fitter, rowOf } from './index-row.ts';

/** A log that can be asked: of a ledger that is here, or one of its shards. */
export interface Asked {
  readonly origin: string;
  readonly reader: LogReader;
  readonly index?: QueryIndex;
}

export interface Question {
  readonly filter: IndexFilter;
  /** Only positions below this, by log; default: all that its index has seen. */
  readonly before?: readonly number[];
  readonly limit: number;
}

export interface Page {
  /** The newest first, by time; of one log always by position. */
  readonly entries: readonly PlacedEntry[];
  /** `before` of the next page; absent on the last one. What is appended meanwhile is on none of them. */
  readonly next?: readonly number[];
  /** Of a first page, where all logs have an index: how far each, by origin, was looked through; positions below. */
  readonly indexed?: Readonly<Record<string, number>>;
}

/** Entries that a question reads into an index before it is answered, and when it begins no further batch; milliseconds. */
export const freshen = { most: 5_000, ms: 700 } as const;
/** Entries read at once, so that nobody else waits for more, and left to an index that reads by itself. */
const batch = { page: 256, byItself: 2_048 } as const;
/** Entries a question without an index looks at for one page. */
const scanned = 20_000;
const scanPage = 1_000;
/** Entries read at once, and when a page is full though it has room for more: characters of records and disclosures. */
const read = { atOnce: 250, most: 4 * 1024 * 1024 } as const;
/** In place of a position: all there is. */
const open = Number.MAX_SAFE_INTEGER;

/** The logs of a ledger that is here; empty where it is elsewhere. */
export function askedOf(ledger: Ledger): readonly Asked[] {
  return (ledger.shards ?? [ledger]).filter((one): one is Ledger & Asked => one.reader !== undefined);
}

/** One page of what fits. Rejects with Refusal. */
export async function answerQuestion(
  logs: readonly Asked[],
  { filter, before, limit }: Question,
  deadline: Deadline,
): Promise<Page> {
  const ends = before ?? (await freshEnds(logs, deadline));
  const parts = await Promise.all(
    logs.map(async (log, at) => {
      const end = ends[at] as number;
      return { end, ...(await partOf(log, filter, end, limit, deadline)) };
    }),
  );
  const { entries, next } = merge(parts, limit);
  const indexed = Object.fromEntries(logs.map(({ origin }, at) => [origin, parts[at]?.end as number]));
  return {
    entries,
    ...(next.some((position) => position > 0) && { next }),
    ...(before === undefined && logs.every(({ index }) => index !== undefined) && { indexed }),
  };
}

/** Entries of each log that one answer of `newerThan` goes through. */
const newerEntries = 2_000;

/** What came at these positions and after them, the newest first; `reached`: where to go on. Needs no index. */
export async function newerThan(
  logs: readonly Asked[],
  filter: IndexFilter,
  after: readonly number[],
  deadline: Deadline,
): Promise<{ readonly entries: readonly PlacedEntry[]; readonly reached: readonly number[] }> {
  const fits = fitter(filter);
  const parts = await Promise.all(
    logs.map(async ({ reader }, at) => {
      const from = after[at] as number;
      const most = Math.max(from, Math.min(await endOf(reader, deadline), from + newerEntries));
      const entries: PlacedEntry[] = [];
      let end = from;
      for (let size = 0; end < most && size < read.most; ) {
        const some = await reader.entries(end, Math.min(most, end + read.atOnce), deadline);
        end = Math.min(most, end + read.atOnce);
        size += sizeOf(some);
        for (const entry of some) if (fits(rowOf(entry))) entries.push(entry);
      }
      return { entries: entries.reverse(), rest: 0, end };
    }),
  );
  return { entries: merge(parts, open).entries, reached: parts.map(({ end }) => end) };
}

/** How many fit, up to `most`; by the indexes alone. */
export async function countFitting(
  logs: readonly Asked[],
  filter: IndexFilter,
  most: number,
  deadline: Deadline,
): Promise<number> {
  if (!canFit(filter)) return 0;
  const found = logs.map(({ index }) => index?.find(filter, open, most, deadline) ?? []);
  return Math.min(
    most,
    (await Promise.all(found)).reduce((sum, { length }) => sum + length, 0),
  );
}

/** Reads into its index what a log has more: until the deadline is near, or within `most` entries and `ms` milliseconds. */
export async function catchUp(
  log: Asked,
  deadline: Deadline,
  { most, ms }: { readonly most: number; readonly ms?: number } = { most: Number.MAX_SAFE_INTEGER },
): Promise<void> {
  const { index, reader } = log;
  if (index === undefined) return;
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
    // Of another log than this, which was put in its place.
    if (known > end) await index.clear(deadline);
    const seen = known > end ? 0 : known;
    if (seen === end) return;
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
): Promise<void> {
  for (let done = 0, last = -1; until.left() > 0; done += freshen.most) {
    await follow(deadline);
    if (done + freshen.most >= most) return;
    const seen = await index.seen(deadline);
    if (seen === last) return;
    last = seen;
  }
}

const endOf = async (reader: LogReader, deadline: Deadline): Promise<number> => {
  const { base, size } = await reader.head(deadline);
  return base + size;
};

/** Up to which positions a new question looks. Rejects with Refusal. */
export const freshEnds = (logs: readonly Asked[], deadline: Deadline): Promise<readonly number[]> =>
  Promise.all(logs.map((log) => freshEnd(log, logs.length > 1, deadline)));

/** Beside other logs it must be known, or their pages would not stay. */
async function freshEnd(log: Asked, beside: boolean, deadline: Deadline): Promise<number> {
  if (log.index === undefined) return beside ? endOf(log.reader, deadline) : open;
  await freshened(log, deadline);
  return log.index.seen(deadline);
}

/** Whoever asks while another does waits for the same; what did not end in its time, as its request was ended, ends for nobody. */
const freshening = new WeakMap<QueryIndex, { readonly work: Promise<void>; readonly until: Deadline }>();

/** An index that cannot be read on in time, or at all, has still seen what it has: that is what the answer is from. */
async function freshened(log: Asked, deadline: Deadline): Promise<void> {
  await inTime(
    deadline.within(deadline.left() / 2),
    () => unavailable('timeout'),
    () => freshenedOnce(log, deadline),
  ).catch(() => {});
}

function freshenedOnce(log: Asked, deadline: Deadline): Promise<void> {
  const index = log.index as QueryIndex;
  // Where the log is, it is done once; here, a promise of another request may never settle (workerd).
  if (index.follow !== undefined) return catchUp(log, deadline, freshen);
  const begun = freshening.get(index);
  if (begun !== undefined && begun.until.left() > 0) return begun.work;
  const work = catchUp(log, deadline, freshen).finally(() => {
    if (freshening.get(index)?.work === work) freshening.delete(index);
  });
  freshening.set(index, { work, until: deadline });
  return work;
}

/** What one log has, newest first. */
interface Part {
  readonly entries: readonly PlacedEntry[];
  /** Where to go on once all of these are told; 0: nowhere. */
  readonly rest: number;
}

async function partOf(
  log: Asked,
  filter: IndexFilter,
  before: number,
  limit: number,
  deadline: Deadline,
): Promise<Part> {
  if (before === 0 || !canFit(filter)) return { entries: [], rest: 0 };
  if (log.index === undefined) return scan(log.reader, filter, before, limit, deadline);
  const positions = await log.index.find(filter, before, limit, deadline);
  const found: PlacedEntry[] = [];
  let told = 0;
  for (let size = 0; told < positions.length && size < read.most; told += read.atOnce) {
    const some = await entriesAt(log.reader, positions.slice(told, told + read.atOnce), deadline);
    size += sizeOf(some);
    found.push(...some);
  }
  const fits = fitter(filter);
  // An index is a copy: what it names is looked at itself.
  const entries = found.filter((entry) => fits(rowOf(entry))).sort((a, b) => b.index - a.index);
  const all = told >= positions.length;
  return {
    entries,
    rest: all && positions.length < limit ? 0 : (positions[all ? positions.length - 1 : told - 1] as number),
  };
}

const sizeOf = (entries: readonly PlacedEntry[]): number =>
  entries.reduce((sum, { record, disclosure }) => sum + record.length + (disclosure?.length ?? 0), 0);

async function entriesAt(
  reader: LogReader,
  positions: readonly number[],
  deadline: Deadline,
): Promise<readonly PlacedEntry[]> {
  if (reader.at !== undefined) return reader.at(positions, deadline);
  const pages = await Promise.all(positions.map((position) => reader.entries(position, position + 1, deadline)));
  return pages.flat();
}

/** Without an index: page after page of the log, as far as one answer goes. */
async function scan(
  reader: LogReader,
  { type, ...filter }: IndexFilter,
  before: number,
  limit: number,
  deadline: Deadline,
): Promise<Part> {
  const fits = fitter(filter);
  const plain = Object.values(filter).every((value) => value === undefined);
  const size = plain ? limit : scanPage;
  const entries: PlacedEntry[] = [];
  let rest = before;
  for (let seen = 0; seen < scanned && rest > 0; ) {
    const about = { ...(rest !== open && { before: rest }), ...(type !== undefined && { type: type as RecordType }) };
    const page = await reader.list({ limit: size, ...about }, deadline);
    for (const entry of page) {
      if (!fits(rowOf(entry))) continue;
      entries.push(entry);
      if (entries.length === limit) return { entries, rest: entry.index };
    }
    rest = page.length < size ? 0 : (page.at(-1)?.index ?? 0);
    seen += size;
    if (deadline.left() <= 0) throw unavailable('timeout');
  }
  return { entries, rest };
}

/** The newest of each in turn. One whose entries are told and that has more ends the page: the next one begins with it. */
function merge(
  parts: readonly (Part & { readonly end: number })[],
  limit: number,
): { readonly entries: PlacedEntry[]; readonly next: number[] } {
  const alone = parts.length === 1;
  const heads = parts.map(({ entries, rest, end }) => ({
    entries,
    times: alone ? [] : entries.map(timeOf),
    rest,
    end,
    at: 0,
  }));
  const entries: PlacedEntry[] = [];
  while (entries.length < limit) {
    if (heads.some(({ at, entries: own, rest }) => at === own.length && rest > 0)) break;
    let newest: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.at === head.entries.length) continue;
      if (newest === undefined || (head.times[head.at] as number) > (newest.times[newest.at] as number)) newest = head;
    }
    if (newest === undefined) break;
    entries.push(newest.entries[newest.at++] as PlacedEntry);
  }
  const next = heads.map(({ entries: own, at, rest, end }) => {
    if (at === own.length) return rest;
    return at === 0 ? end : (own[at - 1] as PlacedEntry).index;
  });
  return { entries, next };
}

const timeOf = (entry: PlacedEntry): number => rowOf(entry).time;
