import { copyFileSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { issuanceNumber } from '../../../src/credentials/serial.ts';
import type { Ledger, PlacedEntry } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import type { IndexFilter } from '../../../src/ledger/query-index.ts';
import { type Asked, catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { fitter, rowOf } from '../../../src/ledger/questions/index-row.ts';
import { answerQuestion, askedOf, countFitting, newerThan } from '../../../src/ledger/questions/questions.ts';
import { traceValue } from '../../../src/ledger/questions/trace-value.ts';
import type { LedgerRecord } from '../../../src/ledger/records/record.ts';
import { sha256Url } from '../../../src/lib/bytes.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { instantMs } from '../../../src/lib/time.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, digest, scribe, soon } from '../fixtures.ts';

let folder: string;
let clock: Clock;
let ledger: Log;
let write: ReturnType<typeof scribe>;

beforeEach(async () => {
  folder = newFolder();
  clock = clockAt();
  write = scribe(clock);
  ledger = await openIn(folder, { now: () => clock.at });
});
afterEach(async () => {
  await ledger.close();
  removeFolder(folder);
});

const credentials = ['orders-db', 'stripe', 'partner'];
const names = ['ci:acme/shop@main', 'ci:acme/web@main', 'k8s:prod/shop/checkout', 'ci:acme/shop@next'];

/** Records of several kinds, a second apart; one commit each ten. */
async function append(count: number, to: Ledger = ledger): Promise<void> {
  for (let at = 0; at < count; at += 10) {
    const entries = Array.from({ length: Math.min(10, count - at) }, (_, more) => {
      const n = at + more;
      clock.at += 1_000;
      const name = names[n % names.length] as string;
      const facts = { credential: credentials[n % 3], trace: String(n % 7).repeat(32) };
      if (n % 5 === 0) return write.write('denial', { reason: 'no_grant', count: 1, epoch: 0 }, { name });
      const fingerprint = { fingerprint: `hmac-sha256:${digest(String(n % 9))}`, fingerprintKey: 'key' };
      return write.issuance(write.id(), { ...facts, ...fingerprint }, { name, token: digest(String(n % 8)) });
    });
    await to.append(asking(...entries), soon());
  }
}

const logs = (of: Ledger = ledger): readonly Asked[] => askedOf(of);
const everything = async () => (await ledger.reader.entries(0, 100_000, soon())).slice().reverse();
const positions = (entries: readonly PlacedEntry[]) => entries.map(({ index }) => index);

/** All pages of a question. */
async function ask(filter: IndexFilter, limit = 1_000, of = logs()) {
  const found: PlacedEntry[] = [];
  let before: readonly number[] | undefined;
  for (let pages = 0; pages < 100; pages++) {
    const page = await answerQuestion(of, { filter, limit, ...(before && { before }) }, soon());
    found.push(...page.entries);
    before = page.next;
    if (before === undefined) return found;
  }
  throw new Error('no end');
}

const unindexed = (): readonly Asked[] => [{ origin: ledger.origin, reader: ledger.reader }];

describe('a question', () => {
  test('is answered as if every entry had been looked at, with an index and without', async () => {
    await append(120);
    const begin = clock.at - 100_000;
    const filters: IndexFilter[] = [
      {},
      { type: 'issuance' },
      { type: 'denial' },
      { type: 'session' },
      { name: 'ci:acme/shop@main' },
      { name: 'ci:acme/*@main', type: 'issuance' },
      { name: 'k8s:*/*/checkout', credential: 'partner' },
      { credential: 'stripe', from: begin, to: begin + 50_000 },
      { trace: '3'.repeat(32), type: 'issuance' },
      { fingerprint: `hmac-sha256:${digest('4')}` },
      { token: digest('2'), issuer: 'shop' },
      { reason: 'no_grant', from: begin },
      { account: 'hp_account', kind: 'postgres', grant: 'checkout', to: begin },
      { account: 'another' },
    ];
    const all = await everything();
    for (const filter of filters) {
      const expected = positions(all.filter((entry) => fitter(filter)(rowOf(entry))));
      expect(positions(await ask(filter)), JSON.stringify(filter)).toEqual(expected);
      expect(positions(await ask(filter, 7)), JSON.stringify(filter)).toEqual(expected);
      expect(positions(await ask(filter, 7, unindexed())), JSON.stringify(filter)).toEqual(expected);
    }
  });

  test('says how far the index has seen, and has seen what was appended just before', async () => {
    await append(10);
    const { indexed, entries } = await answerQuestion(logs(), { filter: { type: 'issuance' }, limit: 1 }, soon());
    const { base, size } = await ledger.reader.head(soon());
    expect(indexed).toEqual({ [ledger.origin]: base + size });
    expect(entries[0]?.index).toBe(base + size - 1);
  });

  test('has pages that stay, whatever is appended between them', async () => {
    await append(30);
    const before = positions((await everything()).filter(({ record }) => record.includes('"issuance"')));
    const found: number[] = [];
    let page = await answerQuestion(logs(), { filter: { type: 'issuance' }, limit: 5 }, soon());
    for (;;) {
      found.push(...positions(page.entries));
      await append(10);
      if (page.next === undefined) break;
      page = await answerQuestion(logs(), { filter: { type: 'issuance' }, limit: 5, before: page.next }, soon());
    }
    expect(found).toEqual(before);
  });

  test('has all its pages though the index is built anew between them, or none where that is not done', async () => {
    await append(40);
    const [log] = logs() as [Asked];
    const { index } = log;
    if (index === undefined) throw new Error('no index');
    const question = { filter: { type: 'issuance' }, limit: 5 };
    const expected = positions(await ask(question.filter));
    const { entries, next } = await answerQuestion([log], question, soon());
    if (next === undefined) throw new Error('no next page');
    await index.clear(soon());
    const second = await answerQuestion([log], { ...question, before: next }, soon());
    expect(positions([...entries, ...second.entries])).toEqual(expected.slice(0, 10));
    expect(second.next).toBeDefined();
    await index.clear(soon());
    // It gets as far as the first entries, and no further.
    const half = { ...index, read: undefined, add: async () => false };
    await index.add([], 0, 3, soon());
    const rest = answerQuestion([{ ...log, index: half }], { ...question, before: next }, soon());
    await expect(rest).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'index_behind' });
    const beyond = { ...question, before: [1_000_000] };
    await index.clear(soon());
    expect(positions((await answerQuestion([log], beyond, soon())).entries)).toEqual(expected.slice(0, 5));
  });

  test('names a next page only where there is one, with an index, without, and of several logs', async () => {
    await append(20);
    const other = await openIn(newFolder(), { now: () => clock.at, origin: 'pass.example.com/ledger/1' });
    await append(10, other);
    const all = await everything();
    const sharded = { ...ledger, shards: [ledger, other] } as Ledger;
    for (const [of, count] of [
      [logs(), 16],
      [unindexed(), 16],
      [logs(sharded), 24],
    ] as const) {
      const pageOf = (limit: number) => answerQuestion(of, { filter: { type: 'issuance' }, limit }, soon());
      for (const limit of [count, count + 1]) {
        const { entries, next } = await pageOf(limit);
        expect([entries.length, next]).toEqual([count, undefined]);
      }
      const page = await pageOf(count - 1);
      expect(page.entries).toHaveLength(count - 1);
      const last = { filter: { type: 'issuance' }, limit: 1, ...(page.next && { before: page.next }) };
      const { entries, next } = await answerQuestion(of, last, soon());
      expect([entries.length, next]).toEqual([1, undefined]);
    }
    for (const of of [logs(), unindexed()])
      expect((await answerQuestion(of, { filter: {}, limit: all.length }, soon())).next).toBeUndefined();
    await other.close();
  });

  test('has pages of a bounded size, however large the entries are', async () => {
    await append(600);
    const [log] = logs() as [Asked];
    const large = (entries: readonly PlacedEntry[]) =>
      entries.map((one) => ({ ...one, disclosure: 'A'.repeat(40_000) }));
    const reader = {
      ...log.reader,
      at: async (...given: Parameters<NonNullable<typeof log.reader.at>>) =>
        large((await log.reader.at?.(...given)) ?? []),
      entries: async (...given: Parameters<typeof log.reader.entries>) => large(await log.reader.entries(...given)),
    };
    const of = [{ ...log, reader }];
    await catchUp(log, soon());
    const page = await answerQuestion(of, { filter: {}, limit: 1_000 }, soon());
    expect(page.entries).toHaveLength(250);
    expect(positions(await ask({}, 1_000, of))).toEqual(positions(await everything()));
    const { entries, reached } = await newerThan(of, {}, [7], soon());
    expect([entries.length, reached, entries[0]?.index]).toEqual([250, [257], 256]);
  });

  test('of several logs is merged by time, each page going on in each log', async () => {
    const others = await Promise.all(
      [1, 2].map((n) => openIn(newFolder(), { now: () => clock.at, origin: `pass.example.com/ledger/${n}` })),
    );
    for (let round = 0; round < 6; round++)
      for (const one of [ledger, ...others]) await append(one === others[0] ? 10 : 3, one);
    const sharded = { ...ledger, shards: [ledger, ...others] } as Ledger;
    // What the log writes itself, such as that it saw a policy, has the time of its commit.
    const all = await ask({ issuer: 'shop' }, 1_000, logs(sharded));
    const times = all.map(({ record }) => JSON.parse(record).time as string);
    expect(times).toEqual(times.toSorted().reverse());
    const places = (entries: readonly PlacedEntry[]) => entries.map(({ log, leaf }) => `${log} ${leaf}`);
    expect(new Set(places(all)).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(90);
    for (const limit of [1, 4, 13])
      expect(places(await ask({ issuer: 'shop' }, limit, logs(sharded)))).toEqual(places(all));

    // One that gets more between the pages shows none of it.
    const first = await answerQuestion(logs(sharded), { filter: { issuer: 'shop' }, limit: 4 }, soon());
    await append(10, others[1]);
    const more = { filter: { issuer: 'shop' }, limit: 999, before: first.next };
    const rest = await answerQuestion(logs(sharded), more, soon());
    expect(places([...first.entries, ...rest.entries])).toEqual(places(all));
    for (const one of others) await one.close();
  });

  test('finds by nothing that was erased, before or after the index saw it', async () => {
    await append(20);
    await ask({});
    const mine = await ask({ name: 'ci:acme/shop@main' });
    expect(mine.length).toBeGreaterThan(3);
    await append(20);
    const unseen = positions((await everything()).filter((entry) => rowOf(entry).name === 'ci:acme/shop@main'));
    await ledger.erase(unseen, soon());
    expect(await ask({ name: 'ci:acme/shop@main' })).toEqual([]);
    expect(await ask({ name: 'ci:acme/*@main' })).not.toEqual([]);
    const kept = (await ask({})).filter(({ index }) => unseen.includes(index));
    expect(kept.map(({ disclosure }) => disclosure)).toEqual(unseen.map(() => null));
    const bytes = ['', '-wal'].map((end) => join(folder, `ledger.db.index${end}`)).filter(existsSync);
    expect(bytes.length).toBeGreaterThan(0);
    for (const file of bytes) expect(readFileSync(file).includes('ci:acme/shop@main')).toBe(false);
  });

  test('counts what fits by the index alone, up to a bound', async () => {
    await append(40);
    const { length } = await ask({ type: 'issuance' });
    expect(await countFitting(logs(), { type: 'issuance' }, 1_000, soon())).toBe(length);
    expect(await countFitting(logs(), { type: 'issuance' }, 7, soon())).toBe(7);
  });

  test('without an index ends after a bound, and its next page goes on there', async () => {
    let listed = 0;
    const reader = {
      ...ledger.reader,
      list: async ({ before = 100_000, limit = 0 }) => {
        listed += limit;
        return Array.from({ length: limit }, (_, at) => ({ ...entryAt(before - 1 - at) }));
      },
    };
    const log = { origin: 'o', reader: reader as never };
    const page = await answerQuestion([log], { filter: { credential: 'rare' }, limit: 10 }, soon());
    expect(page).toEqual({ entries: [], next: [80_000] });
    expect(listed).toBe(20_000);
  });
});

const entryAt = (index: number): PlacedEntry => ({ index, leaf: index, log: 'o', record: '{}', disclosure: null });

describe('what came after', () => {
  test('is told once and in full, without an index, by where the last answer ended', async () => {
    await append(10);
    const end = (await ledger.reader.head(soon())).size;
    const told: number[] = [];
    let at: readonly number[] = [end];
    for (let round = 0; round < 4; round++) {
      await append(10);
      const { entries, reached } = await newerThan(unindexed(), { type: 'issuance' }, at, soon());
      told.push(...positions(entries).reverse());
      at = reached;
    }
    const all = await ask({ type: 'issuance' });
    expect(told).toEqual(
      positions(all)
        .filter((index) => index >= end)
        .reverse(),
    );
    expect(await newerThan(unindexed(), {}, at, soon())).toEqual({ entries: [], reached: at });
  });
});

describe('the index', () => {
  test('lies in a file of its own beside the ledger, for its owner alone', async () => {
    await append(5);
    expect(existsSync(join(folder, 'ledger.db.index'))).toBe(false);
    await ask({});
    expect(statSync(join(folder, 'ledger.db.index')).mode & 0o777).toBe(0o600);
  });

  test('is built by several at once without a gap or a double', async () => {
    await append(600);
    const [log] = logs() as [Asked];
    await Promise.all([1, 2, 3].map(() => catchUp(log, soon())));
    const { size } = await ledger.reader.head(soon());
    expect(await ledger.index?.seen(soon())).toBe(size);
    expect(await ask({})).toHaveLength(size);
  });

  test.each([
    ['takes too long to read on', () => new Promise<never>(() => {})],
    ['cannot be read on', () => Promise.reject(new Error('down'))],
  ])('that %s answers from what it has seen, and says so', async (_, entries) => {
    await append(20);
    const [log] = logs() as [Asked];
    await catchUp(log, soon());
    const seen = await ledger.index?.seen(soon());
    await append(20);
    const behind = { ...log, reader: { ...log.reader, entries } };
    const { entries: found, ...page } = await answerQuestion([behind], { filter: {}, limit: 1_000 }, soon(2_000));
    expect(found).toHaveLength(seen as number);
    const { indexed } = page;
    expect(page).toEqual({ indexed: { [ledger.origin]: seen }, missing: 20 });
    // What hung holds up nobody: it is begun anew once its time is over.
    const traced = await traceValue([behind], write.id(), async () => [], soon(1_500));
    expect(traced).toMatchObject({ entries: [], more: false, indexed, missing: 20 });
  });

  test('refuses nobody else because one could not wait', async () => {
    await append(400);
    await ask({});
    const { index } = ledger as Required<Log>;
    const hurried = Array.from({ length: 50 }, () => index.find({}, 1e6, 1_000, soon(1)).catch(({ reason }) => reason));
    const patient = index.find({ type: 'denial' }, 1e6, 5, soon());
    expect(new Set((await Promise.all(hurried)).filter((one) => typeof one === 'string'))).toEqual(
      new Set(['index_timeout']),
    );
    expect(await patient).toHaveLength(5);
  });

  test('is built anew where it has seen more than the log has', async () => {
    await append(20);
    const [log] = logs() as [Asked];
    await catchUp(log, soon());
    const { size } = await ledger.reader.head(soon());
    await ledger.index?.add([{ index: size, time: 0, type: 'issuance' }], size, size + 5, soon());
    await catchUp(log, soon());
    expect(await ledger.index?.seen(soon())).toBe(size);
    expect(await ask({})).toHaveLength(size);
  });

  test('names nothing that an entry does not say itself', async () => {
    await append(3);
    const { size } = await ledger.reader.head(soon());
    const lies = Array.from({ length: size }, (_, index) => ({ index, time: 0, type: 'session', name: 'ci:liar' }));
    await ledger.index?.add(lies, 0, size, soon());
    expect(await ask({ type: 'session' })).toEqual([]);
    expect(await ask({ name: 'ci:liar' })).toEqual([]);
  });

  test.each([
    ['damaged', 'not a database'],
    ['of another version', undefined],
  ])('that is %s is made anew', async (_, bytes) => {
    await append(10);
    await ask({});
    await ledger.close();
    const file = join(folder, 'ledger.db.index');
    const { writeFileSync, rmSync } = await import('node:fs');
    if (bytes === undefined) {
      const { default: Database } = await import('libsql');
      const connection = new Database(file);
      connection.exec('PRAGMA user_version = 999');
      connection.close();
    } else {
      rmSync(`${file}-wal`, { force: true });
      writeFileSync(file, bytes.repeat(1_000));
    }
    ledger = await openIn(folder, { now: () => clock.at });
    expect(await ask({ type: 'issuance' })).toHaveLength(8);
  });
});

describe('a trace', () => {
  const traced = async (value: string) => {
    const prints = async (secret: string) => [
      { fingerprint: `hmac-sha256:${sha256Url(secret)}`, fingerprintKey: 'key' },
    ];
    const { matched, entries, more } = await traceValue(logs(), value, prints, soon());
    return { matched, more, ids: entries.map((entry) => rowOf(entry).issuance) };
  };
  const certificate = async (kind: string, lease?: LedgerRecord['lease']) => {
    const id = write.id();
    await ledger.append(asking(write.issuance(id, { kind, ...(lease && { lease }) })), soon());
    return id;
  };

  test('finds a certificate by its serial number, in hexadecimal and in decimal', async () => {
    const lease = { expiresAt: '2026-11-22T12:10:00Z', ttl: 600, revocable: false, account: '01A2B3C4D5E6F708' };
    const id = await certificate('x509', lease);
    const decimal = String(0x01a2b3c4d5e6f708n);
    for (const value of ['01a2b3c4d5e6f708', '01:A2:B3:C4:D5:E6:F7:08', '0x1A2B3C4D5E6F708', 'serial=01A2B3C4D5E6F708'])
      expect((await traced(value)).ids, value).toEqual([id]);
    for (const value of [decimal, `Serial Number: ${decimal}`]) expect((await traced(value)).ids, value).toEqual([id]);
    // As openssl prints a short one, Java any, and Windows.
    for (const value of [
      `Serial Number: ${decimal} (0x1a2b3c4d5e6f708)`,
      'SerialNumber: [    01a2b3c4 d5e6f708]',
      'SerialNumber : 01-A2-B3-C4-D5-E6-F7-08',
      '"01:a2:b3:c4:d5:e6:f7:08"',
    ])
      expect((await traced(value)).ids, value).toEqual([id]);
  });

  test('finds an SSH certificate by its serial number as sshd prints it', async () => {
    const ids = [await certificate('ssh'), await certificate('ssh'), await certificate('secret')];
    for (const [at, id] of ids.entries()) {
      const serial = BigInt.asUintN(64, issuanceNumber(id)).toString();
      const expected = at === 2 ? { matched: undefined, ids: [] } : { matched: 'id', ids: [id] };
      for (const value of [serial, `(serial ${serial})`, ` ${serial}\n`])
        expect(await traced(value), value).toEqual({ ...expected, more: false });
    }
    expect((await traced('99999999999999999999')).ids).toEqual([]);
  });

  test('says of a miss that there are certificates that it had no time to look through', async () => {
    const old = await certificate('ssh');
    const serial = BigInt.asUintN(64, issuanceNumber(old)).toString();
    for (let n = 0; n < 1_000; n += 250)
      await ledger.append(
        asking(...Array.from({ length: 250 }, () => write.issuance(write.id(), { kind: 'ssh' }))),
        soon(),
      );
    const [log] = logs() as [Asked];
    await catchUp(log, soon());
    const { index } = log;
    if (index === undefined) throw new Error('no index');
    let time = 0;
    let each = 10_000;
    const find: typeof index.find = (filter, ...given) => {
      if (filter.kind === 'ssh') time += each;
      return index.find(filter, ...given);
    };
    const trace = () =>
      traceValue(
        [{ ...log, index: { ...index, find } }],
        serial,
        async () => [],
        deadlineIn(15_000, () => time),
      );
    expect(await trace()).toMatchObject({ entries: [], more: true });
    each = 0;
    expect(await trace()).toMatchObject({ matched: 'id', entries: [{ log: ledger.origin }], more: false });
  });

  test('finds a value whose last line end was lost, or came along', async () => {
    const value = 'first line\nlast line\n';
    const facts = { fingerprint: `hmac-sha256:${sha256Url(value)}`, fingerprintKey: 'key' };
    const id = write.id();
    await ledger.append(asking(write.issuance(id, facts)), soon());
    for (const copy of [value, value.trim(), `${value}\n`, value.replaceAll('\n', '\r\n')])
      expect(await traced(copy), JSON.stringify(copy)).toEqual({ matched: 'fingerprint', more: false, ids: [id] });
  });

  test('finds a value under each key that it was handed out under, and with or without its last line end', async () => {
    const value = 'handed out for years';
    const print = (key: string, secret: string) => ({
      fingerprint: `hmac-sha256:${sha256Url(key + secret)}`,
      fingerprintKey: key,
    });
    const ids = [];
    for (const facts of [
      print('old', value),
      print('new', `${value}\n`),
      print('old', `${value}\n`),
      print('new', value),
    ]) {
      const id = write.id();
      await ledger.append(asking(write.issuance(id, facts)), soon());
      ids.unshift(id);
    }
    const prints = async (secret: string) => ['new', 'old'].map((key) => print(key, secret));
    const found = await traceValue(logs(), value, prints, soon());
    expect(found.entries.map((entry) => rowOf(entry).issuance)).toEqual(ids);
    expect(found).toMatchObject({ matched: 'fingerprint', more: false });
    expect(found.notComparable).toBeUndefined();

    await ledger.append(asking(write.issuance(write.id(), print('gone', value))), soon());
    const more = Array.from({ length: 99 }, () => write.issuance(write.id(), print('old', value)));
    await ledger.append(asking(...more), soon());
    const again = await traceValue(logs(), value, prints, soon());
    expect(again).toMatchObject({ matched: 'fingerprint', more: true, notComparable: 1, entries: { length: 100 } });
    expect(again.entries.map((entry) => rowOf(entry).issuance)).toContain(ids[0]);
  });

  test('says of more only where there are more than it shows', async () => {
    const token = sha256Url('the token');
    for (let n = 0; n < 2; n++) {
      const entries = Array.from({ length: 50 }, () => write.issuance(write.id(), {}, { token }));
      await ledger.append(asking(...entries), soon());
    }
    expect(await traced(token)).toMatchObject({ matched: 'token', more: false, ids: { length: 100 } });
    await ledger.append(asking(write.issuance(write.id(), {}, { token })), soon());
    expect(await traced(token)).toMatchObject({ more: true, ids: { length: 100 } });
  });
});

test('an index of a log that another was put in the place of is built again, also where that one is as large', async () => {
  await append(60);
  await ask({ type: 'denial' });
  await ledger.close();
  const elsewhere = newFolder();
  const other = await openIn(elsewhere, { now: () => clock.at });
  await append(7, other);
  await append(76, other);
  await other.close();
  for (const part of ['', '-wal', '-shm']) {
    const [from, to] = [elsewhere, folder].map((at) => join(at, `ledger.db${part}`)) as [string, string];
    rmSync(to, { force: true });
    if (part !== '-shm' && existsSync(from)) copyFileSync(from, to);
  }
  removeFolder(elsewhere);
  ledger = await openIn(folder, { now: () => clock.at });
  const [log] = logs();
  const index = log?.index as NonNullable<Asked['index']>;
  // Also where it cannot be emptied at first.
  const { clear } = index;
  Object.assign(index, { clear: () => Promise.reject(new Error('busy')) });
  await expect(catchUp(log as Asked, soon())).rejects.toThrow('busy');
  Object.assign(index, { clear });
  for (const filter of [{ type: 'denial' }, { name: names[1] as string }, { credential: 'stripe' }])
    expect(positions(await ask(filter))).toEqual(positions(await ask(filter, 1_000, unindexed())));
});

describe("an entry's row", () => {
  test('has what the record says and what was disclosed', () => {
    const id = write.id();
    const facts = { trace: 'f'.repeat(32), fingerprint: `hmac-sha256:${digest('f')}`, fingerprintKey: 'k' };
    const text = write.issuance(id, { ...facts, store: 'vault' }, { token: digest('t') });
    expect(rowOf({ index: 7, ...text })).toEqual({
      index: 7,
      time: clock.at,
      type: 'issuance',
      issuance: id,
      issuer: 'shop',
      credential: 'orders-db',
      kind: 'postgres',
      store: 'vault',
      grant: 'checkout',
      account: 'hp_account',
      name: 'shop:checkout',
      token: digest('t'),
      ...facts,
    });
    expect(rowOf({ index: 7, ...text, disclosure: null })).toMatchObject({ name: undefined, token: undefined });
  });

  test.each([
    ['no JSON', '{', 'x'],
    ['another shape', '[1]', Buffer.from('{"a":1}').toString('base64url')],
    [
      'members of other types',
      '{"type":7,"time":[],"lease":"x","identity":null}',
      Buffer.from('[1,2]').toString('base64url'),
    ],
    ['a time that is none', '{"type":"issuance","time":"yesterday"}', null],
  ])('of %s has what can be read of it', (_, record, disclosure) => {
    const row = rowOf({ index: 1, record, disclosure });
    expect(row).toMatchObject({ index: 1, time: 0, type: record.includes('"issuance"') ? 'issuance' : 'unreadable' });
  });

  test('keeps the time of a record to the millisecond', () => {
    const record = write.denial().record;
    expect(instantMs(rowOf({ index: 0, record, disclosure: null }).time)).toBe(JSON.parse(record).time);
  });
});
