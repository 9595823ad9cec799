import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/ledger/drivers/sqlite/open.ts';
import { type Log, openLog } from '../../../src/ledger/log/log.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { refusal } from '../../contracts/ledger.ts';
import { depsOf, newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, scribe, soon } from '../fixtures.ts';

interface Opened {
  readonly log: Log;
  /** How often the store was asked before a commit, since this was last read. */
  looks(): number;
}

const clock = clockAt(Date.now());
const write = scribe(clock);
let folder: string;
let opened: Opened[];

/** As a process of its own would open it. */
async function open(): Promise<Opened> {
  const { secrets, writer, origin, platform } = depsOf({}, folder);
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const store = sqlLogStore(openSqliteFile(join(folder, 'ledger.db'), signer.vkey));
  let looked = 0;
  const find: typeof store.find = (wanted, deadline) => {
    looked++;
    return store.find(wanted, deadline);
  };
  const { now, random, log: say } = platform;
  const log = await openLog({ store: { ...store, find }, signer, ...secrets, writer, now, random, log: say });
  const looks = () => {
    const since = looked;
    looked = 0;
    return since;
  };
  opened.push({ log, looks });
  return { log, looks };
}

/** One that takes for granted what it can: it knows the policy. */
async function openKnowing(): Promise<Opened> {
  const one = await open();
  await one.log.append(asking(write.denial()), soon());
  one.looks();
  return one;
}

beforeEach(() => {
  folder = newFolder();
  opened = [];
});
afterEach(async () => {
  for (const { log } of opened) await log.close();
  removeFolder(folder);
});

const issuance = (facts = {}) => write.issuance(write.id(), facts);

describe('an append of what is new', () => {
  it('looks up nothing before its commit', async () => {
    const { log, looks } = await openKnowing();
    for (let time = 0; time < 3; time++) await log.append(asking(issuance({ once: digest(String(time)) })), soon());
    await log.append(asking(write.intent(write.id())), soon());
    await log.append(asking(write.denial()), soon());
    expect(looks()).toBe(0);
  });

  it('looks up the policy that it does not know', async () => {
    const { log, looks } = await open();
    await log.append(asking(issuance()), soon());
    expect(looks()).toBe(1);
    await log.append(asking(issuance()), soon());
    expect(looks()).toBe(0);
  });

  it('looks up a key each time, and remembers no name of one, which may be long', async () => {
    const { log, looks } = await openKnowing();
    const facts = { purpose: 'x'.repeat(2_048), kid: 'k', jwk: { kty: 'EC' }, state: 'begin' } as const;
    for (let time = 0; time < 3; time++) await log.append(asking(write.write('key', facts, null)), soon());
    expect(looks()).toBe(3);
    await log.append(asking(issuance()), soon());
    expect(looks()).toBe(0);
  });

  it('looks up what had an intent', async () => {
    const { log, looks } = await openKnowing();
    const id = write.id();
    await log.append(asking(write.intent(id)), soon());
    await log.append(asking(write.intent(write.id())), soon());
    expect(looks()).toBe(0);
    await log.append(asking(write.issuance(id)), soon());
    expect(looks()).toBe(1);
    await log.append(asking(issuance()), soon());
    expect(looks()).toBe(0);
    await expect(log.append(asking(write.failure(id)), soon())).rejects.toMatchObject({ reason: 'second_outcome' });
  });

  it('looks up all for a while once something was not new', async () => {
    const { log, looks } = await openKnowing();
    const text = issuance();
    await log.append(asking(text), soon());
    await log.append(asking(text), soon());
    expect(looks()).toBe(1);
    for (let time = 0; time < 64; time++) await log.append(asking(issuance()), soon());
    expect(looks()).toBe(64);
    await log.append(asking(issuance()), soon());
    expect(looks()).toBe(0);
  });

  it('looks up the lockdowns once for each epoch, and again for whoever decided under another', async () => {
    const { log, looks } = await openKnowing();
    const add = write.lockdown('add', 'x', 1);
    const { id } = JSON.parse(add.record);
    await log.append(asking(add), soon());
    looks();
    const under = (epoch: number) => log.append({ ...asking(issuance({ epoch })), epoch }, soon());
    await under(1);
    expect(looks()).toBe(1);
    await under(1);
    expect(looks()).toBe(0);
    const lockdowns = [{ id }];
    await expect(under(0)).rejects.toMatchObject({ code: 'stale', options: { members: { epoch: 1, lockdowns } } });
    expect(looks()).toBe(1);
    const lift = write.lockdown('lift', id, 2);
    await log.append({ ...asking(lift), epoch: 1 }, soon());
    await under(2);
    await expect(under(1)).rejects.toMatchObject({ code: 'stale', options: { members: { epoch: 2, lockdowns: [] } } });
    await expect(log.append({ ...asking(write.lockdown('lift', id, 3)), epoch: 2 }, soon())).rejects.toMatchObject({
      reason: 'unknown_lockdown',
    });
  });
});

describe('what another process appended meanwhile is found by', () => {
  let ours: Log;
  let theirs: Log;
  beforeEach(async () => {
    theirs = (await openKnowing()).log;
    ours = (await openKnowing()).log;
  });

  it('the commit of the same record, which gets its first receipt', async () => {
    const text = issuance();
    const [first] = (await theirs.append(asking(text), soon())).receipts;
    const [again] = (await ours.append(asking(text), soon())).receipts;
    expect(again).toEqual(first);
  });

  it('the commit of a token that was spent', async () => {
    const once = digest('o');
    const { index } = (await theirs.append(asking(issuance({ once })), soon())).receipts[0] as { index: number };
    await expect(ours.append(asking(issuance({ once })), soon())).rejects.toMatchObject({
      code: 'replayed',
      options: { members: { index } },
    });
  });

  it('the commit of an outcome, and of a second intent', async () => {
    const id = write.id();
    await theirs.append(asking(write.intent(id)), soon());
    await expect(ours.append(asking(write.intent(id)), soon())).rejects.toMatchObject({ reason: 'second_intent' });
    await theirs.append(asking(write.failure(id)), soon());
    await expect(ours.append(asking(write.issuance(id)), soon())).rejects.toMatchObject({ reason: 'second_outcome' });
  });

  it('the commit under an epoch that has passed', async () => {
    await theirs.append(asking(write.lockdown('add', 'x', 1)), soon());
    await expect(ours.append(asking(issuance()), soon())).rejects.toMatchObject({ code: 'stale' });
  });
});

describe('what was there, and is found by the commit although the head is the known one, is', () => {
  /** A process that knows the head and the policy, and nothing else of what the one before wrote. */
  async function knowingAfter(before: (log: Log) => Promise<unknown>): Promise<Opened> {
    const { log } = await openKnowing();
    await before(log);
    return openKnowing();
  }

  it('the same record', async () => {
    const text = issuance();
    const first: unknown[] = [];
    const { log, looks } = await knowingAfter(async (log) =>
      first.push((await log.append(asking(text), soon())).receipts),
    );
    expect((await log.append(asking(text), soon())).receipts).toEqual(first[0]);
    expect(looks()).toBe(1);
  });

  it('a token that was spent', async () => {
    const once = digest('o');
    const { log } = await knowingAfter((log) => log.append(asking(issuance({ once })), soon()));
    await expect(log.append(asking(issuance({ once })), soon())).rejects.toMatchObject({ code: 'replayed' });
  });

  it('an intent, whose one outcome is taken', async () => {
    const id = write.id();
    const { log } = await knowingAfter((log) => log.append(asking(write.intent(id)), soon()));
    await log.append(asking(write.issuance(id)), soon());
    expect(await log.pending('open', soon())).toEqual([]);
    await expect(log.append(asking(write.failure(id)), soon())).rejects.toMatchObject({ reason: 'second_outcome' });
  });

  it('a checkpoint that somebody changed', async () => {
    const { log } = await openKnowing();
    const database = new Database(join(folder, 'ledger.db'));
    database.exec("UPDATE head SET checkpoint = 'mine'");
    database.close();
    await expect(log.append(asking(issuance()), soon())).rejects.toMatchObject({ reason: 'damaged' });
  });
});

it('a file that was put back under it is refused, however far another process has gone on with it', async () => {
  const [ours, theirs] = [await openKnowing(), await openKnowing()];
  const path = join(folder, 'ledger.db');
  const run = (sql: string) => {
    const database = new Database(path);
    database.exec(sql);
    database.close();
  };
  run(`VACUUM INTO '${join(folder, 'backup.db')}'`);
  await ours.log.append(asking(issuance()), soon());
  const tables = ['head', 'entries', 'subtrees', 'checkpoints', 'spent', 'seen', 'lockdowns', 'issuances'];
  const back = tables.map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table};`);
  run(`ATTACH '${join(folder, 'backup.db')}' AS old; BEGIN; ${back.join('')} COMMIT`);
  for (let time = 0; time < 4; time++) await theirs.log.append(asking(write.denial()), soon());
  const again = () => refusal(ours.log.append(asking(issuance()), soon()));
  expect((await again()).reason).toBe('past_changed');
  for (let time = 0; time < 2; time++) expect((await again()).reason).toBe('damaged');
  expect((await theirs.log.reader.head(soon())).size).toBe(7);
});
