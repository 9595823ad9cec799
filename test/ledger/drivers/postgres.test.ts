import type pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { postgresIndex } from '../../../src/ledger/drivers/postgres/query-index.ts';
import { ledgerContract } from '../../contracts/ledger.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import {
  adminOf,
  config,
  depsOf,
  emptyTables,
  laneTo,
  openAt,
  openShard,
  startServer,
  superuser,
} from './postgres-fixture.ts';

let server: RealPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startServer();
  client = await superuser(server);
});
afterAll(async () => {
  await client.end();
  await server.remove();
});

ledgerContract('postgres', async (given) => {
  const at = adminOf(server, 'contract');
  await emptyTables(client, 'contract');
  let ledger = await openAt(at, given);
  return {
    ledger,
    async restart() {
      await ledger.close();
      ledger = await openShard(config, depsOf(at, given), undefined);
      return ledger;
    },
    end: () => ledger.close(),
  };
});

queryIndexContract('postgres', async () => {
  const at = adminOf(server, 'contract');
  await emptyTables(client, 'contract');
  await (await openAt(at)).close();
  const lane = laneTo(at);
  return { index: postgresIndex(lane, 'contract', 0), end: async () => lane.close() };
});
