import { expect, it } from 'vitest';
import type { Copied } from '../../../src/ledger/following.ts';
import { adoptRun, type CopiedEntry } from '../../../src/ledger/going-on/copies.ts';
import { restoreLedger } from '../../../src/ledger/going-on/restore.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { signCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { appendOne, newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { soon } from '../fixtures.ts';

it.each([
  [1_000, 10, [400, 400, 200]],
  [300, 65_500, Array.from({ length: 19 }, (_, at) => (at < 18 ? 16 : 12))],
  [3, 2 * 1024 * 1024, [1, 1, 1]],
])('%i entries of %i characters are put back in commits that a standby can take', async (many, chars, sizes) => {
  const adopted: Copied[] = [];
  const ledger = { adopt: async (copied: Copied) => adopted.push(copied) };
  const entries = Array.from({ length: many }, (_, at) => ({ record: String(at), disclosure: 'x'.repeat(chars) }));
  const run = { log: 'l', base: 100, generation: 2, from: 5, range: [], until: { note: 'signed' }, entries };
  await adoptRun(ledger as never, run as never, soon);
  expect(adopted.map(({ entries: some }) => some.length)).toEqual(sizes);
  expect(adopted.flatMap(({ entries: some }) => some)).toEqual(entries);
  let from = 105;
  for (const [at, { checkpoints, entries: some, ...rest }] of adopted.entries()) {
    expect(rest).toMatchObject({ generation: 2, base: 100, from });
    from += some.length;
    expect(checkpoints).toEqual([{ end: from, note: at === sizes.length - 1 ? 'signed' : null }]);
  }
});

it('goes by no checkpoints that say two things of one log, however much larger the newest is', async () => {
  const folder = newFolder();
  const ledger = await openIn(folder);
  try {
    await appendOne(ledger);
    const before = await ledger.reader.head(soon());
    const signer = noteSigner(ledger.origin, new Uint8Array(32).fill(7));
    const signed = (size: number, fill: number) => signCheckpoint(signer, size, new Uint8Array(32).fill(fill));
    const copies = { async *[Symbol.asyncIterator]() {} };
    for (const checkpoints of [
      [signed(50, 1), signed(50, 2), signed(60, 3)],
      [signed(60, 3), signed(50, 2), signed(60, 3), signed(50, 1)],
    ])
      await expect(restoreLedger(ledger, { checkpoints, copies }, soon)).rejects.toThrow(
        'two checkpoints of pass.example.com/ledger with 50 entries are of different trees',
      );
    expect(await ledger.reader.head(soon())).toEqual(before);
    const twice = [signed(60, 3), signed(60, 3)];
    expect(await restoreLedger(ledger, { checkpoints: twice, copies }, soon)).toMatchObject([{ known: 60 }]);
  } finally {
    await ledger.close();
    removeFolder(folder);
  }
});

it.each([
  [
    'the other, the log, what comes before both',
    (a: CopiedEntry[], b: CopiedEntry[]) => [b.slice(3), a.slice(3), a.slice(0, 3)],
  ],
  [
    'the other, what comes before both, the log',
    (a: CopiedEntry[], b: CopiedEntry[]) => [b.slice(3), a.slice(0, 3), a.slice(3)],
  ],
])('says that copies are of two logs under one name, in whichever order they lie: %s', async (_, ordered) => {
  const folders = [newFolder(), newFolder(), newFolder()];
  const [one, other, here] = (await Promise.all(folders.map((folder) => openIn(folder)))) as [Log, Log, Log];
  try {
    for (let more = 0; more < 3; more++) await appendOne(one);
    for (const copy of [other, here]) await copy.adopt((await one.reader.copy(0, 1, soon())) as Copied, soon());
    for (let more = 0; more < 4; more++) for (const log of [one, other]) await appendOne(log);
    const all = async (log: Log): Promise<CopiedEntry[]> => [...(await log.reader.entries(0, 100, soon()))];
    const [a, b] = [await all(one), await all(other)];
    const checkpoints = [await one.reader.checkpoint(soon())];
    const copies = {
      async *[Symbol.asyncIterator]() {
        yield* ordered(a, b).flat();
      },
    };
    await expect(restoreLedger(here, { checkpoints, copies }, soon)).rejects.toThrow(/have two entries \d of pass/);
  } finally {
    for (const log of [one, other, here]) await log.close();
    for (const folder of folders) removeFolder(folder);
  }
});
