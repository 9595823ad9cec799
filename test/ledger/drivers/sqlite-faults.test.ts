import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogSecrets } from '../../../src/ledger/drivers/driver.ts';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import { openSqliteLedger } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import type { Refusal } from '../../../src/lib/refusal.ts';
import { refusal } from '../../contracts/ledger.ts';
import { asking, clockAt, digest, scribe, soon } from '../fixtures.ts';
import { appendOne, depsOf, newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

const realWorker = new URL('../../../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url);

let folder: string;
const open: Log[] = [];

beforeEach(() => {
  folder = newFolder();
});
afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  removeFolder(folder);
});

const file = () => join(folder, 'ledger.db');
const opened = async (given = {}) => {
  const ledger = await openIn(folder, given);
  open.push(ledger);
  return ledger;
};

async function findings(path = 'ledger.db', since?: string) {
  const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path }, folder);
  const report = await verifyLog(source, { needIntent: new Set(['postgres']), since });
  await close();
  return report.findings;
}

/** A worker that runs `before` ahead of each commit, while the file `fault` is there. */
function faultyWorker(before: string): URL {
  const path = join(folder, 'worker.mjs');
  const source = readFileSync(realWorker, 'utf8')
    .replace(
      "import Database from 'libsql';",
      `import Database from ${JSON.stringify(import.meta.resolve('libsql'))};\nimport { existsSync } from 'node:fs';`,
    )
    .replace(
      'function commit(statements) {',
      `function commit(statements) {\n  if (existsSync(${JSON.stringify(join(folder, 'fault'))})) { ${before} }`,
    );
  writeFileSync(path, source);
  return pathToFileURL(path);
}
const startFault = () => writeFileSync(join(folder, 'fault'), '');
const endFault = () => renameSync(join(folder, 'fault'), join(folder, 'fault.over'));

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const place = newFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', place], { stdio: 'ignore' });
    execFileSync('umount', [place]);
    return true;
  } catch {
    return false;
  } finally {
    removeFolder(place);
  }
}

/** Refused at once while it lasts, and well again by itself within 2.5 s of its end. */
async function survives(ledger: Log, fault: { start(): void; end(): void }): Promise<void> {
  const first = await appendOne(ledger);
  fault.start();
  const began = Date.now();
  expect((await refusal(appendOne(ledger))).code).toBe('ledger_unavailable');
  expect((await refusal(appendOne(ledger))).code).toBe('ledger_unavailable');
  expect(Date.now() - began).toBeLessThan(7_000);
  fault.end();
  const ended = Date.now();
  for (;;) {
    try {
      const { receipts } = await appendOne(ledger, 1_500);
      expect(receipts[0]?.index).toBeGreaterThan(first.receipts[0]?.index ?? 0);
      break;
    } catch (error) {
      if (Date.now() - ended > 2_500) throw error;
    }
  }
  expect(Date.now() - ended).toBeLessThan(2_500);
  await ledger.ready(soon());
  expect(await findings()).toEqual([]);
}

describe('the file of a sqlite ledger', () => {
  it('is made with mode 0600, and its write-ahead log too', async () => {
    await appendOne(await opened());
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(`${file()}-wal`).mode & 0o777).toBe(0o600);
  });

  it('stays small: no preallocation, a bounded write-ahead log', async () => {
    const ledger = await opened();
    await appendOne(ledger);
    await Promise.all(Array.from({ length: 1_000 }, () => appendOne(ledger, 10_000)));
    expect(statSync(`${file()}-wal`).size).toBeLessThan(8 * 1024 * 1024);
    expect(statSync(file()).size).toBeLessThan(4 * 1024 * 1024);
  });

  it.each([
    ['another origin', { origin: 'other.example.com/ledger' }, /under another origin or key: ledger\.origin /],
    [
      'another key',
      { checkpointKey: new Uint8Array(32).fill(8) },
      /under another origin or key: ledger\.seed .*docs\/keys\.md/,
    ],
  ])('is refused under %s, and it is said what differs', async (_, other, message) => {
    await (await openIn(folder)).close();
    await expect(openIn(folder, other)).rejects.toThrow(message);
  });

  it('records a signing key once, with the first record that comes', async () => {
    const keyRecords = [{ purpose: 'assertions', kid: 'k1', jwk: { kty: 'EC' } }];
    for (const expected of [1, 2, 3]) {
      const deps = depsOf({}, folder);
      const secrets = { ...(deps.secrets as LogSecrets), keyRecords: () => keyRecords };
      const ledger = await openSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, { ...deps, secrets });
      await ledger.ready(soon());
      expect((await appendOne(ledger)).receipts[0]?.index).toBe(expected + 1);
      await ledger.close();
    }
    expect(await findings()).toEqual([]);
  });

  it.each([
    ['it', ''],
    ['its write-ahead log', '-wal'],
  ])('takes nothing any more when %s is gone, and no other takes its place', async (_, suffix) => {
    const ledger = await opened();
    await appendOne(ledger);
    rmSync(`${file()}${suffix}`);
    for (let attempt = 0; attempt < 3; attempt++)
      expect((await refusal(appendOne(ledger, 1_000))).code).toBe('ledger_unavailable');
    expect((await refusal(ledger.ready(soon()))).code).toBe('ledger_unavailable');
    if (suffix === '') expect(existsSync(file())).toBe(false);
  });

  it.each(['-wal', '.index'])('is not begun anew where one was: %s is there', async (ending) => {
    writeFileSync(`${file()}${ending}`, '');
    await expect(openIn(folder)).rejects.toThrow(`is gone, but ${file()}${ending} is there`);
    expect(existsSync(file())).toBe(false);
    rmSync(`${file()}${ending}`);
    await appendOne(await opened());
  });

  it('is refused when it is no ledger', async () => {
    const database = new Database(file());
    database.exec('CREATE TABLE orders (id INTEGER)');
    database.close();
    await expect(openIn(folder)).rejects.toThrow('is not a Hallpass ledger');
  });

  it('is opened also when another process makes it between one look and the next', async () => {
    let made: Promise<unknown> | undefined;
    const openDatabase = (path: string) => {
      const connection = new Database(path);
      const prepare = connection.prepare.bind(connection);
      connection.prepare = (sql: string) => {
        // Opened right here: the file is made before the first await.
        if (sql.includes('sqlite_schema')) made ??= opened();
        return prepare(sql);
      };
      return connection;
    };
    const ledger = await opened({ parts: { openDatabase } });
    await made;
    await appendOne(ledger);
    expect(await findings()).toEqual([]);
  });

  it('is refused when it is no database', async () => {
    writeFileSync(file(), 'something else entirely, and long enough to look at. '.repeat(100));
    await expect(openIn(folder)).rejects.toThrow('is not a Hallpass ledger');
  });

  it('is refused clearly when its folder is absent', async () => {
    const config = { kind: 'sqlite' as const, path: 'no/such/ledger.db' };
    await expect(openSqliteLedger(config, depsOf({}, folder))).rejects.toThrow('cannot_open');
  });

  it.each([
    ['an entry changed', "UPDATE entries SET record = replace(record, 'no_grant', 'no_grand')"],
    ['the last entry gone', 'DELETE FROM entries WHERE idx = (SELECT max(idx) FROM entries)'],
    ['an older head', 'UPDATE head SET size = size - 1'],
    ['a hash changed', 'UPDATE entries SET leaf = zeroblob(32) WHERE idx = 2'],
    [
      'the checkpoint of another size',
      'UPDATE head SET checkpoint = (SELECT note FROM checkpoints ORDER BY size LIMIT 1)',
    ],
  ])('is refused with %s', async (_, sql) => {
    const ledger = await openIn(folder);
    for (let many = 0; many < 5; many++) await appendOne(ledger);
    await ledger.close();
    const database = new Database(file());
    database.exec(sql);
    database.close();
    await expect(openIn(folder)).rejects.toThrow('damaged');
  });
});

/** Copies the files as a cut of power leaves them: again, when a checkpoint moved pages into the file meanwhile. */
function copyAsOfOneMoment(name: string): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    const before = statSync(file()).mtimeMs;
    copyFileSync(file(), join(folder, name));
    copyFileSync(`${file()}-wal`, join(folder, `${name}-wal`));
    if (statSync(file()).mtimeMs === before) return;
  }
  throw new Error('no copy of one moment');
}

describe('a sqlite ledger survives', () => {
  it('a disk that is full', async () => {
    const worker = faultyWorker("throw Object.assign(new Error('full'), { code: 'SQLITE_FULL' });");
    const ledger = await opened({ parts: { workerUrl: worker } });
    await survives(ledger, { start: startFault, end: endFault });
  });

  it.skipIf(!canMount())('a disk that is really full (tmpfs; needs the right to mount)', async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
    try {
      const ledger = await openSqliteLedger({ kind: 'sqlite', path: 'disk/ledger.db' }, depsOf({}, folder));
      open.push(ledger);
      const write = scribe(clockAt(Date.now()));
      const append = () => ledger.append(asking(...Array.from({ length: 100 }, () => write.denial())), soon());
      let error: Refusal | undefined;
      for (let many = 0; many < 50 && error === undefined; many++)
        error = await append().then(
          () => undefined,
          (cause) => cause,
        );
      expect(error?.code).toBe('ledger_unavailable');
      expect((await refusal(append())).code).toBe('ledger_unavailable');
      execFileSync('mount', ['-o', 'remount,size=16m', disk]);
      expect((await append()).receipts).toHaveLength(100);
      expect(await findings('disk/ledger.db')).toEqual([]);
    } finally {
      // Lazily: a thread that was given up may still be ending.
      execFileSync('umount', ['-l', disk]);
    }
  });

  it('a file that may not grow (max_page_count)', async () => {
    const worker = faultyWorker("database.prepare('PRAGMA max_page_count = 1').all([]);");
    const ledger = await opened({ parts: { workerUrl: worker } });
    const big = scribe(clockAt(Date.now()));
    startFault();
    const many = asking(...Array.from({ length: 200 }, () => big.denial()));
    expect((await refusal(ledger.append(many, soon()))).reason).toBe('disk_full');
    endFault();
    expect((await ledger.append(many, soon())).receipts).toHaveLength(200);
    expect(await findings()).toEqual([]);
  });

  it('an fsync error after which nobody knows whether the commit landed', async () => {
    const worker = faultyWorker(
      "database.exec('BEGIN IMMEDIATE'); runAll(statements); database.exec('COMMIT'); throw Object.assign(new Error('io'), { code: 'SQLITE_IOERR_FSYNC' });",
    );
    const ledger = await opened({ parts: { workerUrl: worker } });
    await appendOne(ledger);
    const request = asking(scribe(clockAt(Date.now())).denial());
    startFault();
    expect((await refusal(ledger.append(request, soon()))).reason).toBe('io');
    endFault();
    const again = await ledger.append(request, soon());
    expect(again.receipts[0]?.index).toBe(2);
    verifyReceipt(again.receipts[0] as never, await ledger.key(soon()));
    expect((await ledger.append(request, soon())).receipts).toEqual(again.receipts);
    expect(await findings()).toEqual([]);
  });

  it('a worker that throws, and one that ends', async () => {
    for (const fault of ["throw new Error('boom');", 'process.exit(3);']) {
      const ledger = await opened({ parts: { workerUrl: faultyWorker(fault) } });
      await survives(ledger, { start: startFault, end: endFault });
    }
  });

  it('a commit that hangs', async () => {
    const worker = faultyWorker('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);');
    const ledger = await opened({ parts: { workerUrl: worker } });
    await survives(ledger, { start: startFault, end: endFault });
  });

  it('a trigger that leaves out rows: nothing of them is acknowledged, or stays', async () => {
    const ledger = await opened();
    await appendOne(ledger);
    const database = new Database(file());
    const write = scribe(clockAt(Date.now()));
    const once = 'k'.repeat(43);
    const max = { holder: digest('h'), most: 5 };
    for (const table of ['entries', 'checkpoints', 'spent', 'issuances', 'held', 'seen']) {
      database.exec(`CREATE TRIGGER none BEFORE INSERT ON ${table} BEGIN SELECT RAISE(IGNORE); END`);
      const policy = `sha256:${'n'.repeat(43)}`;
      const request = { ...asking(write.intent(write.id(), { once, policy })), once, max, policy };
      const appended = ledger.append(request, soon(4_000));
      expect((await refusal(appended)).code, table).toBe('ledger_unavailable');
      database.exec('DROP TRIGGER none');
    }
    database.close();
    await appendOne(ledger);
    expect(await findings()).toEqual([]);
  });

  it('a lock held by another process', async () => {
    const ledger = await opened();
    let other: InstanceType<typeof Database>;
    await survives(ledger, {
      start() {
        other = new Database(file());
        other.exec('BEGIN IMMEDIATE');
      },
      end: () => {
        other.exec('ROLLBACK');
        other.close();
      },
    });
  });

  it('a file that became read-only', async () => {
    const worker = faultyWorker("database.exec('PRAGMA query_only = ON');");
    const ledger = await opened({ parts: { workerUrl: worker } });
    await survives(ledger, { start: startFault, end: endFault });
  });

  it('a file that is elsewhere for a while', async () => {
    const ledger = await opened();
    const away = join(folder, 'away.db');
    await survives(ledger, { start: () => renameSync(file(), away), end: () => renameSync(away, file()) });
  });

  it('a second process on the same file, under load', async () => {
    const [one, two] = [await opened(), await opened()];
    const key = await one.key(soon());
    const appends = Array.from({ length: 300 }, (_, at) => appendOne(at % 2 === 0 ? one : two, 20_000));
    const results = await Promise.all(appends);
    const indices = results.map((result) => result.receipts[0]?.index as number);
    expect(new Set(indices).size).toBe(300);
    for (const result of results) verifyReceipt(result.receipts[0] as never, key);
    expect(await findings()).toEqual([]);
  });

  it('two processes with one replay key: one wins', async () => {
    const ledgers = [await opened(), await opened()];
    const write = scribe(clockAt(Date.now()));
    const once = 'k'.repeat(43);
    const all = await Promise.allSettled(
      Array.from({ length: 40 }, (_, at) =>
        (ledgers[at % 2] as Log).append({ ...asking(write.issuance(write.id(), { once })), once }, soon()),
      ),
    );
    expect(all.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });

  it('a crash at any moment: what was acknowledged is in a copy of the files', async () => {
    const ledger = await opened();
    const acknowledged: number[] = [];
    let going = true;
    const load = Array.from({ length: 8 }, async () => {
      while (going) acknowledged.push((await appendOne(ledger)).receipts[0]?.index as number);
    });
    for (let copy = 0; copy < 5; copy++) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      const known = Math.max(...acknowledged);
      const name = `copy${copy}.db`;
      copyAsOfOneMoment(name);
      const ledgerOfCopy = await openSqliteLedger({ kind: 'sqlite', path: name }, depsOf({}, folder));
      const newest = (await ledgerOfCopy.reader.list({ limit: 1 }, soon()))[0]?.index ?? -1;
      expect(newest).toBeGreaterThanOrEqual(known);
      await appendOne(ledgerOfCopy);
      await ledgerOfCopy.close();
      expect(await findings(name)).toEqual([]);
    }
    going = false;
    await Promise.all(load);
  });

  it('a torn write-ahead log: the torn tail is dropped, the rest is whole', async () => {
    const ledger = await opened();
    for (let many = 0; many < 20; many++) await appendOne(ledger);
    copyFileSync(file(), join(folder, 'torn.db'));
    const wal = readFileSync(`${file()}-wal`);
    writeFileSync(join(folder, 'torn.db-wal'), wal.subarray(0, wal.length - 1_000));
    const torn = await openSqliteLedger({ kind: 'sqlite', path: 'torn.db' }, depsOf({}, folder));
    await appendOne(torn);
    await torn.close();
    expect(await findings('torn.db')).toEqual([]);
  });
});

describe('a sqlite ledger under pressure', () => {
  it('refuses when 10,000 records wait, and answers those that do', async () => {
    const worker = faultyWorker('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);');
    const ledger = await opened({ parts: { workerUrl: worker } });
    const write = scribe(clockAt(Date.now()));
    // Written ahead: the commit must still be under way when the last of them comes.
    const requests = Array.from({ length: 41 }, () => asking(...Array.from({ length: 250 }, () => write.denial())));
    startFault();
    const first = appendOne(ledger);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const waiting = requests.map((request) => ledger.append(request, soon(20_000)));
    const outcomes = Promise.allSettled(waiting);
    endFault();
    await first;
    const refused = (await outcomes).filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toMatchObject({ code: 'ledger_unavailable', reason: 'queue_full' });
  });

  it('removes an append whose deadline passed while it waited: it is never written', async () => {
    const worker = faultyWorker('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);');
    const ledger = await opened({ parts: { workerUrl: worker } });
    const write = scribe(clockAt(Date.now()));
    startFault();
    const first = appendOne(ledger);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const id = write.id();
    expect((await refusal(ledger.append(asking(write.issuance(id)), soon(50)))).reason).toBe('timeout');
    endFault();
    await first;
    await appendOne(ledger);
    expect(await ledger.issuance(id, soon())).toEqual([]);
  });

  it('takes no append after it was closed', async () => {
    const ledger = await openIn(folder);
    const last = appendOne(ledger);
    await ledger.close();
    await last;
    expect((await refusal(appendOne(ledger))).reason).toBe('closed');
  });
});
