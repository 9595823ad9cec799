import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgresIndex } from '../../../src/ledger/drivers/postgres/query-index.ts';
import { namePattern } from '../../../src/ledger/questions/name-pattern.ts';
import { ledgerContract } from '../../contracts/ledger.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import { asking, digest, scribe, soon } from '../fixtures.ts';
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

it('the query index is empty once cleared, also where somebody was adding', async () => {
  await emptyTables(client, 'contract');
  const lane = laneTo(adminOf(server, 'contract'));
  const index = postgresIndex(lane, 'contract', 0);
  await client.query(`BEGIN; UPDATE contract.index_seen SET seen = 2 WHERE log = 0;
    INSERT INTO contract.index_rows (log, idx, time) VALUES (0, 0, 1), (0, 1, 1)`);
  const cleared = index.clear(soon());
  await expect.poll(async () => (await client.query('SELECT 1 FROM pg_locks WHERE NOT granted')).rowCount).toBe(1);
  await client.query('COMMIT');
  await cleared;
  expect(await index.seen(soon())).toBe(0);
  const rows = [0, 1].map((at) => ({ index: at, time: at, type: 'issuance' }));
  expect(await index.add(rows, 0, 2, soon())).toBe(true);
  expect(await index.find({ type: 'issuance' }, 2, 9, soon())).toEqual([1, 0]);
  lane.close();
});

/** Text that does not shrink: this many letters of an alphabet of 4,096. */
function long(length: number, first = 0x100): string {
  let seed = 1;
  const next = () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed;
  };
  return Array.from({ length }, () => String.fromCharCode(first + (next() % 4_096))).join('');
}

it('the query index takes a name that PostgreSQL has no text for', async () => {
  await emptyTables(client, 'contract');
  const lane = laneTo(adminOf(server, 'contract'));
  const index = postgresIndex(lane, 'contract', 0);
  const name = 'ci:acme\0/shop';
  expect(await index.add([{ index: 0, time: 0, type: 'issuance', name }], 0, 1, soon())).toBe(true);
  for (const pattern of [name, 'ci:*/shop', 'ci:acme\0/*'])
    expect(await index.find({ name: pattern }, 1, 9, soon()), pattern).toEqual([0]);
  await index.forget([0], soon());
  expect(await index.find({ name }, 1, 9, soon())).toEqual([]);
  lane.close();
});

it('a name with a NUL is refused, and what shares its commit is not', async () => {
  await emptyTables(client, 'contract');
  const ledger = await openShard(config, depsOf(adminOf(server, 'contract')), undefined);
  const write = scribe({ at: Date.now(), now: Date.now });
  const max = { holder: digest('h'), most: 5 };
  const [bad, good] = await Promise.allSettled([
    ledger.append({ ...asking(write.intent(write.id(), { credential: 'a\0b' })), max }, soon()),
    ledger.append(asking(write.denial()), soon()),
  ]);
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'too_large' } });
  expect(good).toMatchObject({ status: 'fulfilled' });
  await ledger.close();
});

it('a name too long for PostgreSQL to find by is refused, and what shares its commit is not', async () => {
  await emptyTables(client, 'contract');
  const ledger = await openShard(config, depsOf(adminOf(server, 'contract')), undefined);
  const write = scribe({ at: Date.now(), now: Date.now });
  const max = { holder: digest('h'), most: 5 };
  const key = { purpose: long(2_048), kid: long(2_048), jwk: {}, state: 'begin' } as const;
  const settled = await Promise.allSettled([
    ledger.append(asking(write.write('key', key, null)), soon()),
    ledger.append({ ...asking(write.intent(write.id(), { credential: long(1_000, 0x4e00) })), max }, soon()),
    ledger.append(asking(write.denial()), soon()),
  ]);
  expect(settled).toMatchObject([
    { status: 'rejected', reason: { code: 'too_large' } },
    { status: 'rejected', reason: { code: 'too_large' } },
    { status: 'fulfilled' },
  ]);
  await ledger.close();
});

it('the query index finds names too long for PostgreSQL to find by, and all beside them', async () => {
  await emptyTables(client, 'contract');
  const lane = laneTo(adminOf(server, 'contract'));
  const index = postgresIndex(lane, 'contract', 0);
  const names = [`ci:acme/${long(9_000)}`, 'ci:acme/shop', `ci:acme/${long(3_000, 0x4e00)}/shop`];
  const rows = names.map((name, at) => ({ index: at, time: at, type: 'issuance', name }));
  expect(await index.add(rows, 0, 3, soon())).toBe(true);
  for (const [at, name] of names.entries()) expect(await index.find({ name }, 3, 9, soon())).toEqual([at]);
  expect(await index.find({ name: 'ci:acme/*' }, 3, 9, soon())).toEqual(expect.arrayContaining([0, 1]));
  expect(await index.find({ name: 'ci:acme/*/shop' }, 3, 9, soon())).toEqual(expect.arrayContaining([2]));
  expect(await index.find({ name: 'ci:other/*' }, 3, 9, soon())).toEqual([]);
  await index.forget([0, 2], soon());
  expect(await index.find({ name: 'ci:*/*' }, 3, 9, soon())).toEqual([1]);
  lane.close();
});
