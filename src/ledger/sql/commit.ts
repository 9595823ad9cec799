import { concat, toHex } from '../../lib/bytes.ts';
import type { Change } from '../log-store.ts';
import type { SqlStatement, SqlValue } from './sql.ts';

/** Only where what was assumed is so. */
const asAssumed = `AND checkpoint = ?
      AND NOT EXISTS (SELECT 1 FROM json_each(?) j CROSS JOIN entries e ON e.id = j.value)
      AND NOT EXISTS (SELECT 1 FROM json_each(?) j CROSS JOIN issuances i ON i.id = j.value)
      AND NOT EXISTS (SELECT 1 FROM json_each(?) j CROSS JOIN held h ON h.id = j.value)
      AND NOT EXISTS (SELECT 1 FROM json_each(?) j CROSS JOIN spent s ON s.key = j.value)`;

function assumedParams(assumed: Change['assumed']): SqlValue[] {
  if (assumed === undefined) return [];
  const issuances = JSON.stringify(assumed.issuances);
  return [assumed.checkpoint, JSON.stringify(assumed.ids), issuances, issuances, JSON.stringify(assumed.spent)];
}

/** The statements of one commit; the first one changes nothing where another process has moved the head. */
export function statementsOf({ from, head, assumed, ...change }: Change): SqlStatement[] {
  const { generation, base, size, range, root, epoch, checkpoint } = head;
  const began = change.lockdowns.filter(({ lifted }) => !lifted);
  const lifted = change.lockdowns.filter((lockdown) => lockdown.lifted);
  const statements: SqlStatement[] = [
    {
      sql: `UPDATE head SET size = ?, compact = ?, root = ?, epoch = ?, checkpoint = ?, generation = ?, base = ?
              WHERE one = 1 AND base = ? AND size = ? AND root = ? ${assumed === undefined ? '' : asAssumed}`,
      rows: [
        [
          ...[size, concat(...range), root, epoch, checkpoint, generation, base],
          ...[from.base, from.size, from.root],
          ...assumedParams(assumed),
        ],
      ],
      changes: 1,
    },
    {
      // As text on its way: a small blob costs more to hand to another thread than all the rest of the row.
      sql: 'INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, unhex(?), ?)',
      rows: change.entries.map((entry) => [
        entry.index,
        entry.id,
        entry.type,
        entry.issuance,
        entry.writer,
        entry.record,
        entry.disclosure,
        toHex(entry.leaf),
        entry.tree,
      ]),
    },
    {
      sql: 'INSERT INTO checkpoints VALUES (?, ?)',
      rows: change.checkpoints.map(({ end, note }) => [end, note]),
    },
    {
      sql: 'INSERT INTO subtrees VALUES (?, ?, ?, ?)',
      rows: change.subtrees.map((subtree) => [subtree.base, subtree.level, subtree.index, subtree.hash]),
    },
    {
      sql: 'INSERT INTO ended VALUES (?, ?, ?)',
      rows: change.ended.map((log) => [log.generation, log.base, log.size]),
    },
    {
      sql: 'INSERT OR REPLACE INTO issuances VALUES (?, ?, ?, ?, ?, ?, ?)',
      rows: change.issuances.map((state) => [
        state.id,
        state.writer,
        state.intent,
        state.outcome,
        state.once,
        state.expiresAt,
        state.ended,
      ]),
    },
    {
      sql: 'INSERT OR REPLACE INTO unrevoked VALUES (?, ?, ?)',
      rows: change.issuances.flatMap(({ id, owed }) => (owed === null ? [] : [[id, owed.since, owed.told]])),
    },
    {
      sql: 'DELETE FROM unrevoked WHERE id = ?',
      rows: change.issuances.flatMap(({ id, ended, owed }) => (ended !== null && owed === null ? [[id]] : [])),
    },
    {
      sql: 'INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)',
      rows: change.held.map(({ id, credential, holder, expiresAt }) => [id, credential, holder, expiresAt]),
    },
    { sql: 'DELETE FROM held WHERE id = ?', rows: change.freed.map((id) => [id]) },
    { sql: 'DELETE FROM held WHERE expires <= ?', rows: change.held.length === 0 ? [] : [[change.now]] },
    { sql: 'INSERT INTO spent VALUES (?, ?)', rows: change.spent.map(({ key, index }) => [key, index]) },
    { sql: 'INSERT INTO seen VALUES (?, ?)', rows: change.seen.map(({ name, index }) => [name, index]) },
    { sql: 'INSERT INTO lockdowns VALUES (?)', rows: began.map(({ index }) => [index]) },
    { sql: 'DELETE FROM lockdowns WHERE idx = ?', rows: lifted.map(({ index }) => [index]) },
  ];
  return statements.filter(({ rows }) => rows.length > 0).map(whole);
}

/** Somebody's trigger may leave out a row, and says nothing. */
const whole = (statement: SqlStatement): SqlStatement =>
  statement.sql.startsWith('INSERT') ? { ...statement, changes: 1 } : statement;

/** Puts the text in the place of the one that was there; changes nothing where that was another. */
export function textStatement(name: string, was: string | undefined, text: string | null): SqlStatement {
  if (was === undefined)
    return text === null
      ? { sql: 'SELECT 1 WHERE ? IS NULL', rows: [] }
      : { sql: 'INSERT INTO texts VALUES (?, ?) ON CONFLICT DO NOTHING', rows: [[name, text]], changes: 1 };
  return text === null
    ? { sql: 'DELETE FROM texts WHERE name = ? AND text = ?', rows: [[name, was]], changes: 1 }
    : { sql: 'UPDATE texts SET text = ? WHERE name = ? AND text = ?', rows: [[text, name, was]], changes: 1 };
}
