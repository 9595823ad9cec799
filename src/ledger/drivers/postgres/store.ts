import { type Deadline, deadlineIn } from '../../../lib/deadline.ts';
import { type Head, HeadMoved, type LogStore, type PendingState, StoreFault, TooMuch } from '../../log-store.ts';
import { commitOf } from './commit.ts';
import { checkDurable, howDurable, type Param, type Row } from './connection.ts';
import { findParams, findStatement, foundOf } from './find.ts';
import type { Lane } from './lane.ts';
import { entryColumns, entryOf, headColumns, headOf } from './rows.ts';

export interface PostgresStoreDeps {
  /** One connection: what the log's serial loop does. */
  readonly writes: Lane;
  readonly reads: Lane;
  readonly schema: string;
  /** Which log of the tables. */
  readonly log: number;
  readonly now: () => number;
}

/** A read that nobody set a time for, milliseconds. */
const readMs = 5_000;
/**
 * How long a log keeps to turns after another broker was first: it then takes the head before it plans, in the order they
 * came, as else each would plan in vain most of the time; milliseconds.
 */
const crowdedMs = 1_000;
/** Of a name that something is found by: a row of an index has 2,704 bytes at most. */
const mostNameBytes = 2_400;
/** How often leases that expired are swept out of the count, milliseconds. */
const sweepMs = 30_000;

/** A log kept in PostgreSQL tables. */
export function postgresLogStore({ writes, reads, schema, log, now }: PostgresStoreDeps): LogStore {
  const find = findStatement(schema);
  const ask = (text: string, ...params: Param[]) =>
    reads.run({ text }, [log, ...params], deadlineIn(readMs, now), { again: true }).catch(contended);
  const entries = async (query: string, ...params: Param[]) =>
    (await ask(selectEntries(schema, query), ...params)).map(entryOf);
  const readText = async (name: string) =>
    (await ask(`SELECT text FROM ${schema}.texts WHERE log = $1 AND name = $2`, name))[0]?.text as string | undefined;
  let sweptAt = now();
  let crowdedUntil = Number.NEGATIVE_INFINITY;
  /** The connection is in a transaction that holds the head. */
  let inTurn = false;
  const takeTurn = { statement: { text: `BEGIN; SELECT 1 FROM ${schema}.head WHERE log = ${log} FOR UPDATE` } };
  const endTurn = { statement: { text: 'COMMIT' } };

  /** What was found led to no commit: the next in line must not wait for one. */
  function leaveTurn(): void {
    if (!inTurn) return;
    inTurn = false;
    writes.runAll([endTurn], deadlineIn(readMs, now)).catch(() => {});
  }

  /** What is written beside the log does not wait in a turn for its commit. */
  function write(text: string, params: readonly Param[], deadline: Deadline): Promise<readonly Row[]> {
    leaveTurn();
    return writes.run({ text }, params, deadline);
  }

  /** A commit that changes nothing. */
  async function touch(deadline: Deadline): Promise<void> {
    const sql = `UPDATE ${schema}.head SET size = size WHERE log = $1 ${returningHow}`;
    const [row] = await write(sql, [log], deadline);
    if (row === undefined) throw new StoreFault('head_missing');
    checkDurable(row);
  }

  /** Beside the commit: nobody waits for it, and what it leaves counts for nothing. */
  function sweepHeld(): void {
    if (Math.abs(now() - sweptAt) < sweepMs) return;
    sweptAt = now();
    const sql = `DELETE FROM ${schema}.held WHERE log = $1 AND expires <= $2`;
    reads.run({ text: sql }, [log, now()], deadlineIn(readMs, now)).catch(() => {});
  }

  return {
    async find(wanted, deadline) {
      // Its text has no NUL, and its indexes no text this long: who sends one in a name is refused, and nobody beside him.
      const names = [...wanted.seen, ...wanted.holders.map(({ credential }) => credential)];
      if (names.some((name) => name.includes('\0') || Buffer.byteLength(name) > mostNameBytes)) throw new TooMuch();
      const request = { statement: find, params: findParams(log, wanted) };
      if (now() >= crowdedUntil)
        return foundOf((await writes.runAll([request], deadline, { again: true }))[0]?.[0], wanted);
      const rows = await writes.runAll([takeTurn, request], deadline, { again: true });
      inTurn = true;
      setImmediate(leaveTurn);
      return foundOf(rows[1]?.[0], wanted);
    },
    async commit(change, deadline) {
      const request = commitOf(schema, log, change);
      const requests = inTurn ? [request, endTurn] : [request];
      inTurn = false;
      const [row] = (await writes.runAll(requests, deadline))[0] ?? [];
      if (row?.moved !== 1) {
        crowdedUntil = now() + crowdedMs;
        throw new HeadMoved();
      }
      checkDurable(row);
      if (change.held.length > 0) sweepHeld();
    },
    async reopen(deadline) {
      reads.drop();
      await writes.renew(deadline);
    },
    // What waited for a standby when it was told to wait no more is visible, and may be here only: what comes after waits for both.
    settle: touch,
    probe: (deadline) => touch(deadline).catch(contended),
    head: async () => readHead(await ask(`SELECT ${headColumns(schema)} FROM ${schema}.head h WHERE h.log = $1`)),
    entries: (from, to) => entries('WHERE e.log = $1 AND e.idx >= $2 AND e.idx < $3 ORDER BY e.idx', from, to),
    at: (positions) => entries('WHERE e.log = $1 AND e.idx = ANY($2::bigint[])', positions),
    async hashes(base, tileLevel, from, to) {
      const rows =
        tileLevel === 0
          ? await ask(
              `SELECT leaf AS hash FROM ${schema}.entries WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx`,
              base + from,
              base + to,
            )
          : await ask(
              `SELECT hash FROM ${schema}.subtrees WHERE log = $1 AND base = $2 AND level = $3 AND idx >= $4 AND idx < $5
                ORDER BY idx`,
              base,
              tileLevel,
              from,
              to,
            );
      if (rows.length !== to - from) throw new StoreFault('hashes_missing');
      return rows.map(({ hash }) => hash as Uint8Array);
    },
    checkpoint: async (end) =>
      (await ask(`SELECT note FROM ${schema}.checkpoints WHERE log = $1 AND ends = $2`, end))[0]?.note as
        | string
        | undefined,
    list: ({ type, before, limit }) =>
      type === undefined
        ? entries('WHERE e.log = $1 AND e.idx < $2 ORDER BY e.idx DESC LIMIT $3', before, limit)
        : entries('WHERE e.log = $1 AND e.type = $2 AND e.idx < $3 ORDER BY e.idx DESC LIMIT $4', type, before, limit),
    keys: (writer, from, limit) =>
      entries(
        "WHERE e.log = $1 AND e.type = 'key' AND e.writer = $2 AND e.idx >= $3 ORDER BY e.idx LIMIT $4",
        writer,
        from,
        limit,
      ),
    issuance: (id) => entries('WHERE e.log = $1 AND e.issuance = $2 ORDER BY e.idx', id),
    async pending(state, { writer, before, after, limit }) {
      const sql = `SELECT ${entryColumns} FROM ${schema}.issuances i
        JOIN ${schema}.entries e ON e.log = i.log AND e.idx = ${pendingIn[state].entry} ${disclosures(schema)}
        WHERE i.log = $1 AND ${pendingIn[state].where} AND ($2::text IS NULL OR i.writer = $2)
          AND ${pendingIn[state].entry} > $3 AND $5::bigint IS NOT NULL
        ORDER BY ${pendingIn[state].entry} LIMIT $4`;
      return (await ask(sql, writer ?? null, after, limit, before)).map(entryOf);
    },
    async erase(positions, deadline) {
      const sql = `WITH gone AS (DELETE FROM ${schema}.disclosures WHERE log = $1 AND idx = ANY($2::bigint[]) ${returningHow})
        SELECT commits FROM gone LIMIT 1`;
      const [row] = await write(sql, [log, positions], deadline).catch(contended);
      // What is gone already may be gone here only.
      if (row === undefined) await touch(deadline).catch(contended);
      else checkDurable(row);
    },
    text: readText,
    async keepText(name, was, text, deadline) {
      const change = textChange(schema, was, text);
      if (change === undefined) return (await readText(name)) === undefined;
      const params = [log, name, was, text].filter((param) => param !== undefined && param !== null);
      const rows = await write(change, params, deadline).catch(contended);
      for (const row of rows) checkDurable(row);
      return rows.length === 1;
    },
    async close() {
      writes.close();
      reads.close();
    },
  };
}

/** What is not planned anew: the server undid it, as another transaction was first. */
function contended(error: unknown): never {
  throw error instanceof HeadMoved ? new StoreFault('contended', { cause: error, harmless: true }) : error;
}

const returningHow = `RETURNING ${howDurable}`;

const disclosures = (schema: string): string => `LEFT JOIN ${schema}.disclosures d ON d.log = e.log AND d.idx = e.idx`;

export const selectEntries = (schema: string, query: string): string =>
  `SELECT ${entryColumns} FROM ${schema}.entries e ${disclosures(schema)} ${query}`;

/** @throws StoreFault head_missing */
export function readHead(rows: readonly Row[]): Head {
  if (rows[0] === undefined) throw new StoreFault('head_missing');
  return headOf(rows[0]);
}

/** Of what did not land, the intent says what is to be undone. */
const pendingIn: Readonly<Record<PendingState, { readonly where: string; readonly entry: string }>> = {
  open: { where: 'i.outcome IS NULL', entry: 'i.intent' },
  expired: {
    where: 'i.intent IS NOT NULL AND i.outcome IS NOT NULL AND i.ended IS NULL AND i.expires < $5',
    entry: 'i.outcome',
  },
  unrevoked: {
    where: 'i.since IS NOT NULL',
    entry: 'CASE WHEN i.outcome = i.ended THEN i.intent ELSE i.outcome END',
  },
};

/** $2 is the name; then what was and what is to be, where there is such. */
function textChange(schema: string, was: string | undefined, text: string | null): string | undefined {
  if (was === undefined)
    return text === null
      ? undefined
      : `INSERT INTO ${schema}.texts VALUES ($1, $2, $3) ON CONFLICT DO NOTHING ${returningHow}`;
  return text === null
    ? `DELETE FROM ${schema}.texts WHERE log = $1 AND name = $2 AND text = $3 ${returningHow}`
    : `UPDATE ${schema}.texts SET text = $4 WHERE log = $1 AND name = $2 AND text = $3 ${returningHow}`;
}
