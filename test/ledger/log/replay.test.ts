import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, openFileToRead, readsOf } from '../../../src/ledger/drivers/sqlite/file.ts';
import type { Copied } from '../../../src/ledger/following.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { halvesOf } from '../../../src/ledger/log/replay.ts';
import { sqlVerifySource } from '../../../src/ledger/verify/source.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, digest, scribe, soon } from '../fixtures.ts';

let folders: string[];
let clock: Clock;
let first: Log;
let second: Log;
let write: ReturnType<typeof scribe>;

beforeEach(async () => {
  folders = [newFolder(), newFolder()];
  clock = clockAt(Date.now());
  write = scribe(clock);
  [first, second] = (await Promise.all(folders.map((folder) => openIn(folder, { now: () => clock.at })))) as [Log, Log];
});
afterEach(async () => {
  await first.close();
  await second.close();
  for (const folder of folders) removeFolder(folder);
});

/** Something of everything that leaves a trace in the tables beside the entries. */
async function fill(): Promise<void> {
  const once = digest('o');
  const [open, done, failed, locked] = [
    write.id(),
    write.id(),
    write.id(),
    write.lockdown('add', 'issuer', 1, { issuer: 'x' }),
  ];
  await first.append({ ...asking(write.intent(open, { once })), once }, soon());
  await first.append(asking(write.intent(done), write.intent(failed), write.denial()), soon());
  await first.append(asking(write.issuance(done), write.failure(failed)), soon());
  await first.roll({}, soon());
  await first.append(asking(write.revocation(done)), soon());
  await first.append(asking(locked), soon());
  await first.append({ ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 }, soon());
}

async function copyAll(limit: number): Promise<number> {
  for (let from = 0; ; ) {
    const copied = await first.reader.copy(from, limit, soon());
    if (copied === undefined) return from;
    from = await second.adopt(copied, soon());
  }
}

/** All that a ledger file holds, as verify reads it. */
async function contents(folder: string): Promise<unknown> {
  const connection = openFileToRead(join(folder, 'ledger.db'), openDatabase);
  try {
    const source = sqlVerifySource(readsOf(() => connection));
    const { tables } = source;
    if (tables === undefined) throw new Error('no tables');
    return {
      head: await source.head(),
      entries: await source.entries(0, 10_000),
      checkpoints: await source.checkpoints(0, 10_000),
      issuances: await tables.issuances(''),
      spent: await tables.spent(''),
      seen: await tables.seen(''),
      lockdowns: await tables.lockdowns(),
    };
  } finally {
    connection.close();
  }
}

describe('a copy of a log', () => {
  it.each([1, 3, 1_000])('is the same in every table, over a roll, taken %i entries at a time', async (limit) => {
    await fill();
    const end = await copyAll(limit);
    const { base, size } = await first.reader.head(soon());
    expect(end).toBe(base + size);
    expect(await contents(folders[1] as string)).toEqual(await contents(folders[0] as string));
  });

  it('can be taken in halves of halves, where a commit does not hold it', async () => {
    await fill();
    const whole = (await first.reader.copy(0, 1_000, soon())) as Copied;
    const parts = halvesOf(whole).flatMap(halvesOf);
    for (const part of parts) await second.adopt(part, soon());
    const end = whole.from + whole.entries.length;
    expect(parts.map(({ entries }) => entries.length).every((length) => length > 0)).toBe(true);
    expect((await second.reader.head(soon())).size).toBe(end);
    expect(await second.reader.checkpoint(soon())).toBe(whole.checkpoints.at(-1)?.note);
  });

  it('goes on by itself as the log would have', async () => {
    const once = digest('o');
    await fill();
    await copyAll(100);
    const request = { ...asking(write.issuance(write.id(), { once, epoch: 1 })), once, epoch: 1 };
    await expect(second.append(request, soon())).rejects.toMatchObject({ code: 'replayed' });
    await expect(second.append(asking(write.issuance(write.id())), soon())).rejects.toMatchObject({ code: 'stale' });
  });

  it('takes again what it has without harm, and nothing that leaves a gap', async () => {
    await fill();
    const copied = (await first.reader.copy(0, 3, soon())) as Copied;
    await second.adopt(copied, soon());
    const end = await second.adopt(copied, soon());
    expect(end).toBe(copied.entries.length);
    const later = (await first.reader.copy(end + 1, 3, soon())) as Copied;
    await expect(second.adopt(later, soon())).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it.each([
    ['a record changed', (copied: Copied) => ({ ...copied, entries: copied.entries.with(0, write.denial()) })],
    ['an entry left out', (copied: Copied) => ({ ...copied, entries: copied.entries.slice(1) })],
    [
      'an entry more than its checkpoints cover',
      (copied: Copied) => ({ ...copied, entries: [...copied.entries, write.denial()] }),
    ],
    ['no checkpoint', (copied: Copied) => ({ ...copied, checkpoints: [] })],
    [
      'a checkpoint by another key',
      (copied: Copied) => ({
        ...copied,
        checkpoints: copied.checkpoints.map((one) => ({
          ...one,
          note: (one.note ?? '').replace(/\n— \S+ \S{12}/, (line) => `${line.slice(0, -4)}AAAA`),
        })),
      }),
    ],
    [
      'another disclosure',
      (copied: Copied) => ({
        ...copied,
        entries: copied.entries.map((entry) => ({ ...entry, disclosure: write.denial().disclosure })),
      }),
    ],
    ['the place of another log', (copied: Copied) => ({ ...copied, generation: 2 })],
  ])('refuses one with %s', async (_, change) => {
    await fill();
    const copied = (await first.reader.copy(0, 100, soon())) as Copied;
    await expect(second.adopt(change(copied), soon())).rejects.toMatchObject({ code: 'invalid_request' });
    expect((await second.reader.head(soon())).size).toBe(0);
    await second.adopt(copied, soon());
  });
});
