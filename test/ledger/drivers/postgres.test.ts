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

it('the query index finds what more than 200 names match, in their order and below a position', async () => {
  const at = adminOf(server, 'contract');
  await emptyTables(client, 'contract');
  const lane = laneTo(at);
  const index = postgresIndex(lane, 'contract', 0);
  const name = (at: number) => `ci:acme.+/repo-${at % 900}${at % 2 === 0 ? '@main' : '/sub@main'}`;
  const rows = Array.from({ length: 900 }, (_, index) => ({ index, time: index, type: 'issuance', name: name(index) }));
  await index.add(rows, 0, 900, soon());
  const fits = namePattern('ci:acme.+/*/*@main').matches;
  const expected = rows.filter(({ index, name }) => index < 700 && fits(name)).map(({ index }) => index);
  expect(expected).toHaveLength(350);
  expect(await index.find({ name: 'ci:acme.+/*/*@main' }, 700, 100, soon())).toEqual(expected.reverse().slice(0, 100));
  expect(await index.find({ name: 'ci:acme.+/repo-7*@main' }, 700, 100, soon())).toHaveLength(
    rows.filter(({ index, name }) => index < 700 && namePattern('ci:acme.+/repo-7*@main').matches(name)).length,
  );
  lane.close();
});
