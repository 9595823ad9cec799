import { equalBytes } from '../../lib/bytes.ts';
import { endOf } from '../log/draft.ts';
import {
  type Found,
  type Head,
  type Held,
  holdingKey,
  type LogStore,
  type PendingState,
  StoreFault,
  type Wanted,
} from '../log-store.ts';
import { entryColumns, entryOf, headOf, issuanceStateOf, recordColumns, recordOf } from './rows.ts';
import { bytesIn, type Sql, type SqlAll, type SqlRow, type SqlValue, textColumn, textIn } from './sql.ts';

type LogReads = Omit<LogStore, 'commit' | 'erase' | 'keepText' | 'poll' | 'reopen' | 'probe' | 'close'>;

const inRange = 'WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx';

/** The reads of a log, which need no right to write. */
export function sqlReads(sql: Pick<Sql, 'read'>): LogReads {
  const entriesOf = (query: string, params: readonly SqlValue[]) =>
    sql.read((all) => all(`SELECT ${entryColumns} FROM ${query}`, params).map(entryOf));
  const entries = (query: string, params: readonly SqlValue[]) => entriesOf(`entries e ${query}`, params);

  return {
    find: async (wanted) => sql.read((all) => find(all, wanted)),
    head: async () => sql.read(headOf),
    entries: async (from, to) => entries(inRange, [from, to]),
    records: async (from, to) =>
      sql.read((all) => all(`SELECT ${recordColumns} FROM entries e ${inRange}`, [from, to]).map(recordOf)),
    at: async (positions) =>
      entriesOf('json_each(?) j CROSS JOIN entries e ON e.idx = j.value', [JSON.stringify(positions)]),
    hashes: async (base, tileLevel, from, to) => {
      const rows = sql.read((all) =>
        tileLevel === 0
          ? all('SELECT leaf AS hash FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx', [base + from, base + to])
          : all('SELECT hash FROM subtrees WHERE base = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx', [
              base,
              tileLevel,
              from,
              to,
            ]),
      );
      if (rows.length !== to - from) throw new StoreFault('hashes_missing');
      return rows.map((row) => bytesIn(row.hash));
    },
    checkpoint: async (end) => sql.read((all) => checkpointAt(all, end)),
    text: async (name) =>
      sql.read(
        (all) =>
          textIn(all(`SELECT ${textColumn('text')} AS text FROM texts WHERE name = ?`, [name])[0]?.text) ?? undefined,
      ),
    list: async ({ type, before, limit }) =>
      type === undefined
        ? entries('WHERE e.idx < ? ORDER BY e.idx DESC LIMIT ?', [before, limit])
        : entries('WHERE e.type = ? AND e.idx < ? ORDER BY e.idx DESC LIMIT ?', [type, before, limit]),
    keys: async (writer, from, limit) =>
      entries("WHERE e.type = 'key' AND e.writer = ? AND e.idx >= ? ORDER BY e.idx LIMIT ?", [writer, from, limit]),
    issuance: async (id) => entries('WHERE e.issuance = ? ORDER BY e.idx', [id]),
    pending: async (state, { writer = null, before, after, limit }) =>
      entriesOf(`${pendingIn[state]} AND (?2 IS NULL OR i.writer = ?2) AND e.idx > ?3 ORDER BY e.idx LIMIT ?4`, [
        before,
        writer,
        after,
        limit,
      ]),
  };
}

// CROSS JOIN, so that what is pending is read first and not the whole log. Each names ?1: SQLite wants every number used.
const pendingIn: Readonly<Record<PendingState, string>> = {
  open: 'issuances i CROSS JOIN entries e ON e.idx = i.intent WHERE i.outcome IS NULL AND ?1 IS NOT NULL',
  expired: `issuances i CROSS JOIN entries e ON e.idx = i.outcome WHERE i.intent IS NOT NULL AND i.outcome IS NOT NULL
    AND i.ended IS NULL AND i.expires < ?1`,
  // Of what did not land, the intent says what is to be undone.
  unrevoked: `unrevoked u CROSS JOIN issuances i ON i.id = u.id
    CROSS JOIN entries e ON e.idx = CASE WHEN i.outcome = i.ended THEN i.intent ELSE i.outcome END
    WHERE ?1 IS NOT NULL`,
};

/** What most appends need to know, in one query: whether the head is the known one, and nothing of this is there yet. */
const glanceQuery = `SELECT root = ?1 AND checkpoint = ?2 AS same,
    EXISTS (SELECT 1 FROM json_each(?3) j CROSS JOIN entries e ON e.id = j.value)
      OR EXISTS (SELECT 1 FROM json_each(?4) j CROSS JOIN issuances i ON i.id = j.value)
      OR EXISTS (SELECT 1 FROM json_each(?4) j CROSS JOIN held h ON h.id = j.value)
      OR EXISTS (SELECT 1 FROM json_each(?5) j CROSS JOIN spent s ON s.key = j.value) AS there,
    (SELECT count(*) FROM json_each(?6) j CROSS JOIN seen s ON s.name = j.value) AS seen
  FROM head WHERE one = 1`;

function glance(
  all: SqlAll,
  { known, ids, issuances, spent, seen }: Wanted,
): { readonly fresh: boolean; readonly allSeen: boolean; readonly same?: Head } {
  if (known === undefined) return { fresh: false, allSeen: false };
  const keys = [ids, issuances, spent, seen].map((names) => JSON.stringify(names));
  const row = all(glanceQuery, [known.root, known.checkpoint, ...keys])[0];
  return {
    fresh: row?.there === 0,
    allSeen: row?.seen === new Set(seen).size,
    ...(row?.same === 1 && { same: known }),
  };
}

/**
 * Whether a head that another process wrote is of a log that has what the asker knows: a file that was put back under both may
 * have been gone on with, and then lacks what was answered. @throws StoreFault past_changed
 */
function checkPast(all: SqlAll, head: Head, known: Head | undefined): void {
  if (known === undefined || known.size === 0 || endOf(head) < endOf(known) || equalBytes(head.root, known.root))
    return;
  if (checkpointAt(all, endOf(known)) !== known.checkpoint) throw new StoreFault('past_changed');
}

/** The column `size` holds where the tree ends. */
const checkpointAt = (all: SqlAll, end: number): string | undefined =>
  textIn(all(`SELECT ${textColumn('note')} AS note FROM checkpoints WHERE size = ?`, [end])[0]?.note) ?? undefined;

function find(all: SqlAll, wanted: Wanted): Found {
  const { fresh, allSeen, same } = glance(all, wanted);
  const head = same ?? headOf(all);
  if (same === undefined) checkPast(all, head, wanted.known);
  const some = (keys: readonly string[], query: string): readonly SqlRow[] =>
    keys.length === 0 || fresh ? [] : all(query, [JSON.stringify(keys)]);
  const entries = some(wanted.ids, `SELECT ${entryColumns} FROM json_each(?) j CROSS JOIN entries e ON e.id = j.value`);
  const issuances = some(
    wanted.issuances,
    `SELECT i.*, u.since, u.told FROM json_each(?) j CROSS JOIN issuances i ON i.id = j.value
       LEFT JOIN unrevoked u ON u.id = i.id`,
  );
  const held = some(wanted.issuances, 'SELECT h.* FROM json_each(?) j CROSS JOIN held h ON h.id = j.value');
  const holding = wanted.holders.map((one): [string, number] => {
    const params = [one.holder, one.credential, wanted.now];
    const rows = all('SELECT count(*) AS n FROM held WHERE holder = ? AND credential = ? AND expires > ?', params);
    return [holdingKey(one), rows[0]?.n as number];
  });
  const spent = some(wanted.spent, 'SELECT s.* FROM json_each(?) j CROSS JOIN spent s ON s.key = j.value');
  const seen = allSeen
    ? wanted.seen
    : all('SELECT s.name FROM json_each(?) j CROSS JOIN seen s ON s.name = j.value', [JSON.stringify(wanted.seen)]).map(
        ({ name }) => name as string,
      );
  const lockdowns =
    head.epoch === 0
      ? []
      : all(`SELECT ${entryColumns} FROM lockdowns l JOIN entries e ON e.idx = l.idx ORDER BY l.idx`, []);
  return {
    head,
    entries: new Map(entries.map(entryOf).map((entry) => [entry.id, entry])),
    issuances: new Map(issuances.map(issuanceStateOf).map((state) => [state.id, state])),
    spent: new Map(spent.map((row) => [row.key as string, row.idx as number])),
    seen: new Set(seen),
    lockdowns: lockdowns.map(entryOf),
    held: new Map(held.map((row) => [row.id as string, heldOf(row)])),
    holding: new Map(holding),
  };
}

const heldOf = (row: SqlRow): Held => ({
  credential: row.credential as string,
  holder: row.holder as string,
  expiresAt: row.expires as number,
});
