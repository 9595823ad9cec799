import type { Deadline } from '../../../lib/deadline.ts';
import type { IndexFilter, IndexRow } from '../../query-index.ts';
import { fitter } from '../../questions/index-row.ts';
import { namePattern } from '../../questions/name-pattern.ts';
import { boundedChars, type IndexKeys, kept, rowIn, tileRows, usualTypes } from './index-rows.ts';
import { padded } from './keys.ts';
import { numberOf, textOf } from './row.ts';
import type { Table } from './table.ts';

export const hour = 3_600_000;
/** Rows looked at in one request. */
const pageRows = 256;
/** Names that one pattern is looked up by; where there are more, all rows are gone through. */
const mostNames = 64;

interface Walk {
  /** Positions [low, high). */
  readonly low: number;
  readonly high: number;
  readonly limit: number;
  readonly fits: (row: IndexRow) => boolean;
  readonly deadline: Deadline;
}

/** Looks up positions before `before`, none of which the index has not seen; the newest first. */
export function indexLookup(table: Table, { hours, names, all, by }: IndexKeys) {
  /**
   * Positions outside of which no row has a time in [from, to). Times go up and down by less than an hour from one position
   * to the next, so the hours beside those asked for are looked at too.
   */
  async function within(
    { from, to }: IndexFilter,
    end: number,
    deadline: Deadline,
  ): Promise<readonly [number, number]> {
    const first = async (at: number, limit: number) =>
      (await table.query(hours, { from: padded(Math.max(0, at)), limit }, deadline)).map((row) => numberOf(row.first));
    const low = from === undefined ? [0] : await first(Math.floor(from / hour), 2);
    const high = to === undefined ? [end] : await first(Math.floor(to / hour) + 2, 1);
    return [low.length === 0 ? end : Math.min(...low), Math.min(end, ...high)];
  }

  async function find(
    filter: IndexFilter,
    before: number,
    limit: number,
    deadline: Deadline,
  ): Promise<readonly number[]> {
    const [low, high] = await within(filter, before, deadline);
    const walk = { low, high, limit, fits: fitter(filter), deadline };
    const { name, type } = filter;
    const pattern = name === undefined ? undefined : namePattern(name);
    const member = kept.find(
      (one) =>
        filter[one] !== undefined &&
        !(one === 'name' && pattern?.exact === false) &&
        !(one === 'type' && usualTypes.has(type ?? '')),
    );
    if (
      pattern !== undefined &&
      !pattern.exact &&
      (member === undefined || kept.indexOf(member) > kept.indexOf('name'))
    ) {
      const called = await namesLike(pattern, deadline);
      if (called !== undefined) {
        const found = await Promise.all(called.map((one) => inPartition(by('name', one), walk)));
        return found
          .flat()
          .sort((one, other) => other - one)
          .slice(0, limit);
      }
    }
    return member === undefined ? amongAll(walk) : inPartition(by(member, filter[member] as string), walk);
  }

  /** Undefined where there are too many. */
  async function namesLike(
    { prefix, matches }: ReturnType<typeof namePattern>,
    deadline: Deadline,
  ): Promise<string[] | undefined> {
    const start = prefix.slice(0, boundedChars);
    const rows = await table.query(names, start === '' ? {} : { prefix: start }, deadline);
    const called = rows.map(({ name }) => textOf(name)).filter(matches);
    return called.length > mostNames ? undefined : called;
  }

  async function inPartition(pk: string, { low, high, limit, fits, deadline }: Walk): Promise<number[]> {
    const found: number[] = [];
    for (let to = high; to > low; ) {
      const range = { from: padded(low), to: padded(to - 1), newestFirst: true, limit: pageRows };
      const rows = (await table.query(pk, range, deadline)).map(rowIn);
      for (const row of rows) if (fits(row) && found.length < limit) found.push(row.index);
      if (rows.length < pageRows || found.length >= limit) break;
      to = (rows.at(-1) as IndexRow).index;
    }
    return found;
  }

  async function amongAll(walk: Walk): Promise<number[]> {
    const found: number[] = [];
    for (let high = walk.high; high > walk.low && found.length < walk.limit; ) {
      const tile = Math.floor((high - 1) / tileRows);
      const low = Math.max(walk.low, tile * tileRows);
      found.push(...(await inPartition(all(tile), { ...walk, low, high, limit: walk.limit - found.length })));
      high = tile * tileRows;
    }
    return found;
  }

  return find;
}
