import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundles } from '../../../scripts/bundles.mjs';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import { StoreFault } from '../../../src/ledger/log-store.ts';
import { type VerifyReport, type VerifyState, verifyLog } from '../../../src/ledger/verify/verify.ts';
import { asking, clockAt, digest, scribe, soon } from '../fixtures.ts';
import { newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

const clock = clockAt(Date.now());
const write = scribe(clock);
const folder = newFolder();
const workerUrl = pathToFileURL(join(folder, 'verify-worker.mjs'));
const config = { kind: 'sqlite' as const, path: 'ledger.db' };
const needIntent = new Set(['postgres']);

/** More than two pages, with something of what is handed on slim and whole. */
beforeAll(async () => {
  // libsql is found from where the sources are.
  const libsql = import.meta.resolve('libsql');
  await build({ ...bundles.verifyWorker(folder), external: [libsql], alias: { libsql } });
  const ledger = await openIn(folder);
  for (let round = 0; round < 18; round++) {
    const [id, once] = [write.id(), digest(String.fromCharCode(0x61 + round))];
    await ledger.append(asking(write.intent(id, { once })), soon());
    await ledger.append(asking(write.issuance(id, { once })), soon());
    if (round % 2 === 0) await ledger.append(asking(write.revocation(id)), soon());
    // Pages with text beyond ASCII are read another way.
    if (round === 4)
      await ledger.append(asking(write.issuance(write.id(), { kind: 'secret', version: 'größer' })), soon());
    await ledger.append(asking(...Array.from({ length: 250 }, () => write.denial())), soon());
  }
  await ledger.append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'shop' })), soon());
  await ledger.close();
});
afterAll(() => removeFolder(folder));

async function verify(where?: URL, options: Partial<Parameters<typeof verifyLog>[1]> = {}): Promise<VerifyReport> {
  const { source, close } = await inspectSqliteLedger(config, folder, where);
  expect(source.pages !== undefined).toBe(where !== undefined);
  try {
    return await verifyLog(source, { needIntent, ...options });
  } finally {
    await close();
  }
}

/** Runs statements, looks, and takes what they did back. */
async function tampered(statement: string, undo: string, look: () => Promise<void>): Promise<void> {
  const run = (sql: string) => {
    const database = new Database(join(folder, 'ledger.db'));
    database.exec(sql);
    database.close();
  };
  run(statement);
  await look();
  run(undo);
}

describe('verify on threads', () => {
  it('finds a sound log sound, and its lockdowns', async () => {
    const report = await verify(workerUrl);
    expect(report).toMatchObject({ findings: [], open: [] });
    expect(report.size).toBeGreaterThan(4_096);
    expect(report.lockdowns).toHaveLength(1);
    expect(report).toEqual(await verify());
  });

  it.each([
    [
      'leaf_differs',
      'UPDATE entries SET record = replace(record, \'"count":1\', \'"count":2\') WHERE idx = 3000',
      'UPDATE entries SET record = replace(record, \'"count":2\', \'"count":1\') WHERE idx = 3000',
    ],
    [
      'columns_differ',
      "UPDATE entries SET type = 'read' WHERE idx = 2500",
      "UPDATE entries SET type = 'denial' WHERE idx = 2500",
    ],
    [
      'entry_missing',
      'CREATE TABLE aside AS SELECT * FROM entries WHERE idx = 2100; DELETE FROM entries WHERE idx = 2100',
      'INSERT INTO entries SELECT * FROM aside; DROP TABLE aside',
    ],
    [
      'checkpoint_missing',
      'CREATE TABLE aside AS SELECT * FROM checkpoints; DELETE FROM checkpoints WHERE size > 2000 AND size < 2300',
      'INSERT OR IGNORE INTO checkpoints SELECT * FROM aside; DROP TABLE aside',
    ],
    [
      'signature',
      "UPDATE checkpoints SET note = note || 'x' WHERE size > 4200",
      'UPDATE checkpoints SET note = substr(note, 1, length(note) - 1) WHERE size > 4200',
    ],
    [
      'subtree_differs',
      'UPDATE subtrees SET idx = idx + 1000 WHERE idx = 9',
      'UPDATE subtrees SET idx = idx - 1000 WHERE idx = 1009',
    ],
  ])('finds what one thread finds: %s', async (code, statement, undo) => {
    await tampered(statement, undo, async () => {
      const { findings } = await verify(workerUrl);
      expect(findings.map((finding) => finding.code)).toContain(code);
      expect(findings).toEqual((await verify()).findings);
    });
  });

  it('goes on where a run stopped', async () => {
    const states: VerifyState[] = [];
    const keep = async (state: () => VerifyState) => {
      states.push(structuredClone(state()));
    };
    const whole = await verify(workerUrl, { keep });
    expect(states.length).toBeGreaterThan(2);
    expect(await verify(workerUrl, { from: states[0] })).toEqual(whole);
  });

  it('says that the store failed when a thread cannot read', async () => {
    const broken = pathToFileURL(join(import.meta.dirname, 'no-such-folder/verify-worker.mjs'));
    const { source, close } = await inspectSqliteLedger(config, folder, workerUrl);
    const { openVerifyThreads } = await import('../../../src/ledger/drivers/sqlite/verify-threads.ts');
    const threads = openVerifyThreads(join(folder, 'ledger.db'), broken);
    await expect(verifyLog({ ...source, pages: threads }, { needIntent })).rejects.toThrow(StoreFault);
    await threads.close();
    await close();
  });
});
