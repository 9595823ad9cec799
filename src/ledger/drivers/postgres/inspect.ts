import { deadlineIn } from '../../../lib/deadline.ts';
import type { VerifySource } from '../../verify/source.ts';
import type { InspectDeps, Inspection } from '../driver.ts';
import type { PostgresLedgerConfig } from '../postgres.ts';
import { connectToRead, type Param } from './connection.ts';
import { postgresVerifyIndex } from './index-inspect.ts';
import { openLane } from './lane.ts';
import { addressReader, ForeignTables, once } from './open.ts';
import { entryOf, headColumns, issuanceJson, issuanceOfJson } from './rows.ts';
import { readHead, selectEntries } from './store.ts';
import { tablesVersion } from './tables.ts';

/** Rows of a table at once. */
const page = 5_000;
/** One page may take this long, milliseconds. */
const pageMs = 60_000;

/** Opens one log for reading only, also from a copy that follows the database. @throws Error that says what is wrong */
export async function inspectPostgresLedger(
  config: PostgresLedgerConfig,
  { platform: { now }, read, shard = 0 }: InspectDeps,
): Promise<Inspection> {
  const address = await addressReader(config.url, read, now);
  const { schema } = address.first;
  const connect = async (deadline = deadlineIn(pageMs, now)) =>
    connectToRead(await address.current(deadline), deadline);
  const [rows] = await once(connect, pageMs, now, (connection) =>
    connection.run([{ statement: { text: `SELECT version FROM ${schema}.made` } }], deadlineIn(pageMs, now)),
  );
  if (rows?.[0]?.version !== tablesVersion)
    throw new ForeignTables("the ledger's tables are of another version of Hallpass");
  const lane = openLane(connect, 2, now);
  const ask = (text: string, ...params: Param[]) =>
    lane.run({ text }, [shard, ...params], deadlineIn(pageMs, now), { again: true });
  return { source: sourceOf(schema, ask), close: async () => lane.close() };
}

type Ask = (text: string, ...params: Param[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

function sourceOf(schema: string, ask: Ask): VerifySource {
  const all = async <T>(text: string, ...params: Param[]) => (await ask(text, ...params)) as unknown as readonly T[];
  return {
    key: async () => (await all<{ vkey: string }>(`SELECT vkey FROM ${schema}.head WHERE log = $1`))[0]?.vkey ?? '',
    head: async () => readHead(await ask(`SELECT ${headColumns(schema)} FROM ${schema}.head h WHERE h.log = $1`)),
    entries: async (from, to) =>
      (
        await ask(selectEntries(schema, 'WHERE e.log = $1 AND e.idx >= $2 AND e.idx < $3 ORDER BY e.idx'), from, to)
      ).map(entryOf),
    checkpoints: (from, to) =>
      all(
        `SELECT ends AS size, note FROM ${schema}.checkpoints WHERE log = $1 AND ends > $2 AND ends <= $3 ORDER BY ends`,
        from,
        to,
      ),
    subtrees: (base, level, from, to) =>
      all(
        `SELECT level, idx AS index, hash FROM ${schema}.subtrees
          WHERE log = $1 AND base = $2 AND level = $3 AND idx >= $4 AND idx < $5`,
        base,
        level,
        from,
        to,
      ),
    index: postgresVerifyIndex(schema, ask),
    tables: {
      spent: (after) =>
        all(
          `SELECT key, idx AS index FROM ${schema}.spent WHERE log = $1 AND key > $2 ORDER BY key LIMIT ${page}`,
          after,
        ),
      issuances: async (after) =>
        (
          await ask(
            `SELECT ${issuanceJson} AS state FROM ${schema}.issuances i WHERE i.log = $1 AND i.id > $2
              ORDER BY i.id LIMIT ${page}`,
            after,
          )
        ).map(({ state }) => issuanceOfJson(state as unknown[])),
      touched: async (issuance, from) =>
        (
          await ask(
            `SELECT 1 FROM ${schema}.entries WHERE log = $1 AND issuance = $2 AND idx >= $3 LIMIT 1`,
            issuance,
            from,
          )
        ).length > 0,
      seen: (after) =>
        all(
          `SELECT name, idx AS index FROM ${schema}.seen WHERE log = $1 AND name > $2 ORDER BY name LIMIT ${page}`,
          after,
        ),
      // Head and entries in one statement, so that brokers may go on writing.
      strays: async () =>
        (
          await ask(
            `SELECT e.idx FROM ${schema}.head h JOIN ${schema}.entries e ON e.log = h.log
              AND (e.idx < 0 OR e.idx >= h.base + h.size) WHERE h.log = $1 LIMIT 100`,
          )
        ).map(({ idx }) => idx as number),
      lockdowns: async () =>
        (await ask(`SELECT idx FROM ${schema}.lockdowns WHERE log = $1 AND NOT lifted ORDER BY idx`)).map(
          ({ idx }) => idx as number,
        ),
    },
  };
}
