import { afterAll, beforeAll, expect, it } from 'vitest';
import { logKeys } from '../../../src/ledger/drivers/dynamodb/keys.ts';
import { dynamoQueryIndex } from '../../../src/ledger/drivers/dynamodb/query-index.ts';
import { openDynamo, openTable, type Table } from '../../../src/ledger/drivers/dynamodb/table.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import { type FakeDynamoDb, startDynamoDb } from '../../fakes/dynamodb.ts';
import { soon } from '../fixtures.ts';
import { configOf, depsOf, initIn, newTable } from './dynamodb-fixture.ts';

let dynamo: FakeDynamoDb;
beforeAll(async () => {
  dynamo = await startDynamoDb();
});
afterAll(() => dynamo.close());

queryIndexContract('dynamodb', async () => {
  const config = configOf(dynamo.url, newTable());
  const { platform } = depsOf();
  await initIn(dynamo.url, config.table);
  const table = openTable(openDynamo(config, platform), config.table, platform);
  return { index: dynamoQueryIndex(table, logKeys(undefined)), end: async () => {} };
});

const name = 'ci:acme/the-person@main';
const token = 'the-token';
const row = { index: 0, time: 0, type: 'denial', name, token } as const;

/** An index, the table under it, and what is in that of the person. */
async function made() {
  const config = configOf(dynamo.url, newTable());
  const { platform } = depsOf();
  await initIn(dynamo.url, config.table);
  const table = openTable(openDynamo(config, platform), config.table, platform);
  const over = (with_: Partial<Table> = {}) => dynamoQueryIndex({ ...table, ...with_ }, logKeys(undefined));
  const left = () => dynamo.items(config.table).filter((item) => /the-person|the-token/.test(JSON.stringify(item)));
  return { table, over, left };
}

it('forgets what somebody wrote who died before the index had it', async () => {
  const { table, over, left } = await made();
  const dying = over({
    transact: (writes, deadline) =>
      writes.some((one) => 'put' in one && one.put.sk === 'mark')
        ? Promise.reject(new Error('killed'))
        : table.transact(writes, deadline),
  });
  await expect(dying.add([row], 0, 1, soon())).rejects.toThrow();
  expect(left().length).toBeGreaterThan(2);
  const index = over();
  await index.forget([0], soon());
  expect(left()).toEqual([]);
  expect(await index.add([{ index: 0, time: 0, type: 'denial' }], 0, 1, soon())).toBe(true);
  expect(left()).toEqual([]);
});

it.each(['before', 'after'])(
  'forgets what is written by somebody who read it %s it was to be forgotten, and later',
  async (when) => {
    const { table, over, left } = await made();
    const index = over();
    let begun = false;
    const late = over({
      async writeAll(writes, deadline) {
        if (begun) return table.writeAll(writes, deadline);
        begun = true;
        if (when === 'after') await table.writeAll(writes, deadline);
        await index.forget([0], soon());
        expect(await index.add([{ index: 0, time: 0, type: 'denial' }], 0, 1, soon())).toBe(true);
        if (when === 'before') await table.writeAll(writes, deadline);
      },
    });
    expect(await late.add([row], 0, 1, soon())).toBe(false);
    expect(left()).toEqual([]);
  },
);

it('forgets all the same where it was killed in the midst of it', async () => {
  const { table, over, left } = await made();
  const index = over();
  expect(await index.add([row], 0, 1, soon())).toBe(true);
  expect(left().length).toBeGreaterThan(2);
  for (let most = 0; left().length > 0; most++) {
    let writes = 0;
    const killed = over({
      writeAll: (some, deadline) =>
        writes++ < most ? table.writeAll(some, deadline) : Promise.reject(new Error('killed')),
    });
    await killed.forget([0], soon()).catch(() => {});
    if (most > 2) await index.forget([0], soon());
    expect(most).toBeLessThan(9);
  }
  expect(await index.find({ type: 'denial' }, 1, 1, soon())).toEqual([0]);
});

it('asks for no account in plain words, as it may be a value that leaked', async () => {
  const { table, over } = await made();
  const asked: unknown[] = [];
  const index = over({
    query: (...given) => {
      asked.push(given);
      return table.query(...given);
    },
  });
  await index.add([{ index: 0, time: 0, type: 'issuance', account: 'hp_checkout' }], 0, 1, soon());
  expect(await index.find({ account: 'hp_checkout' }, 9, 9, soon())).toEqual([0]);
  expect(await index.find({ account: 'fake-leaked-value' }, 9, 9, soon())).toEqual([]);
  expect(asked.length).toBeGreaterThan(1);
  expect(JSON.stringify(asked)).not.toMatch(/hp_checkout|fake-leaked-value/);
});

it('takes a name that DynamoDB has no key for, and all that comes with it', async () => {
  const { over } = await made();
  const index = over();
  const names = ['', 'ci:acme/shop'];
  const rows = names.map((one, at) => ({ index: at, time: at, type: 'denial', name: one }));
  expect(await index.add(rows, 0, 2, soon())).toBe(true);
  for (const [at, one] of names.entries()) expect(await index.find({ name: one }, 2, 9, soon()), one).toEqual([at]);
  expect(await index.find({ name: 'ci:acme/*' }, 2, 9, soon())).toEqual([1]);
  await index.forget([0], soon());
  expect(await index.find({ name: '' }, 2, 9, soon())).toEqual([]);
  expect(await index.find({ type: 'denial' }, 2, 9, soon())).toEqual([1, 0]);
  await index.clear(soon());
  expect(await index.seen(soon())).toBe(0);
});
