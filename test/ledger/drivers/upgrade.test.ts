import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openObjectLedger } from '../../../src/ledger/drivers/durable-object/log.ts';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { PendingState } from '../../../src/ledger/log-store.ts';
import { issuanceOf, parseRecord } from '../../../src/ledger/records/record.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import type { Platform } from '../../../src/lib/platform.ts';
import { fileStorage } from '../../faults/faulty-object.ts';
import { asking, clockAt, digest, random, scribe, soon, writer } from '../fixtures.ts';
import { newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

const clock = clockAt(Date.now());
const write = scribe(clock);
let folder: string;
beforeEach(() => {
  folder = newFolder();
});
afterEach(() => removeFolder(folder));

const ids = { revoked: write.id(), abandoned: write.id(), failed: write.id(), open: write.id(), live: write.id() };

/** What a log of the version before held. */
async function fill(ledger: Ledger): Promise<void> {
  const append = (...entries: Parameters<typeof asking>) => ledger.append(asking(...entries), soon());
  await append(...Object.values(ids).map((id) => write.intent(id)));
  await append(write.issuance(ids.revoked), write.issuance(ids.live));
  await append(write.revocation(ids.revoked), write.failure(ids.failed));
  await append(write.failure(ids.abandoned, { reason: 'abandoned' }));
}

const version2 = [
  'DROP TABLE texts',
  'DROP TABLE ended',
  'ALTER TABLE head DROP COLUMN generation',
  'ALTER TABLE head DROP COLUMN base',
  'ALTER TABLE subtrees RENAME TO later',
  'CREATE TABLE subtrees (level INTEGER, idx INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID',
  'INSERT INTO subtrees SELECT level, idx, hash FROM later',
  'DROP TABLE later',
];
const older = [...version2, 'DROP TABLE unrevoked', 'DROP TABLE held'];

async function check(ledger: Ledger): Promise<void> {
  const pending = async (state: PendingState) =>
    (await ledger.pending(state, soon())).map(({ record }) => issuanceOf(parseRecord(record)));
  expect((await pending('unrevoked')).sort()).toEqual([ids.revoked, ids.abandoned].sort());
  expect(await pending('open')).toEqual([ids.open]);
  await ledger.append(asking(write.revocation(ids.revoked, { reason: 'done' })), soon());
  expect(await pending('unrevoked')).toEqual([ids.abandoned]);
  const max = { holder: digest('h'), most: 1 };
  await ledger.append({ ...asking(write.intent(write.id())), max }, soon());
  await expect(ledger.append({ ...asking(write.intent(write.id())), max }, soon())).rejects.toMatchObject({
    reason: 'max',
  });
}

it('opens a file of the version before: what was revoked and not known to be gone is still to be ended', async () => {
  const before = await openIn(folder);
  await fill(before);
  await before.close();
  const database = new Database(join(folder, 'ledger.db'));
  for (const sql of [...older, 'PRAGMA user_version = 1']) database.exec(sql);
  database.close();
  const inspect = () => inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
  await expect(inspect()).rejects.toThrow('of an earlier version: start Hallpass on it once');

  const ledger = await openIn(folder);
  await check(ledger);
  const { source, close } = await inspect();
  expect((await verifyLog(source, { needIntent: new Set(['postgres']) })).findings).toEqual([]);
  await close();
  await ledger.close();
  const again = await openIn(folder);
  expect(await again.pending('unrevoked', soon())).toHaveLength(1);
  await again.close();
});

it('opens an object of the version before in the same way', async () => {
  const storage = fileStorage(join(folder, 'object.db'), () => false);
  const platform: Platform = {
    runtime: 'workerd',
    now: () => clock.at,
    random,
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    instance: 'test',
  };
  const secrets = { checkpointKey: new Uint8Array(32).fill(7), keys: { assertions: [] } };
  const open = () => openObjectLedger(storage, { platform, origin: 'pass.example.com/ledger', writer, secrets });
  await fill(await open());
  for (const sql of older) storage.sql.exec(sql);
  await check(await open());
  expect(await (await open()).pending('unrevoked', soon())).toHaveLength(1);
});
