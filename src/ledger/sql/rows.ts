import { type Head, type IssuanceState, type StoredEntry, type StoredRecord, StoreFault } from '../log-store.ts';
import type { RecordType } from '../records/record.ts';
import { bytesIn, type SqlAll, type SqlRow, textColumn, textIn } from './sql.ts';

const ofType = (name: string, type: string): string =>
  `CASE typeof(e.${name}) WHEN '${type}' THEN e.${name} END AS ${name}`;

/** Numbers of a table `e`; nothing where somebody put something else there: text that is none would end the process. */
export const numberColumns = (...names: readonly string[]): string =>
  names.map((name) => ofType(name, 'integer')).join();

/** The columns of an entry `e`, for `entryOf`. Text in place of a hash or a number may be none to libsql: see `textColumn`. */
export const entryColumns = ['id', 'type', 'issuance', 'writer', 'record', 'disclosure']
  .map((name) => `${textColumn(`e.${name}`)} AS ${name}`)
  .concat('e.idx', ofType('leaf', 'blob'), ofType('tree', 'integer'))
  .join();

/** Those that `recordOf` reads: a third of the columns, in less than half of the time. */
export const recordColumns = ['record', 'disclosure']
  .map((name) => `${textColumn(`e.${name}`)} AS ${name}`)
  .concat('e.idx')
  .join();

const headQuery = `SELECT ${numberColumns('size', 'epoch', 'generation', 'base')}, ${ofType('compact', 'blob')},
  ${ofType('root', 'blob')}, ${textColumn('e.checkpoint')} AS checkpoint FROM head e WHERE one = 1`;

const endedQuery = `SELECT ${numberColumns('generation', 'base', 'size')} FROM ended e ORDER BY e.generation`;

/** @throws StoreFault `head_missing` */
export function headOf(all: SqlAll): Head {
  const row = all(headQuery, [])[0];
  if (row === undefined) throw new StoreFault('head_missing');
  const compact = bytesIn(row.compact);
  const range = Array.from({ length: compact.length / 32 }, (_, at) => compact.subarray(at * 32, at * 32 + 32));
  const generation = row.generation as number;
  const ended = generation === 1 ? [] : all(endedQuery, []);
  return {
    generation,
    base: row.base as number,
    ended: ended as unknown as Head['ended'],
    size: row.size as number,
    range,
    root: bytesIn(row.root),
    epoch: row.epoch as number,
    checkpoint: textIn(row.checkpoint) ?? '',
  };
}

/** Text that was overwritten to be erased is none. */
const unfilled = (text: string | null): string | null => (text?.startsWith('\0') ? null : text);

export const recordOf = (row: SqlRow): StoredRecord => ({
  index: row.idx as number,
  record: textIn(row.record) ?? '',
  disclosure: unfilled(textIn(row.disclosure)),
});

export function entryOf(row: SqlRow): StoredEntry {
  return {
    ...recordOf(row),
    id: textIn(row.id) ?? '',
    type: textIn(row.type) as RecordType,
    issuance: textIn(row.issuance),
    writer: textIn(row.writer) ?? '',
    leaf: bytesIn(row.leaf),
    tree: row.tree as number,
  };
}

export function issuanceStateOf(row: SqlRow): IssuanceState {
  return {
    id: row.id as string,
    writer: row.writer as string,
    intent: row.intent as number | null,
    outcome: row.outcome as number | null,
    once: row.once as string | null,
    expiresAt: row.expires as number | null,
    ended: row.ended as number | null,
    owed: typeof row.since === 'number' ? { since: row.since, told: row.told as number | null } : null,
  };
}
