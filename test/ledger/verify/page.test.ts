import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFileToRead, readsOf } from '../../../src/ledger/drivers/sqlite/file.ts';
import type { StoredEntry } from '../../../src/ledger/log-store.ts';
import { whoOf } from '../../../src/ledger/records/disclosure.ts';
import type { Common } from '../../../src/ledger/records/reader.ts';
import { issuanceOf, type LedgerRecord, parseRecord, type RecordError } from '../../../src/ledger/records/record.ts';
import { emptyRoot, leafHash } from '../../../src/ledger/tree/merkle.ts';
import { deriveTables, type Finding } from '../../../src/ledger/verify/derive.ts';
import { joined, openPages } from '../../../src/ledger/verify/page.ts';
import { unpacking } from '../../../src/ledger/verify/record.ts';
import { sqlVerifySource, type VerifySource } from '../../../src/ledger/verify/source.ts';
import { growTree } from '../../../src/ledger/verify/tree.ts';
import { equalBytes, toHex } from '../../../src/lib/bytes.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, policyHash, scribe, soon } from '../fixtures.ts';

type Connection = InstanceType<typeof Database>;

const clock = clockAt(Date.now());
const write = scribe(clock);
let folder: string;
let database: Connection;
let source: VerifySource;
let size: number;
let key: string;

/** More than are read at once, of many types and forms, some with text that is not ASCII. */
function someEntries() {
  const id = write.id();
  clock.at += 1_234;
  const once = digest('k').slice(8) + String(clock.at).slice(-8);
  const session = { credential: 'orders-db', audience: 'sts.example.com', policy: policyHash, epoch: 0 };
  return [
    write.intent(id, { once }),
    write.issuance(write.id(), { kind: 'secret' }),
    write.issuance(write.id(), { kind: clock.at % 3 === 0 ? 'jwt' : 'secret', request: write.id() }),
    write.denial(),
    write.denial({ credential: clock.at % 5 === 0 ? 'clé' : 'orders-db' }),
    write.write('session', session),
    write.issuance(id),
    write.revocation(id),
  ];
}

beforeAll(async () => {
  folder = newFolder();
  const ledger = await openIn(folder, { now: clock.now.bind(clock) } as never);
  for (let many = 0; many < 90; many++) await ledger.append(asking(...someEntries().slice(0, 6)), soon());
  const id = write.id();
  await ledger.append(asking(write.intent(id)), soon());
  await ledger.append(asking(write.issuance(id)), soon());
  await ledger.append(asking(write.revocation(id)), soon());
  await ledger.close();
  const path = join(folder, 'ledger.db');
  database = new Database(path);
  database.exec('CREATE TABLE pristine AS SELECT * FROM entries');
  const connection = openFileToRead(path, (name) => new Database(name));
  source = sqlVerifySource(readsOf(() => connection));
  ({ size } = await source.head());
  key = await source.key();
});
afterAll(() => {
  database.close();
  removeFolder(folder);
});

/** Whether a row has a value that is no text. */
function isOtherwise(index: number): boolean {
  const names = ['id', 'type', 'issuance', 'writer', 'record', 'disclosure'];
  const types = database.prepare(
    `SELECT ${names.map((name) => `typeof(${name}) AS ${name}`)} FROM entries WHERE idx = ?`,
  );
  const row = types.get([index]) as Record<string, string>;
  return names.some((name) => row[name] !== 'text' && row[name] !== 'null');
}

/** What is wrong with an entry, told step by step, and its record where it is one. */
function naive(entry: StoredEntry): { found: Finding[]; record?: LedgerRecord } {
  const { index } = entry;
  const found: Finding[] = [];
  const report = (code: string, message: string) => found.push({ index, code, message });
  if (!equalBytes(leafHash(entry.record), entry.leaf))
    report('leaf_differs', 'the stored hash is not that of the record');
  if (isOtherwise(index)) report('type_differs', 'a value of another type, which look-ups do not find');
  let record: LedgerRecord;
  try {
    record = parseRecord(entry.record);
  } catch (error) {
    report('record_malformed', (error as RecordError).reason);
    return { found };
  }
  const about = issuanceOf(record) ?? null;
  const columns = [entry.id, entry.type, entry.issuance, entry.writer];
  if ([record.id, record.type, about, record.writer.name].some((said, at) => said !== columns[at]))
    report('columns_differ', 'the row says other than its record');
  if (entry.disclosure !== null && whoOf(entry.disclosure) !== record.identity?.who)
    report('disclosure_differs', 'the disclosure is not the one the record commits to');
  return { found, record };
}

const handedOn = ({ v, type, writer, epoch, kind, policy, id, lease, issuance, once, request }: LedgerRecord) =>
  // Of some types no more is asked.
  JSON.stringify([v, type, writer, epoch, kind, policy, id, lease?.expiresAt, issuance, once, once && request]);

const pages = () => openPages(source);

async function compare(read: ReturnType<typeof openPages>): Promise<string[]> {
  const page = await read({ key, base: 0, size, from: 0, to: size });
  const entries = new Map((await source.entries(0, size)).map((entry) => [entry.index, entry]));
  const records = unpacking(page.records);
  const found: Finding[] = [];
  const [tree, same] = [growTree(), growTree()];
  const join = joined(page.nodes);
  for (let index = 0; index < size; index++) {
    const entry = entries.get(index);
    const said = entry === undefined ? undefined : naive(entry);
    found.push(...(said?.found ?? [{ index, code: 'entry_missing', message: 'there is no such entry' }]));
    const record = records.recordAt(index);
    const [handed, whole] = [record && handedOn(record), said?.record && handedOn(said.record)];
    if (handed !== whole) expect.fail(`${handed} for ${whole}`);
    const leaf = page.leaves.subarray(index * 32, index * 32 + 32);
    const known = entry === undefined ? emptyRoot : leafHash(entry.record);
    if (!equalBytes(leaf, known)) expect.fail(`the leaf of ${index} is another`);
    tree.add(leaf, join);
    same.add(known);
  }
  expect(toHex(tree.root())).toBe(toHex(same.root()));
  expect(page.findings).toEqual(found);
  expect(page.many).toBe(entries.size);
  return found.map(({ code }) => code);
}

/** Numbers from 0 up to 1, the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const columns = ['id', 'type', 'issuance', 'writer', 'record', 'record', 'record', 'disclosure', 'tree', 'leaf'];
const oddities = [
  '"',
  '\\',
  '0',
  '7',
  'z',
  'Z',
  ' ',
  ',',
  '}',
  'é',
  '\u001f',
  '\n',
  'u',
  '-',
  '"x":1,',
  '\u2028',
  'null',
];

/** Another value in one column of one row. */
function mutate(random: () => number): { index: number; sql: string; values: unknown[] } {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const index = Math.floor(random() * size);
  const name = pick(columns);
  const row = database.prepare(`SELECT CAST(${name} AS BLOB) AS held FROM pristine WHERE idx = ?`).get([index]);
  const held = Buffer.from((row as { held: Uint8Array | null }).held ?? '');
  const at = Math.floor(random() * (held.length + 1));
  const part = Buffer.from(pick(oddities));
  const change = pick(['put', 'put', 'instead', 'instead', 'out', 'bytes', 'null', 'swap', 'gone', 'cut'] as const);
  const set = (value: string, ...values: unknown[]) => ({
    index,
    sql: `UPDATE OR IGNORE entries SET ${name} = ${value} WHERE idx = ${index}`,
    values,
  });
  const text = (...parts: Buffer[]) =>
    name === 'leaf' ? set('?', Buffer.concat(parts)) : set('CAST(? AS TEXT)', Buffer.concat(parts));
  switch (change) {
    case 'put':
      return text(held.subarray(0, at), part, held.subarray(at));
    case 'instead':
      return text(held.subarray(0, at), part, held.subarray(at + part.length));
    case 'out':
      return text(held.subarray(0, at), held.subarray(at + 1));
    case 'bytes':
      return text(held.subarray(0, at), Buffer.from([0x80 + Math.floor(random() * 128)]), held.subarray(at + 1));
    case 'null':
      return name === 'issuance' || name === 'disclosure' ? set('NULL') : set('?', held);
    case 'swap':
      return set(`(SELECT ${name} FROM pristine WHERE idx = ?)`, Math.floor(random() * size));
    case 'gone':
      return { index, sql: `DELETE FROM entries WHERE idx = ${index}`, values: [] };
    case 'cut':
      return text(held.subarray(0, at));
  }
}

describe('a page of entries', () => {
  it('says nothing of an honest log, and its records as they are', async () => {
    const read = pages();
    for (let times = 0; times < 3; times++) expect(await compare(read)).toEqual([]);
  });

  it('finds exactly what each entry by itself shows, whatever was changed', async () => {
    const random = seeded(20_261_123);
    const read = pages();
    const found = new Map<string, number>();
    for (let round = 0; round < 40; round++) {
      const changed: number[] = [];
      for (let many = Math.floor(random() * 30); many >= 0; many--) {
        const { index, sql, values } = mutate(random);
        database.prepare(sql).run(values);
        changed.push(index);
      }
      for (const code of await compare(read)) found.set(code, (found.get(code) ?? 0) + 1);
      database.exec(`REPLACE INTO entries SELECT * FROM pristine WHERE idx IN (${changed})`);
    }
    const all = [
      'leaf_differs',
      'record_malformed',
      'columns_differ',
      'disclosure_differs',
      'entry_missing',
      'type_differs',
    ];
    expect([...found.keys()].sort()).toEqual(all.sort());
    for (const many of found.values()) expect(many).toBeGreaterThan(15);
  }, 120_000);
});

describe('what is derived from records', () => {
  it('is the same where most have nothing of their own but an id', () => {
    const random = seeded(7);
    const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const ids = Array.from({ length: 60 }, () => write.id());
    const [whole, short] = [deriveTables(new Set(['postgres'])), deriveTables(new Set(['postgres']))];
    let sooner = 0;
    for (let index = 0; index < 2_000; index++) {
      const fresh = random() < 0.5;
      const id = fresh ? write.id() : one(ids);
      const facts = {
        epoch: random() < 0.9 ? whole.epoch : 7,
        kind: one(['secret', 'secret', 'jwt', 'postgres']),
        policy: random() < 0.9 ? policyHash : `sha256:${one(['a', 'b']).repeat(43)}`,
      };
      const about = { credential: 'orders-db', audience: 'sts.example.com', ...facts, id };
      const { record } = one([
        () => write.issuance(id, facts),
        () => write.issuance(id, { ...facts, lease: undefined } as never),
        () => write.denial(facts),
        () => write.write('session', about),
        () => write.intent(id, facts),
        () => write.failure(id, { reason: 'mint_failed' }),
        () => write.write('policy', { hash: one([policyHash, `sha256:${'a'.repeat(43)}`]) }, null),
        () => write.lockdown('add', 'issuer', whole.epoch + 1, { issuer: 'shop' }),
      ])();
      const parsed = parseRecord(record);
      const { v, type, writer, epoch, kind, policy } = parsed;
      const common = { v, type, writer, ...{ epoch, kind, policy } } as Common;
      const bare = ['issuance', 'session', 'denial'].includes(type);
      const taken = bare && short.takeBare(common, Buffer.from(`..${parsed.id}`), 2, index);
      if (taken) sooner++;
      expect([index, taken ? [] : short.take(parsed, index)]).toEqual([index, whole.take(parsed, index)]);
    }
    expect(sooner).toBeGreaterThan(200);
    expect({ ...short.state, bare: undefined }).toEqual({ ...whole.state, bare: undefined });
    expect(short.state.bare?.size).toBe(whole.state.bare?.size);
  });
});
