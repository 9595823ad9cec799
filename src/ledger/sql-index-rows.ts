import { sha256Url } from '../lib/bytes.ts';
import type { IndexRow } from './query-index.ts';
import type { SqlValue } from './sql.ts';
import { hashed, minute, minutesInDay, worded } from './sql-index-tables.ts';

/** Of the rows of `wordsOf`. */
export const putWord = `INSERT INTO index_words (member, key, value, n, first, last) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (member, key) DO UPDATE SET n = n + excluded.n, last = excluded.last, value = excluded.value`;
/** Of the rows of `timesOf`. */
export const putTime = `INSERT INTO index_times VALUES (?, ?, ?, ?)
  ON CONFLICT (unit, at) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)`;
/** All `rowValues` in one parameter, as JSON: to hand them over one by one costs more than to write them. */
export const putRows = `INSERT INTO index_rows SELECT j.value ->> 0, j.value ->> 1, ${worded
  .map((member, at) => `(SELECT id FROM index_words WHERE member = '${member}' AND key = j.value ->> ${at + 2})`)
  .join()}, ${hashed.map((_, at) => `j.value ->> ${worded.length + at + 2}`).join()} FROM json_each(?) j`;

export const digestOf = (value: string): string => sha256Url(value).slice(0, 12);

/** Under which a word is found. */
export const keyOf = (member: string, value: string): string => (member === 'name' ? digestOf(value) : value);

export const rowValues = (row: IndexRow): SqlValue[] => [
  row.index,
  row.time,
  ...worded.map((member) => (row[member] === undefined ? null : keyOf(member, row[member]))),
  ...hashed.map((member) => (row[member] === undefined ? null : digestOf(row[member]))),
];

/** Each word of these rows once, with how many have it and where. */
export function wordsOf(rows: readonly IndexRow[]): SqlValue[][] {
  const words = new Map<string, [string, string, string, number, number, number]>();
  for (const row of rows) {
    for (const member of worded) {
      const value = row[member];
      if (value === undefined) continue;
      const word = words.get(`${member} ${value}`);
      if (word === undefined)
        words.set(`${member} ${value}`, [member, keyOf(member, value), value, 1, row.index, row.index]);
      else {
        word[3]++;
        word[5] = row.index;
      }
    }
  }
  return [...words.values()];
}

/** Each minute and day of these rows once, with where it is. */
export function timesOf(rows: readonly IndexRow[]): SqlValue[][] {
  const times = new Map<string, [number, number, number, number]>();
  for (const { index, time } of rows) {
    for (const unit of [minute, minute * minutesInDay]) {
      const at = Math.floor(time / unit);
      const known = times.get(`${unit} ${at}`);
      if (known === undefined) times.set(`${unit} ${at}`, [unit, at, index, index]);
      else known[3] = index;
    }
  }
  return [...times.values()];
}
