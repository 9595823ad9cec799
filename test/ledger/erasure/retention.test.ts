import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openBook } from '../../../src/ledger/erasure/book.ts';
import { repeatErasures } from '../../../src/ledger/erasure/repeat-erasures.ts';
import { retentionRules } from '../../../src/ledger/erasure/retain.ts';
import { openRetention, type RetentionDeps } from '../../../src/ledger/erasure/retention.ts';
import type { Ledger, PlacedEntry } from '../../../src/ledger/ledger.ts';
import { disclosedIn } from '../../../src/ledger/questions/index-row.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import {
  type LedgerRecord,
  parseRecord,
  type RecordText,
  type RecordType,
} from '../../../src/ledger/records/record.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, policyHash, random, scribe, soon, writer } from '../fixtures.ts';

const day = 86_400_000;
let folder: string;
let clock: Clock;
let ledger: Awaited<ReturnType<typeof openIn>>;
let write: ReturnType<typeof scribe>;

beforeEach(async () => {
  folder = newFolder();
  clock = clockAt(Date.now());
  write = scribe(clock);
  ledger = await openIn(folder, { now: () => clock.at });
});
afterEach(async () => {
  await ledger.close();
  removeFolder(folder);
});

const self = { name: 'self:broker', iss: 'https://pass.example.com', subject: 'broker' };
function keeping(entry: object, more: Partial<RetentionDeps> = {}) {
  const policy = { hash: policyHash, grants: 1, credentials: 1 };
  const on = more.ledger ?? ledger;
  const lines: string[] = [];
  const retention = openRetention({
    ledger: on,
    book: openBook({ ledger: on, policy, writer, now: () => clock.at, random }),
    rules: retentionRules(entry as Record<string, unknown>),
    self,
    limits: { ledgerMs: 2_000 },
    now: () => clock.at,
    log: (_level, event, facts) => void lines.push(`${event} ${facts?.reason ?? ''}`),
    count: () => {},
    ...more,
  });
  return { run: () => retention.run(soon(20_000)), lines };
}

const append = async (...entries: RecordText[]) => (await ledger.append(asking(...entries), soon())).receipts;
const all = () => ledger.reader.entries(0, 10_000, soon());
/** Ids of the records that still disclose something, of those that ever did. */
const disclosed = async (type?: string) =>
  (await all())
    .map((entry) => ({ ...entry, parsed: parseRecord(entry.record) }))
    .filter(({ disclosure, parsed }) => disclosure !== null && (type === undefined || parsed.type === type))
    .map(({ parsed }) => parsed.id);
const erasures = async () =>
  (await ledger.reader.list({ type: 'erasure', limit: 100 }, soon())).map((entry: PlacedEntry) => ({
    count: parseRecord(entry.record).count,
    issuer: parseRecord(entry.record).identity?.issuer,
    ...disclosedIn(entry.disclosure),
  }));
const positionOf = async (type: RecordType) =>
  (await ledger.reader.list({ type, limit: 1 }, soon()))[0]?.index as number;
const secret = (facts: Partial<LedgerRecord> = {}) => write.issuance(write.id(), { kind: 'secret', ...facts });
const idOf = ({ record }: RecordText) => parseRecord(record).id;

describe('retention', () => {
  test('erases what is older than max, of each type by its own rule, and every proof stays good', async () => {
    const key = await ledger.key(soon());
    const old = [secret(), write.denial()];
    const receipts = [...(await append(...old))];
    clock.at += 50 * day;
    const young = [secret(), write.denial()];
    receipts.push(...(await append(...young)));
    clock.at += 50 * day;
    await keeping({ retain: { issuance: { max: '90d' }, denial: { max: '30d' } } }).run();
    expect(await disclosed('issuance')).toEqual([idOf(young[0] as RecordText)]);
    expect(await disclosed('denial')).toEqual([]);
    for (const { disclosure: _, ...receipt } of receipts) verifyReceipt(receipt, key);
    expect(await erasures()).toMatchObject([
      { count: 2, issuer: 'self', why: 'retention', name: 'self:broker', query: { type: 'denial' } },
      { count: 1, issuer: 'self', why: 'retention', query: { type: 'issuance', positions: [1] } },
    ]);
  });

  test('has one rule for all types that have none of their own, and never erases what it said itself', async () => {
    await append(secret(), write.denial());
    clock.at += 2 * day;
    await keeping({ retain: { issuance: { max: '30d' }, '*': { max: '1d' } } }).run();
    expect(await disclosed('denial')).toEqual([]);
    expect(await disclosed('issuance')).toHaveLength(1);
    for (let later = 0; later < 3; later++) {
      clock.at += 2 * day;
      await keeping({ retain: { issuance: { max: '30d' }, '*': { max: '1d' } } }).run();
    }
    expect(await erasures()).toHaveLength(1);
  });

  test('goes on where it was, and looks again only when the rules are others', async () => {
    await append(...Array.from({ length: 5 }, () => secret()));
    clock.at += 2 * day;
    const rules = { retain: { issuance: { max: '1d' } } };
    await keeping(rules).run();
    expect(await ledger.texts.read('retain:issuance', soon())).toContain('"next":6');
    const reads: number[] = [];
    const watched: Ledger = {
      ...ledger,
      reader: {
        ...ledger.reader,
        entries: (from, to, deadline) => {
          reads.push(from);
          return ledger.reader.entries(from, to, deadline);
        },
      },
    };
    await append(secret());
    await keeping(rules, { ledger: watched }).run();
    expect(reads).toEqual([6]);
    await keeping({ retain: { issuance: { max: '2d' } } }, { ledger: watched }).run();
    expect(reads).toEqual([6, 0]);
  });

  test('a legal hold keeps what fits it, and no longer when it is gone', async () => {
    const held = secret({ credential: 'held-db' });
    await append(secret(), held, secret());
    clock.at += 2 * day;
    const retain = { issuance: { max: '1d' } };
    await keeping({ retain, hold: [{ name: 'case', reason: 'x', credential: 'held-db' }] }).run();
    expect(await disclosed('issuance')).toEqual([idOf(held)]);
    // As --identity reads it.
    for (const identity of ['shop:*', 'shop:check*', 'shop:*out']) {
      await keeping({ retain, hold: [{ name: 'case', reason: 'x', identity }] }).run();
      expect(await disclosed('issuance'), identity).toEqual([idOf(held)]);
    }
    await keeping({ retain, hold: [{ name: 'case', reason: 'x', identity: 'shop:other' }] }).run();
    expect(await disclosed('issuance')).toEqual([]);
  });

  test('keeps what was made at a target until it is known to be gone there', async () => {
    const [open, owed, gone] = [write.id(), write.id(), write.id()] as [string, string, string];
    await append(write.intent(open));
    for (const id of [owed, gone]) await append(write.intent(id), write.issuance(id), write.revocation(id));
    await append(write.revocation(gone, { reason: 'done' }));
    clock.at += 2 * day;
    const rules = { retain: { '*': { max: '1d' } } };
    await keeping(rules).run();
    const about = async () => {
      const ids = (await all())
        .filter(({ disclosure }) => disclosure !== null)
        .map(({ record }) => parseRecord(record))
        .map(({ type, id, issuance }) => (type === 'issuance' ? id : issuance));
      return new Set(ids.filter((id) => id !== undefined));
    };
    expect(await about()).toEqual(new Set([open, owed]));
    await append(write.revocation(owed, { reason: 'done' }), write.failure(open, { reason: 'store_failed' }));
    // What was kept is looked at again after a while, wherever the cursor is by then.
    clock.at += 2 * day;
    await keeping(rules).run();
    expect(await about()).toEqual(new Set());
  });

  test('keeps what a lockdown in force stops, which is written nowhere else', async () => {
    const lock = write.lockdown('add', 'identity', 1, { identity: 'shop:checkout' });
    await append(lock);
    clock.at += 2 * day;
    const rules = { retain: { lockdown: { max: '1d' } } };
    await keeping(rules).run();
    expect(await disclosed('lockdown')).toEqual([idOf(lock)]);
    await ledger.append({ ...asking(write.lockdown('lift', idOf(lock), 2)), epoch: 1 }, soon());
    clock.at += 2 * day;
    await keeping(rules).run();
    expect(await disclosed('lockdown')).toEqual([]);
  });

  test('is kept waiting by nobody whose clock was a day ahead when it claimed the work, or looked last', async () => {
    const old = [secret(), secret()];
    await append(...old);
    clock.at += 3 * day;
    const rules = { retain: { issuance: { max: '1d' } } };
    const ahead = clock.at + day;
    const kept = { next: 3, kept: [1, 2], rules: retentionRules(rules).digest('issuance'), again: ahead };
    await ledger.texts.write('retain:issuance', undefined, JSON.stringify({ ...kept, until: ahead }), soon());
    await keeping(rules).run();
    expect(await disclosed('issuance')).toEqual([]);
  });

  test('killed between its record and the erasing, it says so again and erases', async () => {
    await append(secret(), secret());
    clock.at += 2 * day;
    const rules = { retain: { issuance: { max: '1d' } } };
    const killed = keeping(rules, { ledger: { ...ledger, erase: () => Promise.reject(new Error('killed')) } });
    await killed.run();
    expect(killed.lines).toEqual(['retention_failed internal']);
    expect(await disclosed('issuance')).toHaveLength(2);
    // Until its claim is over, nobody else is at it.
    await keeping(rules).run();
    expect(await disclosed('issuance')).toHaveLength(2);
    clock.at += 61_000;
    await keeping(rules).run();
    expect(await disclosed('issuance')).toEqual([]);
    expect((await erasures()).map(({ count }) => count)).toEqual([2, 2]);
  });

  test('killed after the erasing, the next pass sees to what is left in the files', async () => {
    await append(secret());
    clock.at += 2 * day;
    const rules = { retain: { issuance: { max: '1d' } } };
    const erased: (readonly number[])[] = [];
    const watched = (dies: boolean): Ledger => ({
      ...ledger,
      async erase(positions, deadline) {
        erased.push(positions);
        if (dies && positions.length === 0) throw new Error('killed');
        await ledger.erase(positions, deadline);
      },
    });
    await keeping(rules, { ledger: watched(true) }).run();
    clock.at += 61_000;
    await keeping(rules, { ledger: watched(false) }).run();
    expect(erased).toEqual([[1], [], []]);
    expect(await erasures()).toHaveLength(1);
  });

  test('by several instances at once, each record is said to be erased once', async () => {
    for (let batch = 0; batch < 3; batch++) await append(...Array.from({ length: 100 }, () => secret()));
    clock.at += 2 * day;
    const rules = { retain: { issuance: { max: '1d' } } };
    await Promise.all(Array.from({ length: 4 }, () => keeping(rules).run()));
    expect(await disclosed('issuance')).toEqual([]);
    expect((await erasures()).reduce((sum, { count = 0 }) => sum + count, 0)).toBe(300);
  });

  test('goes on beside appends, and neither loses nor erases any of theirs', async () => {
    await append(...Array.from({ length: 200 }, () => secret()));
    clock.at += 2 * day;
    let going = true;
    let appended = 0;
    const load = (async () => {
      while (going) {
        await append(secret());
        appended++;
      }
    })();
    await keeping({ retain: { issuance: { max: '1d' } } }).run();
    while (appended < 20) await new Promise((resolve) => setImmediate(resolve));
    going = false;
    await load;
    expect(await disclosed('issuance')).toHaveLength(appended);
  });

  test('takes what it finds in its own text for nothing where that is no cursor', async () => {
    await append(secret());
    clock.at += 2 * day;
    await ledger.texts.write('retain:issuance', undefined, '{"next":"x"', soon());
    await keeping({ retain: { issuance: { max: '1d' } } }).run();
    expect(await disclosed('issuance')).toEqual([]);
  });

  test('goes through all logs of a ledger that was rolled, and through all of its shards', async () => {
    const other = newFolder();
    const second = await openIn(other, { now: () => clock.at, origin: 'pass.example.com/ledger/1' });
    await append(secret());
    await ledger.roll?.({ reason: 'ordered' }, soon());
    await append(secret());
    await second.append(asking(secret()), soon());
    clock.at += 2 * day;
    const { reader: _reader, texts: _texts, erase: _erase, ...rest } = ledger;
    await keeping({ retain: { issuance: { max: '1d' } } }, { ledger: { ...rest, shards: [ledger, second] } }).run();
    expect(await disclosed('issuance')).toEqual([]);
    const there = await second.reader.list({ type: 'issuance', limit: 10 }, soon());
    expect(there.map(({ disclosure }) => disclosure)).toEqual([null]);
    expect((await erasures()).map((one) => (one as { query?: unknown }).query)).toMatchObject([
      { log: 'pass.example.com/ledger/1', positions: [1] },
      { log: 'pass.example.com/ledger', positions: [1, 4] },
    ]);
    await second.close();
    removeFolder(other);
  });

  test('is repeated in a copy of the log by its record, once', async () => {
    await append(secret(), secret());
    const copy = { ...ledger, texts: ledger.texts };
    clock.at += 2 * day;
    // The record came over, the erasing did not.
    const rules = { retain: { issuance: { max: '1d' } } };
    await keeping(rules, { ledger: { ...ledger, erase: () => Promise.reject(new Error('elsewhere')) } }).run();
    expect(await disclosed('issuance')).toHaveLength(2);
    await repeatErasures(copy, [copy], soon());
    expect(await disclosed('issuance')).toEqual([]);
    expect(await ledger.texts.read('erasures', soon())).toBe('4');
    const again: Ledger['erase'] = () => Promise.reject(new Error('not again'));
    await repeatErasures({ ...copy, erase: again }, [{ ...copy, erase: again }], soon());
  });

  test('says again what a record had said that goes itself, so that a copy that was away still erases it', async () => {
    await append(secret());
    const person = await positionOf('issuance');
    const said = { name: 'ops', iss: 'x', subject: 'y', query: { log: ledger.origin, positions: [person] } };
    await append(write.write('erasure', { count: 1, epoch: 0 }, said as never));
    const [named] = await erasures();
    expect(named).toMatchObject({ name: 'ops' });
    clock.at += 2 * day;
    // The records came over, the erasing did not.
    const copy = { ...ledger, texts: ledger.texts };
    await keeping({ retain: { erasure: { max: '1d' } } }).run();
    expect(JSON.stringify(await erasures())).not.toContain('ops');
    expect(await disclosed('issuance')).toHaveLength(1);
    await repeatErasures(copy, [copy], soon());
    expect(await disclosed('issuance')).toEqual([]);
  });

  test('min alone erases nothing', async () => {
    await append(secret());
    clock.at += 2 * day;
    await keeping({ retain: { '*': { min: '1d' } } }).run();
    expect(await disclosed('issuance')).toHaveLength(1);
  });
});
