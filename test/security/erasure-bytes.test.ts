import { join } from 'node:path';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectNamespace } from '../../src/ledger/drivers/durable-object/open.ts';
import { durableObjectLedger } from '../../src/ledger/drivers/durable-object.ts';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import type { Erasing } from '../../src/ledger/erasure/erasing.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { catchUp } from '../../src/ledger/questions/catch-up.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import { newFolder, openIn, removeFolder } from '../ledger/drivers/sqlite-fixture.ts';
import { random, soon, writer } from '../ledger/fixtures.ts';
import { filesWith, formsOf } from '../support/bytes-on-disk.ts';
import { eraseInTurns, fill, marks, name, proofsHold } from '../support/erased-person.ts';

// Whoever gets the disk, the backup of a folder or the database's own files looks for the bytes of what was erased.

test('what is looked for is found in each of its forms', () => {
  for (const before of ['', 'a', 'ab']) {
    const inside = Buffer.from(`${before}${name} and more`);
    expect(formsOf(name).some((form) => Buffer.from(inside.toString('base64url')).includes(form))).toBe(true);
  }
});

describe('a log in an SQLite file', () => {
  test('holds none of the bytes of what was erased, in no file, while it is open and after', async () => {
    const folder = newFolder();
    const ledger = await openIn(folder);
    const { receipts, positions } = await fill(ledger, 150);
    await catchUp(ledger as Erasing, soon());
    for (const mark of marks) expect(filesWith(folder, [mark]).length).toBeGreaterThan(0);
    await eraseInTurns(ledger as Erasing, positions);
    expect(filesWith(folder, marks)).toEqual([]);
    await proofsHold(ledger, receipts);
    const left = await ledger.reader.list({ type: 'issuance', limit: 500 }, soon());
    expect(left.filter(({ disclosure }) => disclosure !== null)).toHaveLength(50);
    await ledger.close();
    expect(filesWith(folder, marks)).toEqual([]);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    expect((await verifyLog(source, { needIntent: new Set() })).findings).toEqual([]);
    await close();
    removeFolder(folder);
  }, 60_000);

  test('that somebody reads for long erases once they are done, and says so until then', async () => {
    const folder = newFolder();
    const ledger = await openIn(folder);
    const { positions } = await fill(ledger, 10);
    const { openFileToRead, openDatabase } = await import('../../src/ledger/drivers/sqlite/file.ts');
    const reading = openFileToRead(join(folder, 'ledger.db'), openDatabase);
    reading.exec('BEGIN');
    reading.prepare('SELECT count(*) FROM entries').all([]);
    await expect(ledger.erase(positions, soon())).rejects.toMatchObject({ reason: 'busy' });
    reading.exec('COMMIT');
    reading.close();
    // Nothing is left to be erased: what is asked for is that nothing of it is left.
    await ledger.erase([], soon());
    expect(filesWith(folder, marks)).toEqual([]);
    await ledger.close();
    removeFolder(folder);
  });
});

describe('a log in a Durable Object', () => {
  const folder = newFolder();
  let script: string;
  let workerd: Miniflare;
  const start = async () => {
    workerd = new Miniflare({
      modules: true,
      script,
      compatibilityDate: '2026-04-01',
      compatibilityFlags: ['nodejs_compat'],
      durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
      durableObjectsPersist: folder,
    });
    await workerd.ready;
  };
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, '../ledger/drivers/object-worker.ts')],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'neutral',
      target: 'es2024',
      external: ['node:*', 'cloudflare:*'],
    });
    script = outputFiles[0]?.text as string;
    await start();
  });
  afterAll(async () => {
    await workerd.dispose();
    removeFolder(folder);
  });

  async function openObject(): Promise<Ledger> {
    const given = { origin: 'pass.example.com/ledger', writer, seed: [...new Uint8Array(32).fill(7)] };
    const namespace: ObjectNamespace = {
      idFromName: (of) => of,
      get: () => ({
        async fetch(url, init) {
          const headers = {
            'x-object': 'erased',
            'x-test': JSON.stringify({ now: Date.now(), allowed: true, given }),
          };
          return (await workerd.dispatchFetch(url, { ...init, headers } as never)) as unknown as Response;
        },
      }),
    };
    const platform = {
      runtime: 'workerd' as const,
      now: Date.now,
      random,
      fetch: () => Promise.reject(new Error('no network')),
      log: () => {},
      env: {},
      bindings: { LEDGER: namespace },
      instance: 'test',
    };
    const { open } = await durableObjectLedger.load();
    return open({ kind: 'durable-object', binding: 'LEDGER' }, { platform, origin: 'pass.example.com/ledger', writer });
  }

  test('holds none of the bytes of what was erased, in no file', async () => {
    const ledger = (await openObject()) as Ledger & Erasing;
    const { receipts, positions } = await fill(ledger, 150);
    await catchUp(ledger, soon());
    expect(await ledger.index?.find({ name: `shop:${name}/*` }, 1_000, 500, soon())).toHaveLength(100);
    await workerd.dispose();
    for (const mark of marks) expect(filesWith(folder, [mark]).length).toBeGreaterThan(0);
    await start();
    await eraseInTurns(ledger, positions);
    expect(filesWith(folder, marks)).toEqual([]);
    expect(await ledger.index?.find({ name: 'shop:checkout' }, 1_000, 500, soon())).toHaveLength(65);
    expect(await ledger.index?.find({ name: `shop:${name}/*` }, 1_000, 500, soon())).toHaveLength(0);
    await proofsHold(ledger, receipts);
    const left = await ledger.reader?.list({ type: 'issuance', limit: 500 }, soon());
    expect(left?.filter(({ disclosure }) => disclosure !== null)).toHaveLength(50);
  }, 60_000);
});
