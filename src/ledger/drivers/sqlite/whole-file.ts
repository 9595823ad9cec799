import { builtTables } from '../../questions/sql-index-tables.ts';
import type { SqlAll } from '../../sql/sql.ts';
import type { Finding } from '../../verify/verify.ts';

/** What no table of a ledger says of its columns: with it, look-ups or inserts would mean something else. */
const unusual = /\b(?:collate|generated|on\s+conflict|references|virtual)\b/i;

const ours = [
  'head',
  'entries',
  'subtrees',
  'checkpoints',
  'spent',
  'seen',
  'lockdowns',
  'issuances',
  'ended',
  'texts',
];
const tables: ReadonlySet<string> = new Set([...ours, 'unrevoked', 'held', 'index_state', ...builtTables]);

/**
 * What is wrong with the file around a ledger's tables, or those of its index: what runs in it that is not the ledger's, and
 * indexes that lack rows of their tables, so that nothing looked up there is found.
 */
export function fileOddities(all: SqlAll): Finding[] {
  const found: Finding[] = [];
  for (const { type, name, sql } of all('SELECT type, name, sql FROM sqlite_schema', [])) {
    if (type === 'trigger' || type === 'view')
      found.push({ code: 'schema_differs', message: `the file has a ${type} ${name}, which no ledger has` });
    else if (type === 'table' && tables.has(String(name)) && unusual.test(String(sql)))
      found.push({ code: 'schema_differs', message: `the table ${name} is not made as a ledger's` });
  }
  for (const row of all('PRAGMA integrity_check(20)', [])) {
    const said = Object.values(row)[0];
    if (said !== 'ok') found.push({ code: 'file_damaged', message: `SQLite says: ${said}` });
  }
  return found;
}
