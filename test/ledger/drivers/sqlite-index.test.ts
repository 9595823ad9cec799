import { spawn } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import Database from 'libsql';
import { describe, expect, it } from 'vitest';
import { openSqliteIndex } from '../../../src/ledger/drivers/sqlite/index-file.ts';
import type { IndexFilter, IndexRow, QueryIndex } from '../../../src/ledger/query-index.ts';
import { fitter } from '../../../src/ledger/questions/index-row.ts';
import { digestOf } from '../../../src/ledger/questions/sql-index-rows.ts';
import { queryIndexContract } from '../../contracts/query-index.ts';
import { soon } from '../fixtures.ts';
import { newFolder, removeFolder } from './sqlite-fixture.ts';

/** With runs of so many positions, which are else more than a test adds. */
const made = (run?: number) => async () => {
  const folder = newFolder();
  const index = openSqliteIndex(join(folder, 'ledger.db.index'), { run });
  return {
    index,
    async end() {
      await index.close?.();
      removeFolder(folder);
    },
  };
};

queryIndexContract('a file beside a sqlite ledger', made());
queryIndexContract('a file beside a sqlite ledger, of many runs', made(3));

const start = Date.UTC(2026, 10, 22, 12);
const any = 2 ** 40;

/** The same each time: a generator of numbers below `most`. */
function drawing(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

function randomRows(count: number, draw: (most: number) => number): IndexRow[] {
  const one = (of: string, most: number) => (draw(4) === 0 ? undefined : `${of}-${draw(draw(most) + 1)}`);
  return Array.from({ length: count }, (_, index) => ({
    index,
    time: start + index * 7_000 + draw(90_000),
    type: draw(5) === 0 ? 'denial' : 'issuance',
    issuance: one('issuance', 900),
    issuer: one('issuer', 3),
    credential: one('credential', 12),
    kind: one('kind', 3),
    grant: one('grant', 20),
    reason: one('reason', 4),
    account: one('account', 60),
    fingerprint: one('fingerprint', 900),
    fingerprintKey: one('key', 2),
    trace: one('trace', 200),
    name: draw(6) === 0 ? undefined : `ci:team-${draw(5)}/service-${draw(40)}`,
    token: one('token', 900),
  })) as unknown as IndexRow[];
}

/** Of a row that there is, so that most of them find something. */
function randomFilter(rows: readonly IndexRow[], draw: (most: number) => number): IndexFilter {
  const row = rows[draw(rows.length)] as IndexRow;
  const members = Object.entries(row).filter(([member]) => member !== 'index' && member !== 'time');
  const filter: Record<string, unknown> = {};
  for (let more = draw(3); more >= 0; more--)
    Object.assign(filter, Object.fromEntries([members[draw(members.length)] as [string, unknown]]));
  if (draw(4) === 0 && row.name !== undefined) filter.name = draw(2) === 0 ? row.name : row.name.replace(/-\d+$/, '-*');
  if (draw(3) === 0) filter.from = row.time - draw(900_000);
  if (draw(3) === 0) filter.to = row.time + draw(900_000);
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

describe('an index in SQLite', () => {
  async function withIndex(run: number, work: (index: QueryIndex) => Promise<void>): Promise<void> {
    const { index, end } = await made(run)();
    await work(index).finally(end);
  }

  it('finds what a look at every row finds, however the rows came and whatever was forgotten', async () => {
    for (const [run, most] of [
      [16, 5],
      [50, 300],
      [10_000, 1_000],
    ] as const) {
      const draw = drawing(run);
      const rows = randomRows(1_500, draw);
      await withIndex(run, async (index) => {
        const forgotten = new Set<number>();
        for (let from = 0; from < rows.length; ) {
          const to = Math.min(rows.length, from + 1 + draw(most));
          expect(await index.add(rows.slice(from, to), from, to, soon())).toBe(true);
          from = to;
          if (draw(10) !== 0 && to < rows.length) continue;
          const some = Array.from({ length: 3 }, () => draw(rows.length));
          for (const position of some) forgotten.add(position);
          await index.forget(some, soon());
        }
        const known = rows.map((row) =>
          forgotten.has(row.index) ? { ...row, name: undefined, token: undefined } : row,
        ) as IndexRow[];
        for (let asked = 0; asked < 120; asked++) {
          const filter = randomFilter(rows, draw);
          const [before, limit] = [draw(3) === 0 ? draw(rows.length) : any, 1 + draw(100)];
          const fits = fitter(filter);
          const expected = known.filter((row) => row.index < before && fits(row)).map((row) => row.index);
          const found = await index.find(filter, before, limit, soon());
          expect(found, JSON.stringify({ run, filter, before, limit })).toEqual(expected.reverse().slice(0, limit));
        }
      });
    }
  });

  it('keeps of what it forgot neither name nor digest nor number, in rows and runs', async () => {
    const folder = newFolder();
    const path = join(folder, 'ledger.db.index');
    const index = openSqliteIndex(path, { run: 4 });
    const row = (at: number): IndexRow => ({
      index: at,
      time: start,
      type: 'issuance',
      name: at < 7 ? 'ci:team/erased' : 'ci:team/kept',
      token: `token-${at}`,
    });
    await index.add(
      Array.from({ length: 10 }, (_, at) => row(at)),
      0,
      10,
      soon(),
    );
    const numberOf = (connection: InstanceType<typeof Database>, name: string) =>
      (connection.prepare('SELECT id FROM index_names WHERE value = ?').get([name]) as { id: number } | undefined)?.id;
    const before = new Database(path);
    const id = numberOf(before, 'ci:team/erased') as number;
    const named = (connection: InstanceType<typeof Database>) =>
      connection.prepare('SELECT run FROM index_runs WHERE value = ?').all([-2 * id - 1]).length;
    expect(named(before)).toBe(2);
    before.close();
    await index.forget([0, 1, 2, 3, 4, 5, 6], soon());
    expect(await index.find({ name: 'ci:team/kept' }, any, 10, soon())).toEqual([9, 8, 7]);
    await index.close?.();
    const after = new Database(path);
    expect([numberOf(after, 'ci:team/erased'), named(after)]).toEqual([undefined, 0]);
    for (let at = 0; at < 8; at++) {
      const found = after.prepare('SELECT at FROM index_runs WHERE value = ?').all([digestOf(`token-${at}`)]);
      expect(found, String(at)).toHaveLength(at < 7 ? 0 : 1);
    }
    after.close();
    removeFolder(folder);
  });

  it('of another version is made anew in its place, beside another process that has it open, and keeps none of its names', async () => {
    const folder = newFolder();
    const path = join(folder, 'old.index');
    const older = new Database(path);
    for (const sql of [
      'PRAGMA journal_mode = WAL',
      'CREATE TABLE index_words (id INTEGER PRIMARY KEY, value TEXT)',
      "INSERT INTO index_words VALUES (1, 'k8s:prod/shop/an-older-name')",
      'PRAGMA application_id = 0x48504958',
      'PRAGMA user_version = 1',
    ])
      older.prepare(sql).all([]);
    const index = openSqliteIndex(path);
    try {
      expect(await index.seen(soon())).toBe(0);
      expect(await index.add([{ index: 0, time: 0, type: 'denial' }], 0, 1, soon())).toBe(true);
      // The same file: who has it open sees what is new.
      expect(older.prepare('SELECT seen FROM index_state').get([])).toMatchObject({ seen: 1 });
      expect(older.prepare("SELECT 1 FROM sqlite_master WHERE name = 'index_words'").all([])).toEqual([]);
    } finally {
      await index.close?.();
      older.close();
    }
    expect(readFileSync(path).includes('an-older-name')).toBe(false);
    removeFolder(folder);
  });

  it('killed at any moment of being built, goes on where it was and finds the same', async () => {
    const folder = newFolder();
    const path = join(folder, 'ledger.db.index');
    const rows = randomRows(3_000, drawing(9));
    const script = join(folder, 'add.mjs');
    const source = new URL('../../../src/ledger/drivers/sqlite/index-file.ts', import.meta.url).pathname;
    const { outputFiles } = await build({
      stdin: { contents: adding(source), loader: 'ts', resolveDir: import.meta.dirname },
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      external: ['libsql'],
    });
    writeFileSync(script, outputFiles[0]?.text ?? '');
    writeFileSync(join(folder, 'rows.json'), JSON.stringify(rows));
    symlinkSync(join(import.meta.dirname, '../../../node_modules'), join(folder, 'node_modules'));
    const seen: number[] = [];
    for (let added = 0; added < rows.length; ) {
      // Each is killed a little after it said that so many are in it.
      const most = seen.length < 6 ? added + 150 + seen.length * 37 : rows.length;
      const child = spawn(process.execPath, [script, path, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
      for await (const line of createInterface({ input: child.stdout })) {
        added = Number(line);
        if (added >= most) child.kill('SIGKILL');
      }
      seen.push(added);
    }
    expect(seen.length).toBeGreaterThan(6);
    const index = openSqliteIndex(path, { run });
    expect(await index.seen(soon())).toBe(rows.length);
    const draw = drawing(5);
    for (let asked = 0; asked < 100; asked++) {
      const filter = randomFilter(rows, draw);
      const expected = rows.filter(fitter(filter)).map((row) => row.index);
      expect(await index.find(filter, any, 5_000, soon()), JSON.stringify(filter)).toEqual(expected.reverse());
    }
    await index.close?.();
    removeFolder(folder);
  }, 60_000);
});

/** Runs of a build that is killed. */
const run = 64;

/** A program that adds what is missing in the index, few at a time, and says after each how many are in it. */
const adding = (source: string): string => `
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openSqliteIndex } from ${JSON.stringify(source)};
const [path, run] = process.argv.slice(2);
const rows = JSON.parse(readFileSync(join(dirname(path), 'rows.json'), 'utf8'));
const until = Date.now() + 60_000;
const deadline = { left: () => until - Date.now(), within: () => deadline };
const workerUrl = pathToFileURL(join(dirname(${JSON.stringify(source)}), 'index-worker.mjs'));
const index = openSqliteIndex(path, { run: Number(run), workerUrl });
let from = await index.seen(deadline);
while (from < rows.length) {
  const to = Math.min(rows.length, from + 50);
  await index.add(rows.slice(from, to), from, to, deadline);
  from = to;
  console.log(from);
}
await index.close();
`;
