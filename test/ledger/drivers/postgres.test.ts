import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresIndex } from '../../../src/ledger/drivers/postgres/query-index.ts';
import { namePattern } from '../../../src/ledger/name-pattern.ts';
import { ledgerContract } from '../../contracts/ledger.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import { soon } from '../fixtures.ts';
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
  await (await openAt(adminOf(server, 'contract'))).close();
});
afterAll(async () => {
  await client.end();
  await server.remove();
});

ledgerContract('postgres', async (given) => {
  const at = adminOf(server, 'contract');
  await emptyTables(client, 'contract');
  let ledger = await openShard(config, depsOf(at, given), undefined);
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
  const lane = laneTo(at);
  return { index: postgresIndex(lane, 'contract', 0), end: async () => lane.close() };
});

it('the query index finds what more than 200 names match, near the end and far from it', async () => {
  await emptyTables(client, 'contract');
  const lane = laneTo(adminOf(server, 'contract'));
  const index = postgresIndex(lane, 'contract', 0);
  const name = (at: number) => `ci:acme.${at < 3_000 ? '+' : 'x'}/repo-${at}${at % 2 === 0 ? '@main' : '/sub@main'}`;
  const rows = Array.from({ length: 9_000 }, (_, at) => ({ index: at, time: at, type: 'issuance', name: name(at) }));
  await index.add(rows, 0, 9_000, soon());
  for (const pattern of ['ci:acme.+/*/*@main', 'ci:acme.+/repo-*7@main', 'ci:acme.*/repo-*@main']) {
    const fits = rows.filter(({ name }) => namePattern(pattern).matches(name)).map(({ index }) => index);
    for (const before of [700, 2_900, 9_000]) {
      const expected = fits.filter((at) => at < before).reverse();
      expect(await index.find({ name: pattern }, before, 100, soon()), pattern).toEqual(expected.slice(0, 100));
    }
  }
  lane.close();
});
