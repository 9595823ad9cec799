import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publishedSource } from '../../src/cli/ledger/tiles.ts';
import { runCommand } from '../../src/cli/program.ts';
import { folderShelf } from '../../src/config/parts/folder-shelf.ts';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import {
  type Archivable,
  type ArchiveTurn,
  archivableOf,
  archiveClosed,
  archiveLog,
  type Shelf,
} from '../../src/ledger/going-on/archive.ts';
import { rollDue, rollTerms } from '../../src/ledger/going-on/rolls-due.ts';
import type { Log } from '../../src/ledger/log/log.ts';
import { answerQuestion, askedOf } from '../../src/ledger/questions/questions.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { vkeyAs } from '../../src/ledger/tree/note.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { fakeTerminal } from '../cli/fake-terminal.ts';
import { newFolder, openIn, removeFolder } from './drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, scribe, soon } from './fixtures.ts';

let folder: string;
let clock: Clock;
let ledger: Log;
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
const deny = (count: number) => ledger.append(asking(...Array.from({ length: count }, () => write.denial())), soon());

describe('a roll that is due', () => {
  const due = (roll: object) => rollDue(ledger, rollTerms({ roll }) ?? {}, clock.at, soon());

  it('is by the age of the log’s first entry', async () => {
    await deny(3);
    clock.at += 30 * 86_400_000 - 1;
    expect(await due({ every: '30d' })).toEqual([]);
    clock.at += 1;
    expect(await due({ every: '30d' })).toMatchObject([{ generation: 2, done: true }]);
    expect(await due({ every: '30d' })).toEqual([]);
    const [end] = await ledger.reader.list({ type: 'roll', before: 5, limit: 1 }, soon());
    expect(parseRecord(end?.record ?? '')).toMatchObject({ state: 'end', reason: 'due' });
  });

  it('is by how many entries it has', async () => {
    await deny(200);
    expect(await due({ entries: 1_000 })).toEqual([]);
    for (let more = 0; more < 4; more++) await deny(200);
    expect(await due({ entries: 1_000 })).toMatchObject([{ done: true }]);
  });

  it('is never, for a log that holds nothing but how it began', async () => {
    await deny(1);
    await ledger.roll({}, soon());
    clock.at += 400 * 86_400_000;
    expect(await due({ every: '1h' })).toEqual([]);
  });
});

describe('an archive', () => {
  it('holds each closed log as tiles that verify by themselves, and goes on where it stopped', async () => {
    for (const entries of [200, 200, 200]) await deny(entries);
    await ledger.roll({}, soon());
    const shelf = folderShelf(join(folder, 'closed'), randomBytes);
    let left = 3;
    const failing = {
      ...shelf,
      put: (...given: Parameters<typeof shelf.put>) =>
        left-- > 0 ? shelf.put(...given) : Promise.reject(new Error('the disk is full')),
    };
    await expect(archiveClosed(ledger, failing, soon)).rejects.toThrow('full');
    expect(await archiveClosed(ledger, shelf, soon)).toMatchObject([{ size: 602 }]);
    await deny(3);
    await ledger.roll({}, soon());
    expect(await archiveClosed(ledger, shelf, soon)).toEqual([{ log: 'pass.example.com/ledger~2', size: 5 }]);
    expect(await archiveClosed(ledger, shelf, soon)).toEqual([]);
    // Where nobody can read how far it is, all is put there again.
    const name = `archive:${toHex(sha256(shelf.name)).slice(0, 32)}`;
    await ledger.texts.write(name, await ledger.texts.read(name, soon()), 'as far as this', soon());
    expect(await archiveClosed(ledger, shelf, soon)).toHaveLength(2);

    const key = await ledger.key(soon());
    for (const [name, log, size] of [
      ['~1', 'pass.example.com/ledger', 602],
      ['~2', 'pass.example.com/ledger~2', 5],
    ] as const) {
      const source = await publishedSource((path) => readFile(join(folder, 'closed', name, path)), vkeyAs(key, log));
      const entries = await source.entries(0, size + 1);
      expect(entries).toHaveLength(size);
      expect(parseRecord(entries.at(-1)?.record ?? '')).toMatchObject({ type: 'roll', state: 'end' });
    }
  });
});

describe('an archive that is filled in turns', () => {
  const put: string[] = [];
  const open = () => folderShelf(join(folder, 'closed'), randomBytes);
  const counted = (shelf = open()): Shelf => ({
    ...shelf,
    put(path, ...file) {
      put.push(path);
      return shelf.put(path, ...file);
    },
  });
  /** As many pieces as a turn is given. */
  function turn(pieces: number, tell?: ArchiveTurn['tell']): ArchiveTurn {
    let left = pieces;
    return { deadline: soon, more: () => left-- > 0, ...(tell && { tell }) };
  }
  const only = () => archivableOf(ledger)[0] as Archivable;

  beforeEach(async () => {
    put.length = 0;
    for (let more = 0; more < 9; more++) await deny(255);
    await ledger.roll({}, soon());
    await deny(2);
    await ledger.roll({}, soon());
  });

  it('goes on at the tile where it was, and puts none twice', async () => {
    const behind: number[] = [];
    const turns: string[] = [];
    while (turns.at(-1) !== 'whole' && turns.length < 20)
      turns.push(
        await archiveLog(
          only(),
          counted(),
          turn(1, (count) => void behind.push(count)),
        ),
      );
    expect(turns).toEqual(['more', 'more', 'more', 'more', 'more', 'whole']);
    expect(new Set(put).size).toBe(put.length);
    expect(put.filter((path) => path.startsWith('~1/tile/0/'))).toHaveLength(9);
    expect([behind[0], behind.at(-1)]).toEqual([2, 0]);
    const key = await ledger.key(soon());
    const terminal = fakeTerminal({ folder });
    expect(await runCommand(['ledger', 'verify', '--tiles', 'closed', '--key', key], terminal)).toBe(0);
    expect(await archiveLog(only(), counted(), turn(0))).toBe('whole');
  });

  it('notes how far it was where it fails, too', async () => {
    let left = 10;
    const failing = counted({
      ...open(),
      put: (...file) => (left-- > 0 ? open().put(...file) : Promise.reject(new Error('the disk is full'))),
    });
    await expect(archiveLog(only(), failing, turn(100))).rejects.toThrow('full');
    const before = put.length;
    expect(await archiveLog(only(), counted(), turn(100))).toBe('whole');
    expect(put.slice(0, 8).filter((path) => put.slice(before).includes(path))).toEqual([]);
  });

  it('is filled by two at once without harm: one goes on, the other steps aside', async () => {
    const turns = await Promise.all([1, 2, 3].map(() => archiveLog(only(), counted(), turn(100))));
    expect(turns).toContain('whole');
    expect(turns).toContain('aside');
    expect(new Set(put).size).toBeLessThan(put.length);
    const other = { ...open(), name: 'forgotten' };
    expect(await archiveClosed(ledger, other, soon)).toHaveLength(2);
  });

  it('gives up at last where somebody else always moves on first', async () => {
    const texts = { read: async () => undefined, write: async () => false };
    const shelf: Shelf = { name: 'contended', put: async () => {}, has: async () => true };
    const reader = { head: async () => ({ ended: [{ generation: 1, base: 0, size: 0 }] }), checkpoint: async () => '' };
    const always = { ...ledger, reader, texts } as unknown as typeof ledger;
    await expect(archiveClosed(always, shelf, soon)).rejects.toMatchObject({ reason: 'archive_contended' });
  });

  it('never goes back to where another was long before', async () => {
    const slow = counted();
    let overtaken: Promise<unknown> | undefined;
    const put = slow.put.bind(slow);
    const outcome = await archiveLog(
      only(),
      {
        ...slow,
        async put(...file) {
          overtaken ??= archiveLog(only(), counted(), turn(100));
          await overtaken;
          return put(...file);
        },
      },
      turn(1),
    );
    expect(outcome).toBe('aside');
    expect(await archiveLog(only(), counted(), turn(0))).toBe('whole');
  });
});

describe('a ledger that was rolled ten times', () => {
  const lines: string[] = [];
  const ids: string[] = [];
  const lastLine = 'pass.example.com/ledger~11';

  beforeEach(async () => {
    lines.length = 0;
    ids.length = 0;
    for (let log = 1; log <= 11; log++) {
      const id = write.id();
      ids.push(id);
      await ledger.append(asking(write.issuance(id, { kind: 'secret' })), soon());
      lines.push((await ledger.reader.checkpoint(soon())) as string);
      await deny(20);
      if (log <= 10) await ledger.roll({}, soon());
    }
  });
  const verify = async (since?: string | readonly string[]) => {
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    return verifyLog(source, { needIntent: new Set(), ...(since !== undefined && { since }) }).finally(close);
  };
  const tamper = async (...statements: string[]) => {
    await ledger.close();
    const database = new Database(join(folder, 'ledger.db'));
    for (const sql of statements) database.exec(sql);
    database.close();
  };

  it('is asked with one query, proved with one key, and verified in one run', async () => {
    const { entries } = await answerQuestion(askedOf(ledger), { filter: { type: 'issuance' }, limit: 100 }, soon());
    expect(entries.map(({ record }) => parseRecord(record).id)).toEqual([...ids].reverse());
    expect(new Set(entries.map(({ log }) => log)).size).toBe(11);
    const key = await ledger.key(soon());
    for (const id of ids) {
      const [entry] = await ledger.reader.story(id, soon());
      if (entry === undefined) throw new Error('no entry');
      verifyReceipt({ log: entry.log, index: entry.leaf, record: entry.record, proof: entry.proof }, key);
    }
    const { size, findings, gaps } = await verify();
    expect({ findings, gaps }).toEqual({ findings: [], gaps: [] });
    const { base, size: last } = await ledger.reader.head(soon());
    expect(size).toBe(base + last);
    // Of each of its logs a checkpoint that was kept elsewhere is extended.
    for (const note of lines) expect((await verify(note)).findings).toEqual([]);
    expect((await verify(lines)).findings).toEqual([]);
  });

  it('is archived whole, and verifies from the folder, all its logs together as the first one alone', async () => {
    await archiveClosed(ledger, folderShelf(join(folder, 'closed'), randomBytes), soon);
    const key = await ledger.key(soon());
    for (const tiles of ['closed', 'closed/~1']) {
      const terminal = fakeTerminal({ folder });
      const code = await runCommand(['ledger', 'verify', '--tiles', tiles, '--key', key], terminal);
      expect([tiles, code, terminal.said.out]).toEqual([tiles, 0, '']);
    }
  });

  it.each([
    [
      'its newest log is cut off as if it had never been',
      async () => {
        const { base } = await ledger.reader.head(soon());
        const note = (await ledger.reader.checkpoint(soon(), 10)).replaceAll("'", "''");
        return [
          `DELETE FROM entries WHERE idx >= ${base}`,
          `DELETE FROM checkpoints WHERE size > ${base}`,
          `UPDATE head SET checkpoint = '${note}'`,
        ];
      },
    ],
    ['the end of a closed log is moved', async () => ['UPDATE ended SET size = size - 1 WHERE generation = 4']],
    ['a closed log is forgotten', async () => ['DELETE FROM ended WHERE generation = 4']],
    [
      'two closed logs change places',
      async () => [
        'UPDATE ended SET generation = -4 WHERE generation = 4',
        'UPDATE ended SET generation = 4 WHERE generation = 5',
        'UPDATE ended SET generation = 5 WHERE generation = -4',
      ],
    ],
    [
      'the first entry of a log commits to another tree',
      async () => [
        `UPDATE entries SET record = replace(record, '"root":"', '"root":"A') WHERE type = 'roll' AND idx > 100 AND record LIKE '%begin%'`,
      ],
    ],
  ])('is found wrong where %s', async (_, statements) => {
    expect(lines.at(-1)).toContain(lastLine);
    await tamper(...(await statements()));
    expect((await verify(lines.at(-1))).findings).not.toEqual([]);
    expect((await verify()).findings).not.toEqual([]);
  });
});
