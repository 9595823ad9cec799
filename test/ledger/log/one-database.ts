import { setImmediate } from 'node:timers/promises';
import Database from 'libsql';
import { readsOf } from '../../../src/ledger/drivers/sqlite/file.ts';
import type { AppendResult, Receipt, Rolled } from '../../../src/ledger/ledger.ts';
import { openLog } from '../../../src/ledger/log/log.ts';
import { StoreFault } from '../../../src/ledger/log-store.ts';
import { receiptVerifier } from '../../../src/ledger/receipts/receipt.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import type { Sql, SqlStatement } from '../../../src/ledger/sql/sql.ts';
import { firstHead, logSchema } from '../../../src/ledger/sql/tables.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { sqlVerifySource } from '../../../src/ledger/verify/source.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { driverDeps } from '../drivers/driver-deps.ts';
import type { Clock } from '../fixtures.ts';

/** What happens to the next commit that would land: it does and says so to nobody, or it does not. */
export type Fault = 'landed' | 'not landed';

const tables = logSchema.flatMap((sql) => /^CREATE TABLE (\w+)/.exec(sql)?.[1] ?? []);

/** What a caller is told, as plain data; every receipt is verified. */
export async function told(answer: Promise<AppendResult | Rolled>, verify: (receipt: Receipt) => unknown) {
  try {
    const result = await answer;
    if (!('receipts' in result)) return result;
    for (const receipt of result.receipts) verify(receipt);
    return result.receipts.map(({ index, log, record }) => ({ index, log, record }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { code: error.code, reason: error.reason, members: error.options?.members };
  }
}

/** Logs over one database in memory, as three processes; `assumed` counts the commits that assume, where `finds` lets them. */
export async function oneDatabase(clock: Clock, finds: boolean, assumed = { landed: 0, moved: 0 }) {
  const database = new Database(':memory:');
  const { secrets, writer, origin, platform } = driverDeps({ now: () => clock.now() });
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const { now, random, log: say } = platform;
  const prepared = new Map<string, ReturnType<typeof database.prepare>>();
  let fault: Fault | undefined;

  function run({ sql, rows, changes }: SqlStatement): boolean {
    const statement = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, statement);
    return rows.every((row) => [undefined, statement.run(row).changes].includes(changes));
  }
  for (const sql of logSchema) database.exec(sql);
  run(firstHead(signer.vkey));
  database.exec("ATTACH ':memory:' AS old");
  for (const table of tables) database.exec(`CREATE TABLE old.${table} AS SELECT * FROM main.${table}`);

  const sql: Sql = {
    ...readsOf(() => database),
    async write(statements) {
      database.exec('BEGIN');
      const fits = statements.every(run);
      const hit = fits ? fault : undefined;
      if (hit === undefined && statements[0]?.sql.includes('json_each')) assumed[fits ? 'landed' : 'moved']++;
      database.exec(fits && hit !== 'not landed' ? 'COMMIT' : 'ROLLBACK');
      if (hit === undefined) return fits ? 'done' : 'conflict';
      fault = undefined;
      throw new StoreFault('injected');
    },
    reopen: async () => {},
    close: async () => {},
  };
  const store = { ...sqlLogStore(sql), finds };
  const copy = async (from: string, to: string) => {
    for (const table of tables)
      database.exec(`DELETE FROM ${to}.${table}; INSERT INTO ${to}.${table} SELECT * FROM ${from}.${table}`);
  };
  const open = () => openLog({ store, signer, ...secrets, writer, now, random, log: say, gather: setImmediate });

  return {
    logs: [await open(), await open(), await open()],
    open,
    verify: receiptVerifier(signer.vkey),
    setFault: (next: Fault | undefined) => {
      fault = next;
    },
    backUp: () => copy('main', 'old'),
    putBack: () => copy('old', 'main'),
    async head() {
      const { generation, base, size, epoch } = await store.head();
      return { generation, base, size, epoch };
    },
    /** All rows but what depends on the random ids of the log's own records. */
    async rows() {
      const own = "('policy', 'key', 'roll')";
      const entries = `SELECT idx, type, issuance, CASE WHEN type NOT IN ${own} THEN record END FROM entries`;
      const whole = tables.filter((table) => !['head', 'entries', 'subtrees', 'checkpoints'].includes(table));
      const queries = [entries, ...whole.map((table) => `SELECT * FROM ${table}`)];
      return queries.map((query) => database.prepare(`${query} ORDER BY 1`).raw().all([]));
    },
    findings: async () => (await verifyLog(sqlVerifySource(sql), { needIntent: new Set() })).findings,
  };
}
