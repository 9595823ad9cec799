import { join } from 'node:path';
import { expect, test } from 'vitest';
import { postgresIndex } from '../../src/ledger/drivers/postgres/query-index.ts';
import { catchUp } from '../../src/ledger/questions/catch-up.ts';
import { adminOf, findings, laneTo, openAt, startServer } from '../ledger/drivers/postgres-fixture.ts';
import { soon } from '../ledger/fixtures.ts';
import { filesWith } from '../support/bytes-on-disk.ts';
import { eraseInTurns, fill, marks, name, proofsHold } from '../support/erased-person.ts';

test('a PostgreSQL vacuumed after an erasure holds none of its bytes, but in its write-ahead log', async () => {
  const server = await startServer();
  try {
    const at = adminOf(server, 'erased');
    const log = await openAt(at);
    const lane = laneTo(at);
    const ledger = { ...log, index: log.index ?? postgresIndex(lane, 'erased', 0) };
    const { receipts, positions } = await fill(ledger, 150);
    await catchUp(ledger, soon());
    const tables = join(server.data, 'base');
    // The planner keeps samples of what tables hold.
    await server.sql('ANALYZE', 'postgres');
    await server.sql('CHECKPOINT');
    for (const mark of marks) expect(filesWith(tables, [mark]).length).toBeGreaterThan(0);
    await eraseInTurns(ledger, positions);
    expect(await ledger.index.find({ name: `shop:${name}/*` }, 1_000, 500, soon())).toEqual([]);
    await proofsHold(ledger, receipts);
    for (const table of ['disclosures', 'index_rows', 'index_names'])
      await server.sql(`VACUUM (FULL, ANALYZE) erased.${table}`, 'postgres');
    await server.sql('VACUUM FULL pg_statistic', 'postgres');
    await server.sql('CHECKPOINT');
    expect(filesWith(tables, marks)).toEqual([]);
    expect(await findings(at)).toEqual([]);
    lane.close();
    await ledger.close();
  } finally {
    await server.remove();
  }
});
