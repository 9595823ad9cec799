import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { logKeys, padded } from '../../../src/ledger/drivers/dynamodb/keys.ts';
import { dynamoLogStore } from '../../../src/ledger/drivers/dynamodb/log-store.ts';
import { openDynamo, openTable } from '../../../src/ledger/drivers/dynamodb/table.ts';
import type { AppendRequest, Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { refusal } from '../../contracts/ledger.ts';
import { Refused } from '../../fakes/aws-secrets.ts';
import { cancelled, type FakeDynamoDb, operationOf, refuse, startDynamoDb } from '../../fakes/dynamodb.ts';
import type { FakeAnswer, FakeCall, FakeFault } from '../../fakes/server.ts';
import { asking, digest, scribe, soon } from '../fixtures.ts';
import { configOf, depsOf, findings, initIn, newTable, openIn, rowsOf } from './dynamodb-fixture.ts';
import { appendOne } from './sqlite-fixture.ts';

let dynamo: FakeDynamoDb;
let table: string;
const write = scribe({
  get at() {
    return Date.now();
  },
  now: Date.now,
});

beforeAll(async () => {
  dynamo = await startDynamoDb();
});
afterAll(() => dynamo.close());
beforeEach(async () => {
  table = newTable();
  await initIn(dynamo.url, table);
});
afterEach(() => {
  dynamo.server.instead = undefined;
});

type Answer = FakeAnswer | FakeFault;
const open = () => openIn(dynamo.url, table);
const clean = async () => expect(await findings(dynamo.url, table)).toEqual([]);
const error = (code: string, status = 400) => refuse(new Refused(code, 'canary', status));
const request = () => asking(write.issuance(write.id(), { kind: 'secret' }));

/** Answers these operations so, `times` of them; `after`: only once the fake has done what was asked. */
function fail(
  operations: RegExp,
  answer: Answer | (() => Answer),
  { times = Number.POSITIVE_INFINITY, after = false } = {},
) {
  let left = times;
  dynamo.server.instead = (call: FakeCall) => {
    if (!operations.test(operationOf(call)) || left === 0) return undefined;
    left--;
    if (after) dynamo.answer(call);
    return typeof answer === 'function' ? answer() : answer;
  };
}

const idOf = ({ entries }: AppendRequest): string => parseRecord(entries[0]?.record ?? '').id;

/** How often a record of this issuance or with this id lies in the log. */
async function timesIn(ledger: Ledger, id: string): Promise<number> {
  const entries = (await ledger.reader?.entries(0, 1_000, soon())) ?? [];
  return entries.filter(({ record }) => parseRecord(record).id === id).length;
}

const faults: readonly (readonly [string, Answer])[] = [
  ['a connection reset', 'reset'],
  ['half an answer', 'cut'],
  ['an internal error', error('InternalServerError', 500)],
  ['throttling', error('ThrottlingException')],
  ['a page of something else', { status: 502, body: '<html>canary</html>' }],
];
describe('for every request of an append to a dynamodb ledger', () => {
  const operations = ['BatchGetItem', 'TransactWriteItems'] as const;
  const cases = operations.flatMap((operation) =>
    (['before', 'after'] as const).map((moment) => ({ operation, moment })),
  );
  let ledger: Log;
  beforeAll(async () => {
    await initIn(dynamo.url, 'faults');
    ledger = await openIn(dynamo.url, 'faults');
    await appendOne(ledger);
  });
  afterAll(async () => {
    expect(await findings(dynamo.url, 'faults')).toEqual([]);
  });

  it.each(cases)(
    'a $operation that fails $moment it was done is asked again, and done once',
    async ({ operation, moment }) => {
      for (const [name, answer] of faults) {
        fail(new RegExp(operation), answer, { times: 1, after: moment === 'after' });
        const asked = request();
        const { receipts } = await ledger.append(asked, soon());
        expect((await ledger.append(asked, soon())).receipts, name).toEqual(receipts);
        for (const receipt of receipts) verifyReceipt(receipt, await ledger.key(soon()));
        expect(await timesIn(ledger, idOf(asked)), name).toBe(1);
      }
    },
  );

  it.each(cases)(
    'a $operation that keeps failing $moment it was done is a refusal, and the same append later lies in the log once',
    async ({ operation, moment }) => {
      for (const [name, answer] of faults) {
        const asked = request();
        fail(new RegExp(operation), answer, { after: moment === 'after' });
        expect((await refusal(ledger.append(asked, soon()))).code, name).toBe('ledger_unavailable');
        dynamo.server.instead = undefined;
        const { receipts } = await ledger.append(asked, soon());
        expect((await ledger.append(asked, soon())).receipts, name).toEqual(receipts);
        expect(await timesIn(ledger, idOf(asked)), name).toBe(1);
      }
    },
  );
});

describe('an append to a dynamodb ledger', () => {
  it('is tried again when its commit hangs though it was done, under the same token', async () => {
    const ledger = await open();
    await appendOne(ledger);
    fail(/TransactWriteItems/, 'hang', { times: 1, after: true });
    const from = dynamo.server.calls.length;
    const { receipts } = await ledger.append(request(), soon());
    expect(receipts[0]?.index).toBe(2);
    const tokens = dynamo.server.calls
      .slice(from)
      .filter((call) => operationOf(call) === 'TransactWriteItems')
      .map(({ body }) => JSON.parse(body).ClientRequestToken);
    expect(tokens).toHaveLength(2);
    expect(new Set(tokens).size).toBe(1);
    await clean();
  });

  it('is refused in time when everything hangs, and well again by itself', async () => {
    const ledger = await open();
    await appendOne(ledger);
    fail(/./, 'hang');
    const began = Date.now();
    expect((await refusal(ledger.append(request(), soon()))).code).toBe('ledger_unavailable');
    expect(Date.now() - began).toBeLessThan(3_000);
    dynamo.server.instead = undefined;
    await appendOne(ledger);
    await clean();
  });

  it('looks up no more than the head again where others were faster, and all of it where something else had changed', async () => {
    const ledger = await open();
    await appendOne(ledger);
    const lookups = async (...codes: string[]) => {
      const asked: string[] = [];
      let left = 1;
      dynamo.server.instead = (call: FakeCall) => {
        asked.push(operationOf(call));
        const fails = /Transact/.test(operationOf(call)) && left-- > 0;
        return fails ? cancelled(...codes) : undefined;
      };
      await appendOne(ledger);
      return asked;
    };
    const commit = 'TransactWriteItems';
    expect(await lookups('ConditionalCheckFailed', 'None')).toEqual(['BatchGetItem', commit, 'GetItem', commit]);
    for (const codes of [
      ['None', 'ConditionalCheckFailed'],
      ['ConditionalCheckFailed', 'ConditionalCheckFailed'],
    ])
      expect(await lookups(...codes)).toEqual(['BatchGetItem', commit, 'BatchGetItem', commit]);
  });

  it('is planned again where others were faster, and refused where they always are', async () => {
    const ledger = await open();
    await appendOne(ledger);
    for (const code of ['ConditionalCheckFailed', 'TransactionConflict']) {
      fail(/TransactWriteItems/, cancelled(code), { times: 3 });
      await appendOne(ledger);
    }
    fail(/TransactWriteItems/, cancelled('TransactionConflict'));
    expect(await refusal(ledger.append(request(), soon()))).toMatchObject({
      code: 'ledger_unavailable',
      reason: 'contended',
    });
    dynamo.server.instead = undefined;
    await appendOne(ledger);
  });

  it('is refused with the reason where the table takes no writes, and readiness with it; reads go on', async () => {
    const ledger = await open();
    await appendOne(ledger);
    const refusals: readonly (readonly [string, Answer])[] = [
      ['throttled', cancelled('ThrottlingError')],
      ['throttled', cancelled('ProvisionedThroughputExceeded')],
      ['throttled', error('ProvisionedThroughputExceededException')],
      ['throttled', error('RequestLimitExceeded')],
      ['full', cancelled('ItemCollectionSizeLimitExceeded')],
      ['full', error('ItemCollectionSizeLimitExceededException')],
      ['denied', error('AccessDeniedException')],
      ['table_missing', error('ResourceNotFoundException')],
    ];
    for (const [reason, answer] of refusals) {
      const asked = request();
      const { length } = await ledger.reader.entries(0, 100, soon());
      fail(/TransactWriteItems|UpdateItem/, answer);
      expect(await refusal(ledger.append(asked, soon()))).toMatchObject({ code: 'ledger_unavailable', reason });
      expect(await refusal(ledger.ready(soon()))).toMatchObject({ code: 'ledger_unavailable', reason });
      expect(await ledger.reader.entries(0, 100, soon())).toHaveLength(length);
      dynamo.server.instead = undefined;
      expect((await ledger.append(asked, soon())).receipts[0]?.index).toBe(length);
      await ledger.ready(soon());
    }
    await clean();
  });

  it('is taken where each request takes a quarter of a second', async () => {
    const slow = async (url: string, init: RequestInit) => {
      await new Promise((resolve) => setTimeout(resolve, 250));
      return fetch(url, init);
    };
    const ledger = await openIn(dynamo.url, table, { fetch: slow });
    expect((await ledger.append(request(), soon())).receipts).toHaveLength(1);
  });

  it('reads on where a batch comes back in parts', async () => {
    const ledger = await open();
    const asked = request();
    await ledger.append(asked, soon());
    let parts = 0;
    dynamo.server.instead = (call) => {
      if (operationOf(call) !== 'BatchGetItem') return undefined;
      const input = JSON.parse(call.body);
      const [[name, { Keys }]] = Object.entries(input.RequestItems) as [[string, { Keys: unknown[] }]];
      if (Keys.length === 1) return undefined;
      parts++;
      const some = { ...input, RequestItems: { [name]: { Keys: Keys.slice(0, 1), ConsistentRead: true } } };
      const answer = JSON.parse(String(dynamo.answer({ ...call, body: JSON.stringify(some) }).body));
      return { status: 200, body: JSON.stringify({ ...answer, UnprocessedKeys: { [name]: { Keys: Keys.slice(1) } } }) };
    };
    const once = digest('u');
    const fresh = { ...asking(write.issuance(write.id(), { kind: 'secret', once })), once };
    await ledger.append(fresh, soon());
    expect(parts).toBeGreaterThan(2);
    dynamo.server.instead = undefined;
    await clean();
  });
});

describe('a text beside a dynamodb ledger', () => {
  it('is written where others have its item in hand for a moment, and nobody is told that it was another', async () => {
    const { texts } = await open();
    fail(/TransactWriteItems/, cancelled('TransactionConflict'), { times: 2 });
    expect(await texts.write('cursor', undefined, '1', soon())).toBe(true);
    expect(await texts.read('cursor', soon())).toBe('1');
    expect(await texts.write('cursor', '0', '2', soon())).toBe(false);
  });

  it('is refused where they have it for long, and stays what it was', async () => {
    const { texts } = await open();
    fail(/TransactWriteItems/, cancelled('TransactionConflict'));
    expect(await refusal(texts.write('cursor', undefined, '1', soon()))).toMatchObject({
      code: 'ledger_unavailable',
      reason: 'contended',
    });
    dynamo.server.instead = undefined;
    expect(await texts.read('cursor', soon())).toBeUndefined();
  });
});

it('ends a lease that was renewed without end, and nobody beside it is refused', async () => {
  const ledger = await open();
  const id = write.id();
  const lease = { expiresAt: new Date(Date.now() + 600_000).toISOString(), ttl: 600, account: 'hp', revocable: true };
  const facts = { issuance: id, credential: 'orders-db', kind: 'postgres', epoch: 0, lease };
  await ledger.append(asking(write.intent(id)), soon());
  await ledger.append(asking(write.issuance(id)), soon());
  const { platform } = depsOf();
  const items = openTable(openDynamo(configOf(dynamo.url, table), platform), table, platform);
  const renewedOften = async (bytes: number) => {
    const places = new Set(Array.from({ length: bytes / 10 }, (_, at) => `0-${String(at).padStart(8, '0')}`));
    const item = { update: logKeys(undefined).id(id), set: 'SET s = :s', values: { ':s': places } };
    await items.update(item, soon());
  };
  await renewedOften(408_800);
  const together = [write.write('renewal', facts), write.denial()].map((one) => ledger.append(asking(one), soon()));
  const [renewed, denied] = await Promise.allSettled(together);
  expect(denied?.status).toBe('fulfilled');
  expect(renewed).toMatchObject({ reason: { code: 'too_large' } });
  // As large as renewals can make it.
  await renewedOften(50_000);
  expect(await refusal(ledger.append(asking(write.write('renewal', facts)), soon()))).toMatchObject({
    code: 'too_large',
  });
  await ledger.append(asking(write.revocation(id)), soon());
});

it('lists expired leases though more of them are there than can be read in time', async () => {
  const ledger = await open();
  const { receipts } = await ledger.append(asking(write.intent(write.id())), soon());
  const { platform } = depsOf();
  const items = openTable(openDynamo(configOf(dynamo.url, table), platform), table, platform);
  const keys = logKeys(undefined);
  const place = `${receipts[0]?.index}-${receipts[0]?.index}`;
  const marks = Array.from({ length: 3_000 }, (_, at) => ({
    put: { pk: keys.alive, sk: `${padded(1_000 + at)}-x`, p: place, w: 'w'.repeat(1_500) },
  }));
  for (let at = 0; at < marks.length; at += 250) await items.writeAll(marks.slice(at, at + 250), soon(10_000));
  dynamo.used.reset();
  await dynamoLogStore(items, keys, Date.now).pending('expired', { before: Date.now(), after: -1, limit: 5 });
  expect(dynamo.used.requests.Query).toBe(1);
});

it('waits for no part of a batch beyond the deadline', async () => {
  const config = configOf(dynamo.url, table);
  const { platform } = depsOf();
  const slowly = { ...platform, random: (bytes: number) => new Uint8Array(bytes).fill(255) };
  const keys = openTable(openDynamo(config, platform), table, slowly);
  dynamo.server.instead = (call) => ({
    status: 200,
    body: JSON.stringify({ UnprocessedKeys: JSON.parse(call.body).RequestItems }),
  });
  // The pauses before the seventh request are 1,260 ms, and the one after it as long again.
  const deadline = deadlineIn(1_500, Date.now);
  const waited = Date.now();
  await expect(keys.getAll([{ pk: 'log/id/0', sk: 'x' }], deadline)).rejects.toMatchObject({ reason: 'throttled' });
  expect(Date.now() - waited).toBeLessThan(2_400);
});

describe('a dynamodb ledger with several writers', () => {
  it('loses nothing and forks nowhere when the table is away in mid-load', async () => {
    const ledgers = await Promise.all([open(), open()]);
    const acknowledged: number[] = [];
    let going = true;
    const load = ledgers.flatMap((ledger) =>
      Array.from({ length: 4 }, async () => {
        while (going)
          await ledger.append(request(), soon(1_500)).then(
            ({ receipts }) => acknowledged.push(receipts[0]?.index as number),
            () => {},
          );
      }),
    );
    const enough = async (many: number) => {
      while (acknowledged.length < many) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    for (let round = 1; round <= 2; round++) {
      await enough(round * 10);
      let calls = 0;
      fail(/./, 'reset', { times: 40, after: round % 2 === 0 });
      dynamo.server.instead = ((instead) => (call: FakeCall) => {
        calls++;
        return instead?.(call);
      })(dynamo.server.instead);
      while (calls < 40) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await enough(40);
    going = false;
    await Promise.all(load);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const size = (await (ledgers[0] as Ledger).reader?.head(soon()))?.size ?? 0;
    expect(Math.max(...acknowledged)).toBeLessThan(size);
    await clean();
  });

  it('gives each its own place, and a replay key to one of them', async () => {
    const ledgers = await Promise.all([open(), open(), open()]);
    const once = digest('r');
    const spend = () => ({ ...asking(write.issuance(write.id(), { kind: 'secret', once })), once });
    const of = (at: number) => ledgers[at % 3] as Ledger;
    const [places, spends] = await Promise.all([
      Promise.all(Array.from({ length: 90 }, (_, at) => of(at).append(request(), soon()))),
      Promise.allSettled(Array.from({ length: 30 }, (_, at) => of(at).append(spend(), soon()))),
    ]);
    expect(new Set(places.map(({ receipts }) => receipts[0]?.index)).size).toBe(90);
    expect(spends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const codes = spends.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
    expect(new Set(codes)).toEqual(new Set(['replayed']));
    await clean();
  });

  it('takes 10 that each append once and know of no other, some of them when they ask again', async () => {
    const ledgers = await Promise.all(Array.from({ length: 10 }, open));
    const lone = async (ledger: Ledger) => {
      const asked = request();
      for (;;) {
        const outcome = await ledger.append(asked, soon()).catch((refused) => refused);
        if (!(outcome instanceof Error)) return outcome.receipts[0]?.index;
        expect(outcome).toMatchObject({ code: 'ledger_unavailable' });
      }
    };
    expect(new Set(await Promise.all(ledgers.map(lone))).size).toBe(10);
    await clean();
  });

  it('spends a key once where one sees the head of a commit before the rest of it', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const once = digest('f');
    const spend = () => ({ ...asking(write.issuance(write.id(), { kind: 'secret', once })), once });
    await one.append(spend(), soon());
    // The other is shown the newest head, and a table in which the key is not spent yet: once.
    let hidden = false;
    dynamo.server.instead = (call) => {
      const answer =
        operationOf(call) === 'BatchGetItem' && call.body.includes('log/spent/') ? dynamo.answer(call) : undefined;
      if (answer === undefined || hidden) return undefined;
      const body = JSON.parse(String(answer.body));
      const seen = body.Responses[table].filter(({ pk }: { pk: { S: string } }) => !pk.S.startsWith('log/spent/'));
      hidden = true;
      return { status: 200, body: JSON.stringify({ ...body, Responses: { [table]: seen } }) };
    };
    expect((await refusal(other.append(spend(), soon()))).code).toBe('replayed');
    expect(hidden).toBe(true);
    await clean();
  });
});

describe('a dynamodb table that was put back from a backup under two processes', () => {
  /** Keeps the table as it is; what is returned puts it back. */
  function keep(): () => Promise<void> {
    const { platform } = depsOf();
    const kept = rowsOf(dynamo, table);
    return async () => {
      const all = openTable(openDynamo(configOf(dynamo.url, table), platform), table, platform);
      await all.writeAll(
        rowsOf(dynamo, table).map(({ pk, sk }) => ({ remove: { pk, sk } })),
        soon(),
      );
      await all.writeAll(
        kept.map((put) => ({ put })),
        soon(),
      );
    };
  }

  /** One that was answered `lost` appends more than the backup has, and another that went on beyond them. */
  async function outgrown(lost: number) {
    let at = Date.now();
    const ours = await openIn(dynamo.url, table, { now: () => at });
    const theirs = await open();
    await ours.append(request(), soon());
    const putBack = keep();
    for (let time = 0; time < lost; time++) await ours.append(request(), soon());
    await putBack();
    for (let time = 0; time <= lost + 1; time++) await theirs.append(request(), soon());
    at += 10_000;
    return { ours, theirs };
  }

  it('is refused by the one that was answered, however far the other has gone on', async () => {
    for (const lost of [1, 2, 5]) {
      const { ours, theirs } = await outgrown(lost);
      expect((await refusal(ours.append(request(), soon()))).reason).toBe('past_changed');
      for (let time = 0; time < 2; time++)
        expect((await refusal(ours.append(request(), soon()))).reason).toBe('damaged');
      await theirs.append(request(), soon());
    }
  });

  it('is not looked for before each append: a writer among others asks once in some seconds more than it must', async () => {
    let at = Date.now();
    const [ours, theirs] = [await openIn(dynamo.url, table, { now: () => at }), await open()];
    await ours.append(request(), soon());
    const asked: string[] = [];
    for (let time = 0; time < 6; time++) {
      await theirs.append(request(), soon());
      if (time === 4) at += 10_000;
      const operations: string[] = [];
      dynamo.server.instead = (call) => void operations.push(operationOf(call));
      await ours.append(request(), soon());
      dynamo.server.instead = undefined;
      asked.push(operations.join());
    }
    const usual = 'BatchGetItem,TransactWriteItems';
    const looking = 'BatchGetItem,Query,TransactWriteItems';
    expect(asked).toEqual([looking, usual, usual, usual, looking, usual]);
  });
});
