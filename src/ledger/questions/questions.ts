import type { Deadline } from '../../lib/deadline.ts';
import type { Ledger, LogReader, PlacedEntry } from '../ledger.ts';
import type { IndexFilter, QueryIndex } from '../query-index.ts';
import type { RecordType } from '../records/record.ts';
import { unavailable } from '../unavailable.ts';
import { type Asked, endOf, freshEnds, freshened, open } from './catch-up.ts';
import { canFit, fitter, rowOf } from './index-row.ts';

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
  /** Likewise, where there are any: the ledger's newest entries that were not looked through, as no index has seen them yet. */
  readonly missing?: number;
}

/** Entries a question without an index looks at for one page. */
const scanned = 20_000;
const scanPage = 1_000;
/** Entries read at once, and when a page is full though it has room for more: characters of records and disclosures. */
const read = { atOnce: 250, most: 4 * 1024 * 1024 } as const;

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
  const { ends, missing } = before === undefined ? await freshEnds(logs, deadline) : { ends: before, missing: 0 };
  const parts = await Promise.all(
    logs.map(async (log, at) => {
      const end = ends[at] as number;
      return { end, ...(await partOf(log, filter, { before: end, later: before !== undefined }, limit, deadline)) };
    }),
  );
  const { entries, next } = merge(parts, limit);
  const indexed = Object.fromEntries(logs.map(({ origin }, at) => [origin, parts[at]?.end as number]));
  return {
    entries,
    ...(next.some((position) => position > 0) && { next }),
    ...(before === undefined && logs.every(({ index }) => index !== undefined) && { indexed }),
    ...(missing > 0 && { missing }),
  };
}

/** Entries of each log that one answer of `newerThan` goes through at most. */
export const newerEntries = 2_000;

/** What came at these positions and after them, the newest first; `reached`: where to go on. Needs no index. */
export async function newerThan(
  logs: readonly Asked[],
  filter: IndexFilter,
  after: readonly number[],
  deadline: Deadline,
  most = newerEntries,
): Promise<{ readonly entries: readonly PlacedEntry[]; readonly reached: readonly number[] }> {
  const fits = fitter(filter);
  const parts = await Promise.all(
    logs.map(async ({ reader }, at) => {
      const from = after[at] as number;
      const until = Math.max(from, Math.min(await endOf(reader, deadline), from + most));
      const entries: PlacedEntry[] = [];
      let end = from;
      for (let size = 0; end < until && size < read.most; ) {
        const some = await reader.entries(end, Math.min(until, end + read.atOnce), deadline);
        end = Math.min(until, end + read.atOnce);
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

/** What one log has, newest first. */
interface Part {
  readonly entries: readonly PlacedEntry[];
  /** Where to go on once all of these are told; 0: nowhere. */
  readonly rest: number;
}

async function partOf(
  log: Asked,
  filter: IndexFilter,
  { before, later }: { readonly before: number; readonly later: boolean },
  limit: number,
  deadline: Deadline,
): Promise<Part> {
  if (before === 0 || !canFit(filter)) return { entries: [], rest: 0 };
  if (log.index === undefined) return scan(log.reader, filter, before, limit, deadline);
  // One more than is wanted says whether there is another page.
  const find = () => (log.index as QueryIndex).find(filter, before, limit + 1, deadline);
  const fitting = later ? await findLater(log, log.index, find, before, deadline) : await find();
  const positions = fitting.slice(0, limit);
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
  const last = positions[all ? positions.length - 1 : told - 1] as number;
  return { entries, rest: all && fitting.length <= limit ? 0 : last };
}

/** An index that was emptied since the first page, to be built again, finds less than there is: it is read on, or refuses. */
async function findLater(
  log: Asked,
  index: QueryIndex,
  find: () => Promise<readonly number[]>,
  before: number,
  deadline: Deadline,
): Promise<readonly number[]> {
  const found = await find();
  if ((await index.seen(deadline)) >= before) return found;
  await freshened(log, deadline);
  const again = await find();
  const end = Math.min(before, await endOf(log.reader, deadline));
  if ((await index.seen(deadline)) < end) throw unavailable('index_behind');
  return again;
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
  const size = plain ? limit + 1 : scanPage;
  const entries: PlacedEntry[] = [];
  let rest = before;
  for (let seen = 0; seen < scanned && rest > 0; ) {
    const about = { ...(rest !== open && { before: rest }), ...(type !== undefined && { type: type as RecordType }) };
    const page = await reader.list({ limit: size, ...about }, deadline);
    for (const entry of page) {
      if (!fits(rowOf(entry))) continue;
      if (entries.length === limit) return { entries, rest: (entries.at(-1) as PlacedEntry).index };
      entries.push(entry);
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
