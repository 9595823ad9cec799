import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { rowOf } from '../../../src/ledger/questions/index-row.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { refusal } from '../../contracts/ledger.ts';
import { type FakeDynamoDb, startDynamoDb } from '../../fakes/dynamodb.ts';
import type { Item } from '../../fakes/dynamodb-expressions.ts';
import { asking, digest, policyHash, scribe, soon } from '../fixtures.ts';
import { findings, initIn, newTable, openIn, openWhole } from './dynamodb-fixture.ts';

let dynamo: FakeDynamoDb;
let table: string;
/** The time it is. */
const clock = {
  get at() {
    return Date.now();
  },
  now: Date.now,
};
const write = scribe(clock);

beforeAll(async () => {
  dynamo = await startDynamoDb();
});
afterAll(() => dynamo.close());
beforeEach(() => {
  table = newTable();
});

const made = async (given = {}): Promise<Log> => {
  await initIn(dynamo.url, table, given);
  return openIn(dynamo.url, table, given);
};
const found = () => findings(dynamo.url, table);
const issue = (ledger: Ledger, id = write.id(), facts = {}) =>
  ledger.append(asking(write.issuance(id, { kind: 'secret', ...facts })), soon());

/** A bit of everything: what began, landed, failed, was revoked, is owed, held, locked and lifted. */
async function live(ledger: Ledger): Promise<void> {
  const [landed, failed, given, owed] = [write.id(), write.id(), write.id(), write.id()];
  const max = { holder: digest('h'), most: 5 };
  await ledger.append({ ...asking(...[landed, failed, given, owed].map((id) => write.intent(id))), max }, soon());
  for (const id of [landed, owed]) await issue(ledger, id, { kind: 'postgres' });
  await ledger.append(asking(write.failure(failed), write.failure(given, { reason: 'abandoned' })), soon());
  await ledger.append(asking(write.revocation(owed), write.denial()), soon());
  const once = digest('o');
  await ledger.append({ ...asking(write.issuance(write.id(), { kind: 'secret', once })), once }, soon());
  const lockdown = write.lockdown('add', 'issuer', 1, { issuer: 'shop' });
  await ledger.append(asking(lockdown), soon());
  await ledger.append({ ...asking(write.lockdown('add', 'all', 2)), epoch: 1 }, soon());
  const lift = write.lockdown('lift', parseRecord(lockdown.record).id, 3);
  await ledger.append({ ...asking(lift), epoch: 2 }, soon());
}

describe('init of a dynamodb ledger', () => {
  it('makes a table that cannot be deleted by accident and can be put back to any second, once', async () => {
    expect(await initIn(dynamo.url, table)).toBe('made');
    expect(await initIn(dynamo.url, table)).toBe('there');
    const calls = dynamo.server.calls
      .map(({ body }) => JSON.parse(body))
      .filter(({ TableName }) => TableName === table);
    expect(calls).toContainEqual(
      expect.objectContaining({ DeletionProtectionEnabled: true, BillingMode: 'PAY_PER_REQUEST' }),
    );
    const recovery = { PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } };
    expect(calls.filter((call) => 'PointInTimeRecoverySpecification' in call)).toEqual([
      expect.objectContaining(recovery),
    ]);
  });

  it('leaves a table alone whose keys are others', async () => {
    dynamo.server.instead = (call) =>
      String(call.headers['x-amz-target']).endsWith('DescribeTable')
        ? {
            status: 200,
            body: JSON.stringify({
              Table: { TableName: table, TableStatus: 'ACTIVE', KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }] },
            }),
          }
        : undefined;
    await expect(initIn(dynamo.url, table)).rejects.toThrow(`the table ${table} is not one of Hallpass's`);
    dynamo.server.instead = undefined;
    expect(dynamo.items(table)).toEqual([]);
  });

  it.each([
    ['another origin', { origin: 'other.example.com/ledger' }, /under another origin or key: ledger\.origin /],
    [
      'another key',
      { checkpointKey: new Uint8Array(32).fill(8) },
      /under another origin or key: ledger\.seed .*docs\/keys\.md/,
    ],
  ])('and opening refuse the log of %s, and say what differs', async (_, other, message) => {
    await initIn(dynamo.url, table);
    await expect(openIn(dynamo.url, table, other)).rejects.toThrow(message);
    await expect(initIn(dynamo.url, table, other)).rejects.toThrow(message);
  });

  it('makes each log once where several do it at the same time', async () => {
    const done = await Promise.all([1, 2, 3, 4].map(() => initIn(dynamo.url, table)));
    expect(done.filter((one) => one === 'made')).toHaveLength(1);
  });

  it.each([
    [undefined, 2],
    [2, undefined],
    [2, 3],
    [3, 2],
  ])('refuses another number of shards than the table was made with: %s, then %s', async (was, shards) => {
    const given = (count?: number) => (count === undefined ? {} : { shards: count });
    await initIn(dynamo.url, table, given(was));
    await (await openWhole(dynamo.url, table, given(was))).close();
    const before = dynamo.items(table).length;
    await expect(initIn(dynamo.url, table, given(shards))).rejects.toThrow(/and keeps them: ledger.shards says/);
    expect(dynamo.items(table)).toHaveLength(before);
    await initIn(dynamo.url, table, given(was));
  });

  it('of one shard makes the table of a ledger without shards', async () => {
    await initIn(dynamo.url, table, { shards: 1 });
    for (const given of [{}, { shards: 1 }]) {
      const ledger = await openWhole(dynamo.url, table, given);
      expect([ledger.origin, ledger.shards]).toEqual(['pass.example.com/ledger', undefined]);
      await ledger.close();
    }
  });

  it('and opening leave the items of another version alone', async () => {
    await initIn(dynamo.url, table);
    const head = dynamo.items(table).find(({ pk }) => pk?.S === 'log/head') as Item;
    Object.assign(head, { schema: { N: '2' } });
    await expect(openIn(dynamo.url, table)).rejects.toThrow('another version of Hallpass');
    await expect(initIn(dynamo.url, table)).rejects.toThrow('another version of Hallpass');
  });

  it('is what opening asks for where there is no table, or no log in it; opening makes neither', async () => {
    await expect(openIn(dynamo.url, table)).rejects.toThrow(/run hallpass ledger init/);
    await initIn(dynamo.url, table, { shards: 2 });
    await expect(openIn(dynamo.url, table)).rejects.toThrow(/run hallpass ledger init/);
    expect(dynamo.items(table).map(({ pk }) => pk?.S)).toEqual(['0/head', '1/head']);
  });
});

describe('the items of a dynamodb ledger', () => {
  it('pass verify whole, over tiles, a roll and two processes', async () => {
    const one = await made();
    const other = await openIn(dynamo.url, table);
    await live(one);
    const many = Array.from({ length: 300 }, () => write.denial({ epoch: 3 }));
    await Promise.all(
      many.map((entry, at) => (at % 2 === 0 ? one : other).append({ ...asking(entry), epoch: 3 }, soon())),
    );
    expect(await found()).toEqual([]);
    await one.roll({}, soon());
    const { receipts } = await other.append({ ...asking(write.denial({ epoch: 3 })), epoch: 3 }, soon());
    for (const receipt of receipts) expect(receipt.log).toBe(`${one.origin}~2`);
    expect(await found()).toEqual([]);
  });

  /** Changes an item, and gives what puts it back. */
  const change = (item: Item | undefined, changes: Item) => {
    const was = { ...item };
    Object.assign(item as object, changes);
    return () => Object.assign(item as object, was);
  };
  const itemsIn = (partition: string) =>
    dynamo.items('tampered').filter(({ pk }) => String(pk?.S).startsWith(partition));
  it.each([
    ['a record changed', () => change(itemsIn('log/entries')[0], { r: { L: [{ S: '{}' }] } }), 'record_malformed'],
    ['an older head', () => change(itemsIn('log/head')[0], { n: { N: '3' } }), 'head_differs'],
    ['another epoch', () => change(itemsIn('log/head')[0], { e: { N: '2' } }), 'epoch_differs'],
    ['a lockdown forgotten', () => change(itemsIn('log/head')[0], { locks: { L: [] } }), 'lockdowns_differs'],
    ['a replay key of another record', () => change(itemsIn('log/spent')[0], { p: { N: '1' } }), 'spent_differs'],
    ['a policy of another record', () => change(itemsIn('log/seen')[0], { p: { N: '1' } }), 'seen_differs'],
    [
      'an issuance by another writer',
      () =>
        change(
          itemsIn('log/id').find(({ w }) => w),
          { w: { S: 'https://evil.example' } },
        ),
      'issuances_differs',
    ],
    [
      'a checkpoint of another size',
      () =>
        change(
          itemsIn('log/entries').find(({ c }) => c),
          { t: { N: '7' } },
        ),
      'checkpoint_missing',
    ],
  ])('do not pass it with %s', async (_, tamper, code) => {
    if ((await initIn(dynamo.url, 'tampered')) === 'made') await live(await openIn(dynamo.url, 'tampered'));
    const putBack = tamper();
    expect((await findings(dynamo.url, 'tampered')).map((finding) => finding.code)).toContain(code);
    putBack();
  });

  it('are never scanned for, and read with all that was written before', async () => {
    const before = dynamo.server.calls.length;
    const ledger = await made();
    await live(ledger);
    for (const state of ['open', 'expired', 'unrevoked'] as const) await ledger.pending(state, soon());
    await found();
    const calls = dynamo.server.calls.slice(before);
    expect(calls.filter(({ headers }) => String(headers['x-amz-target']).endsWith('.Scan'))).toEqual([]);
    const reads = calls.filter(({ headers }) =>
      /\.(GetItem|BatchGetItem|Query)$/.test(String(headers['x-amz-target'])),
    );
    for (const { body } of reads) expect(body).toContain('"ConsistentRead":true');
  });

  it('lose an erased disclosure to the last byte, in the index too, while every proof stays', async () => {
    const ledger = await made();
    const name = 'shop:somebody-to-be-forgotten';
    const entries = Array.from({ length: 3 }, () =>
      write.write('denial', { epoch: 0, policy: policyHash, reason: 'no_grant', count: 1 }, { name }),
    );
    const { receipts } = await ledger.append(asking(...entries), soon());
    const positions = receipts.map(({ index }) => index);
    const rows = (await ledger.reader.entries(0, 100, soon())).map(rowOf);
    expect(await ledger.index?.add(rows, 0, rows.length, soon())).toBe(true);
    expect(JSON.stringify(dynamo.items(table))).toContain(name);
    await ledger.erase(positions.slice(0, 2), soon());
    expect((await ledger.reader.entries(0, 100, soon())).map(({ disclosure }) => disclosure)).toEqual([
      null,
      null,
      null,
      entries[2]?.disclosure,
    ]);
    await ledger.erase(positions, soon());
    const left = JSON.stringify(dynamo.items(table));
    expect(left).not.toContain(name);
    for (const { disclosure } of entries) expect(left).not.toContain(disclosure);
    expect(await found()).toEqual([]);
    const key = await ledger.key(soon());
    for (const receipt of receipts) verifyReceipt(receipt, key);
  });

  it('keep small texts by compare and set, also where an answer is lost', async () => {
    const { texts } = await made();
    expect(await texts.write('cursor', undefined, 'a', soon())).toBe(true);
    expect(await texts.write('cursor', undefined, 'b', soon())).toBe(false);
    let lost = false;
    dynamo.server.instead = (call) => {
      if (lost || !call.body.includes('TransactItems')) return undefined;
      lost = true;
      dynamo.answer(call);
      return 'reset';
    };
    expect(await texts.write('cursor', 'a', 'c', soon())).toBe(true);
    dynamo.server.instead = undefined;
    expect(await texts.read('cursor', soon())).toBe('c');
    expect(await texts.write('cursor', 'c', null, soon())).toBe(true);
    expect(await texts.read('cursor', soon())).toBeUndefined();
  });

  it('of a sharded ledger lie in one table, each log under its own origin', async () => {
    await initIn(dynamo.url, table, { shards: 3 });
    const ledger = await openWhole(dynamo.url, table, { shards: 3 });
    const results = await Promise.all(Array.from({ length: 30 }, () => issue(ledger)));
    const logs = new Set(results.flatMap(({ receipts }) => receipts.map(({ log }) => log)));
    expect([...logs].sort()).toEqual([0, 1, 2].map((shard) => `${ledger.origin}/${shard}`));
    await ledger.close();
    for (const shard of [0, 1, 2]) expect(await findings(dynamo.url, table, shard)).toEqual([]);
  });
});

describe('what a commit of a dynamodb ledger takes', () => {
  it('is cut to what a transaction holds: 200 leases at once go in several', async () => {
    const ledger = await made();
    const ids = Array.from({ length: 200 }, () => write.id());
    const holder = digest('m');
    dynamo.used.reset();
    const max = { holder, former: [digest('n')], most: 1_000 };
    await Promise.all(ids.map((id) => ledger.append({ ...asking(write.intent(id)), max }, soon())));
    expect(dynamo.used.requests.TransactWriteItems).toBeGreaterThan(8);
    expect(dynamo.used.requests.TransactWriteItems).toBeLessThan(30);
    expect(await ledger.pending('open', soon())).toHaveLength(100);
    expect(await found()).toEqual([]);
  });

  it('is halved where it was more than expected, and an append too large for any is refused alone', async () => {
    const ledger = await made();
    const fits = asking(...Array.from({ length: 40 }, () => write.denial()));
    // Each has a policy of its own, which the log records first.
    const policies = Array.from({ length: 60 }, (_, at) => `sha256:${String(at).padStart(43, '0')}`);
    const large = asking(...policies.map((policy) => write.denial({ policy })));
    const outcomes = await Promise.allSettled([
      ledger.append(fits, soon()),
      ledger.append(large, soon()),
      issue(ledger),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await refusal(ledger.append(large, soon()))).toMatchObject({
      code: 'too_large',
      reason: 'entries_too_many',
    });
    await issue(ledger);
    expect(await found()).toEqual([]);
  });

  it('holds 16 leases begun by one call with their replay key and a limit, and their undoing', async () => {
    const ledger = await made();
    const once = digest('b');
    const request = '01jd9m0000000000000000000r';
    const ids = Array.from({ length: 16 }, () => write.id());
    const max = { holder: digest('h'), most: 16 };
    const intents = ids.map((id, at) => write.intent(id, { once, request, credential: `db-${at}` }));
    await ledger.append({ ...asking(...intents), once, max }, soon());
    await ledger.append(asking(...ids.map((id) => write.failure(id, { reason: 'abandoned' }))), soon());
    await ledger.append(asking(...ids.map((id) => write.revocation(id, { reason: 'done' }))), soon());
    expect(await ledger.pending('unrevoked', soon())).toEqual([]);
    expect(await found()).toEqual([]);
  });

  it('splits what is larger than an item', async () => {
    const ledger = await made();
    const large = () =>
      write.write(
        'denial',
        { epoch: 0, policy: policyHash, reason: 'no_grant', count: 1 },
        { why: 'w'.repeat(40_000) },
      );
    const entries = Array.from({ length: 16 }, large);
    const { receipts } = await ledger.append(asking(...entries), soon());
    expect(receipts).toHaveLength(16);
    expect((await ledger.reader.entries(1, 17, soon())).map(({ disclosure }) => disclosure)).toEqual(
      entries.map(({ disclosure }) => disclosure),
    );
    expect(await found()).toEqual([]);
  });

  it('costs what docs/ledger.md says: units and requests', async () => {
    const ledger = await made();
    await issue(ledger);
    const cost = async (work: () => Promise<unknown>) => {
      dynamo.used.reset();
      await work();
      const { write, read, requests } = dynamo.used;
      return { write, read, requests: Object.values(requests).reduce((sum, one) => sum + one, 0) };
    };
    const append = (...entries: ReturnType<typeof write.denial>[]) => ledger.append(asking(...entries), soon());
    const id = write.id();
    const once = digest('1');
    expect({
      alone: await cost(() => issue(ledger)),
      once: await cost(() =>
        ledger.append({ ...asking(write.issuance(write.id(), { kind: 'secret', once })), once }, soon()),
      ),
      intent: await cost(() => append(write.intent(id))),
      outcome: await cost(() => issue(ledger, id, { kind: 'postgres' })),
      revocation: await cost(() => append(write.revocation(id, { reason: 'done' }))),
      denial: await cost(() => append(write.denial())),
      twenty: await cost(() =>
        append(...Array.from({ length: 20 }, () => write.issuance(write.id(), { kind: 'secret' }))),
      ),
      indexed: await cost(async () => {
        const rows = (await ledger.reader.entries(0, 20, soon())).map(rowOf);
        expect(await ledger.index?.add(rows, 0, 20, soon())).toBe(true);
      }),
    }).toMatchInlineSnapshot(`
      {
        "alone": {
          "read": 3,
          "requests": 2,
          "write": 8,
        },
        "denial": {
          "read": 3,
          "requests": 2,
          "write": 8,
        },
        "indexed": {
          "read": 9,
          "requests": 13,
          "write": 120,
        },
        "intent": {
          "read": 4,
          "requests": 2,
          "write": 12,
        },
        "once": {
          "read": 4,
          "requests": 2,
          "write": 10,
        },
        "outcome": {
          "read": 3,
          "requests": 2,
          "write": 12,
        },
        "revocation": {
          "read": 6,
          "requests": 3,
          "write": 12,
        },
        "twenty": {
          "read": 22,
          "requests": 2,
          "write": 68,
        },
      }
    `);
  });

  it('is one find and one commit: a read and a transaction', async () => {
    const ledger = await made();
    await issue(ledger);
    dynamo.used.reset();
    await issue(ledger);
    expect(dynamo.used.requests).toEqual({ BatchGetItem: 1, TransactWriteItems: 1 });
  });
});
