import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/ledger/drivers/sqlite/open.ts';
import { type Log, openLog } from '../../../src/ledger/log/log.ts';
import type { Head, Wanted } from '../../../src/ledger/log-store.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import type { Sql, SqlAll } from '../../../src/ledger/sql/sql.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { depsOf, newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, policyHash, scribe, soon } from '../fixtures.ts';

const clock = clockAt(Date.now());
const write = scribe(clock);
const folder = newFolder();
const queries: string[] = [];
const policy = `policy:${policyHash}`;
const [intended, issued, once, counted] = [write.id(), write.id(), digest('o'), write.id()];
let sql: Sql;
let log: Log;

/** The store's answer, and how many queries it took. */
async function found(wanted: Partial<Wanted>) {
  const store = sqlLogStore(sql);
  queries.length = 0;
  const all = { ids: [], issuances: [], spent: [], seen: [], holders: [], now: clock.at, ...wanted };
  return { found: await store.find(all, soon()), took: queries.length };
}

beforeAll(async () => {
  const { secrets, writer, origin, platform } = depsOf({}, folder);
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const file = openSqliteFile(join(folder, 'ledger.db'), signer.vkey);
  const counting =
    (all: SqlAll): SqlAll =>
    (query, params) => {
      queries.push(query);
      return all(query, params);
    };
  sql = { ...file, read: (work) => file.read((all) => work(counting(all))) };
  const { now, random, log: say } = platform;
  log = await openLog({ store: sqlLogStore(sql), signer, ...secrets, writer, now, random, log: say });
  await log.append(asking(write.intent(intended, { once })), soon());
  await log.append(asking(write.issuance(issued)), soon());
  await log.append({ ...asking(write.intent(counted)), max: { holder: digest('h'), most: 1 } }, soon());
});
afterAll(async () => {
  await log.close();
  removeFolder(folder);
});

describe('what an append looks up, by one who knows the head', () => {
  const newest = async (): Promise<Head> => (await found({})).found.head;
  const fresh = { ids: ['a', 'b'], issuances: ['a'], spent: ['c'] };
  const holders = [{ holder: digest('h'), credential: 'orders-db' }];

  it.each<[string, Partial<Wanted>]>([
    ['nothing', {}],
    ['what is not there', fresh],
    ['a policy that is there', { ...fresh, seen: [policy] }],
    ['a policy that is not', { ...fresh, seen: ['policy:other'] }],
    ['both', { ...fresh, seen: [policy, 'policy:other'] }],
    ['an entry', { ids: ['a', issued] }],
    ['an issuance', { ids: [], issuances: [intended] }],
    ['what spent a token', { ...fresh, spent: [once, 'c'] }],
    ['a lease that counts', { ids: [], issuances: [counted], holders }],
    ['how many leases count', { ...fresh, holders }],
  ])('is what it is for all others: %s', async (_, wanted) => {
    const known = await newest();
    expect((await found({ ...wanted, known })).found).toEqual((await found(wanted)).found);
  });

  it('takes one query where all is new, and gives back the very head', async () => {
    const known = await newest();
    const { found: view, took } = await found({ ...fresh, seen: [policy], known });
    expect(took).toBe(1);
    expect(view.head).toBe(known);
  });

  it.each(['root', 'checkpoint'] as const)(
    'is under the head that is there, where another %s was known',
    async (member) => {
      const head = await newest();
      const known = { ...head, [member]: member === 'root' ? new Uint8Array(32) : 'another' };
      expect((await found({ ...fresh, known })).found.head).toEqual(head);
    },
  );
});
