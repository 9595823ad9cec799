import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { folderShelf } from '../../src/cli/folder-shelf.ts';
import { publishedSource } from '../../src/cli/ledger-tiles.ts';
import { archiveClosed } from '../../src/ledger/archive.ts';
import { rollDue, rollTerms } from '../../src/ledger/going-on.ts';
import type { Log } from '../../src/ledger/log.ts';
import { vkeyAs } from '../../src/ledger/note.ts';
import { parseRecord } from '../../src/ledger/record.ts';
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
    const shelf = folderShelf(join(folder, 'closed'));
    let left = 3;
    const failing = {
      put: (...given: Parameters<typeof shelf.put>) =>
        left-- > 0 ? shelf.put(...given) : Promise.reject(new Error('the disk is full')),
    };
    await expect(archiveClosed(ledger, failing, soon)).rejects.toThrow('full');
    expect(await archiveClosed(ledger, shelf, soon)).toBe(1);
    await deny(3);
    await ledger.roll({}, soon());
    expect(await archiveClosed(ledger, shelf, soon)).toBe(1);
    expect(await archiveClosed(ledger, shelf, soon)).toBe(0);

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
