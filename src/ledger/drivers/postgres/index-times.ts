import type { IndexFilter, IndexRow } from '../../query-index.ts';

const minute = 60_000;
const minutesInDay = 1_440;
/** A span without an end, in units. */
const forEver = 2 ** 50;

/** Units that a time of an index is counted in: minutes and days. */
export const units = [minute, minute * minutesInDay] as const;

/** Which positions have times of one minute or day: times go up and down a little from one position to the next. */
export interface TimeSpan {
  readonly unit: number;
  readonly at: number;
  readonly first: number;
  readonly last: number;
}

export function timesOf(rows: readonly IndexRow[]): TimeSpan[] {
  const times = new Map<string, TimeSpan>();
  for (const { index, time } of rows) {
    for (const unit of units) {
      const at = Math.floor(time / unit);
      const first = times.get(`${unit} ${at}`)?.first ?? index;
      times.set(`${unit} ${at}`, { unit, at, first, last: index });
    }
  }
  return [...times.values()];
}

/** The minutes and days that together cover what is asked: [unit, from, to) of each; undefined where all time is. */
export function spansOf({ from, to }: Pick<IndexFilter, 'from' | 'to'>): [number, number, number][] | undefined {
  if (from === undefined && to === undefined) return undefined;
  const begin = Math.floor((from ?? 0) / minute);
  const until = to === undefined ? forEver : Math.ceil(to / minute);
  const [firstDay, lastDay] = [Math.ceil(begin / minutesInDay), Math.floor(until / minutesInDay)];
  const [ofMinutes, ofDays] = units;
  if (firstDay >= lastDay) return [[ofMinutes, begin, until]];
  return [
    [ofMinutes, begin, firstDay * minutesInDay],
    [ofDays, firstDay, lastDay],
    [ofMinutes, lastDay * minutesInDay, until],
  ];
}
