import { afterAll, beforeAll, expect, it } from 'vitest';
import { dynamoVerifySource } from '../../../src/ledger/drivers/dynamodb/inspect.ts';
import { logKeys } from '../../../src/ledger/drivers/dynamodb/keys.ts';
import type { Range } from '../../../src/ledger/drivers/dynamodb/requests.ts';
import type { Key, Row } from '../../../src/ledger/drivers/dynamodb/row.ts';
import type { Table } from '../../../src/ledger/drivers/dynamodb/table.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { instantMs } from '../../../src/lib/time.ts';
import { type FakeDynamoDb, startDynamoDb } from '../../fakes/dynamodb.ts';
import { asking, digest, policyHash, scribe, soon } from '../fixtures.ts';
import { initIn, newTable, openIn, rowsOf } from './dynamodb-fixture.ts';

let dynamo: FakeDynamoDb;
/** Those of a ledger with something of everything, as they lie in its table. */
let items: readonly Row[];
const write = scribe({ at: Date.now(), now: Date.now });

beforeAll(async () => {
  dynamo = await startDynamoDb();
  const table = newTable();
  await initIn(dynamo.url, table);
  const ledger = await openIn(dynamo.url, table);
  const append = (...entries: Parameters<typeof asking>) => ledger.append(asking(...entries), soon());
  const [open, landed, owed, bare] = [write.id(), write.id(), write.id(), write.id()];
  const max = { holder: digest('h'), most: 5 };
  await ledger.append({ ...asking(write.intent(open), write.intent(landed), write.intent(owed)), max }, soon());
  await append(write.issuance(landed), write.issuance(owed), write.issuance(bare, { kind: 'secret' }));
  await append(write.revocation(owed), write.revocation(bare));
  const once = digest('o');
  await ledger.append({ ...asking(write.issuance(write.id(), { kind: 'secret', once })), once }, soon());
  const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' });
  await append(lockdown);
  const lift = write.lockdown('lift', parseRecord(lockdown.record).id, 2);
  await ledger.append({ ...asking(lift), epoch: 1 }, soon());
  await ledger.append({ ...asking(write.lockdown('add', 'all', 3)), epoch: 2 }, soon());
  await ledger.roll({}, soon());
  await ledger.append({ ...asking(write.denial({ policy: policyHash, epoch: 3 })), epoch: 3 }, soon());
  items = rowsOf(dynamo, table);
});
afterAll(() => dynamo.close());

function tableOf(rows: readonly Row[]): Table {
  const at = ({ pk, sk }: Key) => rows.find((row) => row.pk === pk && row.sk === sk);
  const reads: Pick<Table, 'get' | 'getAll' | 'query'> = {
    get: async (key) => at(key),
    getAll: async (keys) => keys.map(at).filter((row) => row !== undefined),
    query: async (pk, { from = '', to = '\uffff', newestFirst = false, limit }: Range = {}) => {
      const found = rows.filter((row) => row.pk === pk && row.sk >= from && row.sk <= to);
      found.sort((one, other) => (one.sk < other.sk === newestFirst ? 1 : -1));
      return found.slice(0, limit);
    },
  };
  return reads as Table;
}

async function codes(rows: readonly Row[]): Promise<string[]> {
  const source = dynamoVerifySource(tableOf(rows), logKeys(undefined));
  return (await verifyLog(source, { needIntent: new Set(['postgres']) })).findings.map(({ code }) => code);
}

/** What a server looks something up in; who holds a lease stands in no record, so only that both sides say the same. */
const lookedUp = /^log\/(?:entries|id|spent|seen|type|open|alive|owed|held)(?:\/|$)/;

it('verify says nothing of the items of an honest ledger', async () => {
  expect(await codes(items)).toEqual([]);
  const partitions = new Set(items.map(({ pk }) => lookedUp.exec(pk)?.[0]).filter((pk) => pk !== undefined));
  expect(partitions.size).toBe(9);
});

it.each<[string, (row: Row) => readonly Row[]]>([
  ['taken away', () => []],
  [
    'put where nobody looks for it',
    (row) => [{ ...row, pk: `${row.pk.slice(0, -1)}${row.pk.endsWith('5') ? '6' : '5'}` }],
  ],
  ['put under another key', (row) => [{ ...row, sk: `${row.sk}x` }]],
])('verify tells each item that was %s', async (_, change) => {
  for (const row of items.filter(({ pk }) => lookedUp.test(pk))) {
    const others = items.filter((one) => one !== row);
    expect([row.pk, row.sk, await codes([...others, ...change(row)])]).not.toEqual([row.pk, row.sk, []]);
  }
});

it('verify tells each look-up that leads elsewhere', async () => {
  for (const row of items.filter(({ pk }) => /^log\/(?:id|type|open|alive|owed|held)/.test(pk)))
    for (const [name, value] of Object.entries(row)) {
      if (['pk', 'sk', 'v'].includes(name)) continue;
      const others = items.filter((one) => one !== row);
      const more =
        value instanceof Set ? new Set([...value, '0-0']) : typeof value === 'number' ? value + 1 : `${value} `;
      const { [name]: _, ...less } = row;
      for (const changed of [{ ...row, [name]: more }, less as Row])
        expect([row.pk, name, await codes([...others, changed])]).not.toEqual([row.pk, name, []]);
    }
});

it('verify tells a checkpoint that is kept under the tree before its own', async () => {
  for (const row of items.filter(({ pk }) => pk.startsWith('log/entries'))) {
    const others = items.filter((one) => one !== row);
    expect(await codes([...others, { ...row, t: (row.t as number) - 1 }])).toContain('checkpoint_missing');
  }
});

it('verify says nothing of a lease that has expired by the clock of a server, and not yet by its own', async () => {
  const table = newTable();
  let at = Date.now();
  await initIn(dynamo.url, table);
  const ledger = await openIn(dynamo.url, table, { now: () => at });
  const scribed = scribe({
    get at() {
      return at;
    },
    now: () => at,
  });
  const max = { holder: digest('h'), most: 5 };
  const issue = (seconds: number) => {
    const expiresAt = instantMs(at + seconds * 1_000);
    const facts = { lease: { expiresAt, ttl: seconds, account: 'hp_account', revocable: true } };
    return ledger.append({ ...asking(scribed.intent(scribed.id(), facts)), max }, soon());
  };
  await issue(60);
  at += 61_000;
  await issue(600);
  const rows = rowsOf(dynamo, table);
  const findings = async (now: number) => {
    const source = dynamoVerifySource(tableOf(rows), logKeys(undefined), () => now);
    return (await verifyLog(source, { needIntent: new Set(['postgres']) })).findings;
  };
  expect(await findings(at)).toEqual([]);
  expect(await findings(at - 20_000)).toEqual([]);
});
