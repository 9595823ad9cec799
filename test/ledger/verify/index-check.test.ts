import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteIndex } from '../../../src/ledger/drivers/sqlite/index-file.ts';
import { inspectIndex } from '../../../src/ledger/drivers/sqlite/index-inspect.ts';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import { eraseAt, erasingOf } from '../../../src/ledger/erasure/erasing.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { IndexRow } from '../../../src/ledger/query-index.ts';
import { catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { answerQuestion, askedOf } from '../../../src/ledger/questions/questions.ts';
import { checkIndex } from '../../../src/ledger/verify/index-check.ts';
import type { Finding } from '../../../src/ledger/verify/verify.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';

const write = scribe(clockAt(Date.now()));
/** So that a few entries fill some runs. */
const run = 8;
let folder: string;
let ledger: Ledger;
let path: string;
let issued: string;

/** A ledger whose index has seen all but its newest entry, and somebody forgotten in it. */
beforeAll(async () => {
  folder = newFolder();
  ledger = await openIn(folder);
  issued = write.id();
  for (let more = 0; more < 12; more++) await ledger.append(asking(write.denial(), write.denial()), soon());
  await ledger.append(asking(write.issuance(issued, { kind: 'secret' })), soon());
  for (let more = 0; more < 12; more++) await ledger.append(asking(write.denial(), write.denial()), soon());
  const whole = join(folder, 'whole.index');
  const index = openSqliteIndex(whole, { run });
  const [log] = erasingOf({ ...ledger, index });
  if (log === undefined) throw new Error('no log');
  await catchUp(log, soon());
  await eraseAt(log, [3], soon());
  await index.close?.();
  await ledger.append(asking(write.denial()), soon());
});
let copies = 0;
beforeEach(() => {
  path = join(folder, `${copies++}.index`);
  for (const end of ['', '-wal'])
    if (existsSync(join(folder, `whole.index${end}`))) copyFileSync(join(folder, `whole.index${end}`), `${path}${end}`);
});
afterAll(async () => {
  await ledger.close();
  removeFolder(folder);
});

function tamper(...statements: readonly string[]): void {
  const file = new Database(path);
  for (const sql of statements) file.exec(sql);
  file.close();
}

async function compared(): Promise<readonly Finding[]> {
  const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
  const { index, close: closeIndex } = inspectIndex(path, run);
  const findings: Finding[] = [];
  await checkIndex(source, index, (finding) => findings.push(finding));
  closeIndex();
  await close();
  return findings;
}

describe('the index of an sqlite ledger', () => {
  it('is as the records are, also where it has not seen the newest, and forgot what was erased', async () => {
    expect(await compared()).toEqual([]);
  });

  it('is compared with --index only: an issuance taken out of it is in no answer, and found then', async () => {
    path = join(folder, 'ledger.db.index');
    const question = { filter: { type: 'issuance' }, limit: 10 };
    expect((await answerQuestion(askedOf(ledger), question, soon())).entries).toHaveLength(1);
    tamper('DELETE FROM index_rows WHERE idx = 25');
    expect((await answerQuestion(askedOf(ledger), question, soon())).entries).toEqual([]);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const verify = (index: boolean) => verifyLog(source, { needIntent: new Set(), index });
    expect((await verify(false)).findings).toEqual([]);
    expect((await verify(true)).findings).toEqual([
      expect.objectContaining({ index: 25, code: 'index_differs' }),
      ...['index_sorts', 'index_names'].map((table) =>
        expect.objectContaining({ message: expect.stringContaining(`${table} counts other than the rows`) }),
      ),
    ]);
    await close();
  });

  it.each([
    ['a row of an entry that is gone', 'DELETE FROM index_rows WHERE idx = 25'],
    [
      'a row of another sort',
      'UPDATE index_rows SET by_sort = (SELECT by_sort FROM index_rows WHERE idx = 1) WHERE idx = 25',
    ],
    ['another time', 'UPDATE index_rows SET time = time + 86400000 WHERE idx = 25'],
    ['a digest that is another', 'UPDATE index_rows SET by_issuance = 1 WHERE idx = 25'],
    ['a name that is gone', 'UPDATE index_rows SET by_name = NULL WHERE idx = 25'],
    [
      'a name that was not forgotten',
      'UPDATE index_rows SET by_name = (SELECT by_name FROM index_rows WHERE idx = 25) WHERE idx = 3',
    ],
    ['a sort of another credential', "UPDATE index_sorts SET by_credential = 'another' WHERE by_type = 'issuance'"],
    ['a sort that ends sooner', "UPDATE index_sorts SET last = 1 WHERE by_type = 'denial'"],
    ['a sort that ends nowhere', "UPDATE index_sorts SET last = 'nowhere' WHERE by_type = 'denial'"],
    ['a sort that begins later', "UPDATE index_sorts SET first = 40 WHERE by_type = 'denial'"],
    ['a sort that counts too few', 'UPDATE index_sorts SET n = n - 1'],
    ['another name', "UPDATE index_names SET value = 'another'"],
    ['a name under another key', "UPDATE index_names SET key = 'another'"],
    ['a name that ends sooner', 'UPDATE index_names SET last = 1'],
    ['a name that counts too few', 'UPDATE index_names SET n = 0'],
    ['a day that ends sooner', 'UPDATE index_times SET last = 1'],
    ['a day that is gone', 'DELETE FROM index_times'],
    [
      'a run without one of its values',
      'DELETE FROM index_runs WHERE run = 3 AND value = (SELECT by_issuance FROM index_rows WHERE idx = 25)',
    ],
    [
      'a run that has a value elsewhere',
      'UPDATE index_runs SET at = 7 WHERE run = 3 AND value = (SELECT by_issuance FROM index_rows WHERE idx = 25)',
    ],
    [
      'a run in another order',
      "UPDATE index_runs SET at = (SELECT json_group_array(value) FROM (SELECT value FROM json_each(index_runs.at) ORDER BY value)) WHERE run = 0 AND typeof(at) = 'text'",
    ],
    ['a run that is no JSON', "UPDATE index_runs SET at = '[' WHERE run = 0"],
    ['runs that are said to be sealed', 'UPDATE index_state SET sealed = 9007199254740991'],
    ['entries that it says it has seen', 'UPDATE index_state SET seen = 1000'],
    [
      'entries that it has not seen, and that hold up the next',
      'INSERT INTO index_rows (idx, time, by_sort) VALUES (50, 1, 1)',
    ],
    [
      'a trigger',
      'CREATE TRIGGER later AFTER INSERT ON index_rows BEGIN DELETE FROM index_rows WHERE idx = new.idx; END',
    ],
    ['a table that is gone', 'DROP TABLE index_rows'],
    ['a file of somebody else', 'PRAGMA application_id = 7'],
  ])('is found to have %s', async (_, ...statements) => {
    tamper(...statements);
    const findings = await compared();
    expect(findings).not.toEqual([]);
    for (const { code } of findings) expect(code).toBe('index_differs');
  });

  it('is as the records are while a server erases: what it forgets first is looked at again', async () => {
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const { index, close: closeIndex } = inspectIndex(path, run);
    const looks = [[3, 5], [5, 9], [9]];
    const found: Finding[] = [];
    const others = async (rows: readonly IndexRow[]) => looks.shift() ?? index.others(rows);
    await checkIndex(source, { ...index, others }, (finding) => found.push(finding));
    expect([found, looks]).toEqual([[], []]);
    closeIndex();
    await close();
  });

  it('is found to be no database, and is nothing at all where there is none', async () => {
    writeFileSync(path, 'nothing that SQLite reads, and more of it '.repeat(100));
    expect(await compared()).toEqual([
      expect.objectContaining({ code: 'index_differs', message: expect.stringContaining('corrupt') }),
    ]);
    rmSync(path);
    expect(await compared()).toEqual([]);
  });
});
