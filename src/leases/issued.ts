import { everyWriter, type Ledger, type LogReader, type PlacedEntry } from '../ledger/ledger.ts';
import type { IndexFilter, QueryIndex } from '../ledger/query-index.ts';
import { openDisclosure } from '../ledger/records/disclosure.ts';
import { type LedgerRecord, parseRecord, type RecordType } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Lockdown } from '../lib/lockdown.ts';
import { Refusal } from '../lib/refusal.ts';
import { parseInstant } from '../lib/time.ts';
import type { Policy } from '../policy/policy.ts';
import { inParallel } from './in-parallel.ts';
import { type LeaseStory, readStory } from './story.ts';

/** An issuance that a lockdown's match fits, or may fit: what it depends on is erased, or known to another policy only. */
export interface Issued {
  readonly record: LedgerRecord;
  /** `identity.name`; absent once it is erased. */
  readonly name?: string | undefined;
  readonly fits: true | undefined;
  readonly place: Place;
}

/** Where a search goes on: in which log of the ledger, below which position (absent: at its end). */
export interface Place {
  readonly log: number;
  readonly before?: number;
}

export interface IssuedDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'reader' | 'index' | 'shards'>;
  readonly policy: Pick<Policy, 'covers' | 'hash'>;
  readonly ledgerMs: number;
}

export interface Search {
  readonly match: Lockdown['match'];
  /** Milliseconds; what was issued before is not looked at. */
  readonly since: number;
}

export type Renewed = ReadonlyMap<string, number>;

export interface FoundPage {
  readonly found: readonly Issued[];
  /**
   * Of those that do not fit, so many were decided under another policy than this one, though the match names a role or a
   * store: they may have been given by that role, or have needed that store, by then.
   */
  readonly otherwise: number;
  readonly next?: Place;
}

/** What a match was issued, as the log says. All reject with Refusal ledger_unavailable. */
export interface IssuedSearch {
  /** How many logs the ledger has; they are gone through one after the other. */
  readonly logs: number;
  /** What fits on one page of the log, newest first; `next` is absent on the last. */
  page(search: Search, from: Place, deadline: Deadline): Promise<FoundPage>;
  /**
   * When leases end that were renewed since then, by issuance, milliseconds; undefined where half of the time was not enough
   * to look at all of them: any may be alive then.
   */
  renewed(since: number, deadline: Deadline): Promise<Renewed | undefined>;
  /** The leases of these issuances, by id. */
  stories(issued: readonly Issued[], deadline: Deadline): Promise<ReadonlyMap<string, LeaseStory>>;
}

const pageLimit = 1_000;
const atOnce = 8;
/** Records of one time may be this far apart in the log, milliseconds. */
const skew = 60_000;

interface Page {
  readonly entries: readonly PlacedEntry[];
  /** Absent: no later page of this log has anything since then. */
  readonly before?: number;
}

export function openIssuedSearch({ ledger, policy, ledgerMs }: IssuedDeps): IssuedSearch {
  const logs = ledger.shards ?? [ledger];

  const readerOf = (log: number): LogReader => {
    const reader = logs[log]?.reader;
    if (reader === undefined) throw new Refusal('ledger_unavailable', 'no_reader');
    return reader;
  };

  /** A page of one type from the log itself. */
  async function listed(type: RecordType, { log, before }: Place, since: number, deadline: Deadline): Promise<Page> {
    const filter = { type, limit: pageLimit, ...(before !== undefined && { before }) };
    const entries = await readerOf(log).list(filter, deadline.within(ledgerMs));
    const last = entries.at(-1);
    const over = last === undefined || entries.length < pageLimit || timeOf(last) < since - skew;
    return { entries, ...(!over && { before: last.index }) };
  }

  /** A page of issuances: what is in the index by the index, what is newer from the log itself. */
  async function issuances(search: Search, place: Place, deadline: Deadline): Promise<Page> {
    const { log, before = Number.MAX_SAFE_INTEGER } = place;
    const index = logs[log]?.index;
    const seen = (await index?.seen(deadline.within(ledgerMs)).catch(() => 0)) ?? 0;
    if (index === undefined || before > seen) return listed('issuance', place, search.since, deadline);
    // The log knows all that the index knows: where that fails, it only takes longer.
    return await indexed(readerOf(log), index, search, before, deadline).catch(() =>
      listed('issuance', place, search.since, deadline),
    );
  }

  async function indexed(
    reader: LogReader,
    index: QueryIndex,
    search: Search,
    before: number,
    deadline: Deadline,
  ): Promise<Page> {
    const filter = await indexFilter(search, deadline);
    const positions = await index.find(filter, before, pageLimit, deadline.within(ledgerMs));
    // Emptied meanwhile, to be built again, it finds less than there is.
    if ((await index.seen(deadline.within(ledgerMs))) < before) throw new Refusal('ledger_unavailable', 'index_behind');
    const entries = await entriesAt(reader, positions, deadline.within(ledgerMs));
    const last = positions.length < pageLimit ? undefined : positions.at(-1);
    return { entries, ...(last !== undefined && { before: last }) };
  }

  async function indexFilter({ match, since }: Search, deadline: Deadline): Promise<IndexFilter> {
    const { issuer, grant, credential, identity } = match;
    // Any shard may have the record of what was erased in another.
    const newest = await Promise.all(
      logs.map((_, log) => readerOf(log).list({ type: 'erasure', limit: 1 }, deadline.within(ledgerMs))),
    );
    // By name alone an erased one would not be found, nor counted as unknown.
    const erased = newest.flat().some((erasure) => timeOf(erasure) >= since - skew);
    const filter = { type: 'issuance', from: since, issuer, grant, credential, name: erased ? undefined : identity };
    return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  }

  /** Where the next page begins: of this log, or of the next shard. */
  function after({ log }: Place, { before }: Page): { readonly next?: Place } {
    if (before !== undefined) return { next: { log, before } };
    return log + 1 < logs.length ? { next: { log: log + 1 } } : {};
  }

  return {
    logs: logs.length,
    async page(search, from, deadline) {
      const page = await issuances(search, from, deadline);
      const found: Issued[] = [];
      const byConfig = search.match.role !== undefined || search.match.store !== undefined;
      let otherwise = 0;
      for (const entry of page.entries) {
        const record = parseRecord(entry.record);
        if ((parseInstant(record.time) ?? 0) < search.since) continue;
        const name = nameIn(entry);
        const fits = policy.covers(search.match, factsOf(record, name));
        if (fits === false && byConfig && record.policy !== policy.hash) otherwise++;
        if (fits !== false) found.push({ record, name, fits, place: { log: from.log, before: entry.index } });
      }
      return { found, otherwise, ...after(from, page) };
    },
    async renewed(since, deadline) {
      const ends = new Map<string, number>();
      const half = deadline.left() / 2;
      for (let from: Place | undefined = { log: 0 }; from !== undefined; ) {
        if (ends.size > 0 && deadline.left() < half) return undefined;
        const page: Page = await listed('renewal', from, since, deadline);
        for (const { record } of page.entries) {
          const { issuance = '', lease } = parseRecord(record);
          ends.set(issuance, Math.max(ends.get(issuance) ?? 0, parseInstant(lease?.expiresAt ?? '') ?? 0));
        }
        from = after(from, page).next;
      }
      return ends;
    },
    async stories(issued, deadline) {
      const stories = new Map<string, LeaseStory>();
      await inParallel(issued, atOnce, async ({ record: { id } }) => {
        const story = readStory(id, await ledger.issuance(id, deadline.within(ledgerMs), everyWriter));
        if (story !== undefined) stories.set(id, story);
      });
      return stories;
    },
  };
}

async function entriesAt(
  reader: LogReader,
  positions: readonly number[],
  deadline: Deadline,
): Promise<readonly PlacedEntry[]> {
  const entries: PlacedEntry[] = [...((await reader.at?.(positions, deadline)) ?? [])];
  if (reader.at === undefined)
    for (const [first, last] of runsOf(positions)) entries.push(...(await reader.entries(first, last + 1, deadline)));
  return entries.sort((one, other) => other.index - one.index);
}

/** Positions, newest first, as runs of neighbours. */
function runsOf(positions: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const position of positions) {
    const run = runs.at(-1);
    if (run !== undefined && run[0] === position + 1) run[0] = position;
    else runs.push([position, position]);
  }
  return runs;
}

/** When the lease ends at the latest, by its own record or by its renewals; milliseconds. */
export const endOf = ({ record: { id, lease } }: Issued, renewed: Renewed | undefined): number =>
  renewed === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(parseInstant(lease?.expiresAt ?? '') ?? 0, renewed.get(id) ?? 0);

const timeOf = ({ record }: PlacedEntry): number => parseInstant(parseRecord(record).time) ?? 0;

const nameIn = ({ disclosure }: PlacedEntry): string | undefined =>
  disclosure === null ? undefined : openDisclosure(disclosure).name;

const factsOf = ({ identity, grant, credential, store }: LedgerRecord, name: string | undefined) => ({
  issuer: identity?.issuer,
  name,
  grant,
  credential,
  store,
});
