import { randomBytes } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { logsIn } from '../../../src/cli/ledger/restore-files.ts';
import { folderShelf } from '../../../src/config/parts/folder-shelf.ts';
import { archiveClosed } from '../../../src/ledger/going-on/archive.ts';
import type { CopiedEntry } from '../../../src/ledger/going-on/copies.ts';
import { restoreLedger } from '../../../src/ledger/going-on/restore.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { fakeTerminal } from '../../cli/fake-terminal.ts';
import { newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, scribe, soon } from '../fixtures.ts';
import { openShards, origin } from '../sharded-fixture.ts';

const count = 3;
let folder: string;
let clock: Clock;
let write: ReturnType<typeof scribe>;
const open: Ledger[] = [];

beforeEach(() => {
  folder = newFolder();
  clock = clockAt(Date.now());
  write = scribe(clock);
});
afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  removeFolder(folder);
});

async function openAt(name: string, between?: (log: Log, shard: number) => Log): Promise<Ledger & { shards: Log[] }> {
  const ledger = await openShards(join(folder, name), count, { now: () => clock.at }, between);
  open.push(ledger);
  return ledger as Ledger & { shards: Log[] };
}

/** Of each shard a backup, what came after it, and its newest checkpoint. */
async function lose(after: (ledger: Ledger & { shards: Log[] }) => Promise<void>) {
  const before = await openAt('lost');
  for (const [shard, log] of before.shards.entries())
    for (let more = 0; more <= shard; more++) await log.append(asking(write.denial()), soon());
  await before.close();
  cpSync(join(folder, 'lost'), join(folder, 'backup'), { recursive: true });
  const ledger = await openAt('lost');
  await after(ledger);
  const copies: CopiedEntry[] = [];
  const checkpoints: string[] = [];
  for (const { reader } of ledger.shards) {
    const entries = await reader.entries(0, 1_000, soon());
    copies.push(...entries.map(({ log, leaf, record, disclosure }) => ({ log, leaf, record, disclosure })));
    checkpoints.push(await reader.checkpoint(soon()));
  }
  return { copies, checkpoints };
}

const more = async ({ shards }: { shards: Log[] }) => {
  for (const log of shards) await log.append(asking(write.denial(), write.denial()), soon());
};
const sources = (copies: readonly CopiedEntry[], checkpoints: readonly string[]) => ({
  checkpoints,
  copies: {
    [Symbol.asyncIterator]: () =>
      (async function* () {
        yield* copies;
      })(),
  },
});
const heads = ({ shards }: { shards: Log[] }) => Promise.all(shards.map(({ reader }) => reader.head(soon())));

it('brings each shard as far as its own copies lead, and lets each go on in its next log', async () => {
  const { copies, checkpoints } = await lose(async (ledger) => {
    await more(ledger);
    await ledger.shards[1]?.roll({}, soon());
    await ledger.shards[1]?.append(asking(write.denial()), soon());
  });
  const ledger = await openAt('backup');
  const restored = await restoreLedger(ledger, sources(copies, checkpoints), soon);
  expect(restored.map(({ ended, log, kept, known }) => [ended, log, kept === known])).toEqual([
    [`${origin}/0`, `${origin}/0~2`, true],
    [`${origin}/1~2`, `${origin}/1~3`, true],
    [`${origin}/2`, `${origin}/2~2`, true],
  ]);
  expect(restored.map(({ added }) => added)).toEqual([2, 5, 2]);
  for (const log of ledger.shards) {
    const { receipts } = await log.append(asking(write.denial()), soon());
    expect(receipts[0]?.index).toBe(1);
  }
});

it('writes nothing to any shard where one does not fit, and names it', async () => {
  const { copies, checkpoints } = await lose(more);
  const ledger = await openAt('backup');
  const before = await heads(ledger);
  const forged = copies.map((copy) =>
    copy.log === `${origin}/2` && copy.leaf >= 4 ? { ...copy, record: write.denial().record } : copy,
  );
  for (const [given, says] of [
    [sources(forged, checkpoints), `the copies of ${origin}/2 up to`],
    [sources(copies, checkpoints.slice(0, 2)), `none is of ${origin}/2`],
  ] as const)
    await expect(restoreLedger(ledger, given, soon)).rejects.toThrow(says);
  expect(await heads(ledger)).toEqual(before);
});

it('ends each shard once, where it was cut off and is told again', async () => {
  const { copies, checkpoints } = await lose(more);
  let down = true;
  const ledger = await openAt('backup', (log, shard) => ({
    ...log,
    roll: (...given) => (down && shard === 1 ? Promise.reject(new Error('cut off')) : log.roll(...given)),
  }));
  await expect(restoreLedger(ledger, sources(copies, checkpoints), soon)).rejects.toThrow('cut off');
  down = false;
  const restored = await restoreLedger(ledger, sources(copies, checkpoints), soon);
  expect(restored.map(({ log, kept, known }) => [log, kept === known])).toEqual([
    [`${origin}/0~2`, true],
    [`${origin}/1~2`, true],
    [`${origin}/2~2`, true],
  ]);
  // A restore of another day ends them all again.
  const again = await Promise.all(ledger.shards.map((log: Log) => log.reader.checkpoint(soon())));
  const later = await restoreLedger(ledger, sources([], again), soon);
  expect(later.map(({ log }) => log)).toEqual([`${origin}/0~3`, `${origin}/1~3`, `${origin}/2~3`]);
});

it('gives the first shard back a lockdown that it has lost and another still has', async () => {
  const { copies, checkpoints } = await lose(async (ledger) => {
    await more(ledger);
    await ledger.append({ ...asking(write.lockdown('add', 'issuer', 1, { issuer: 'a' })), epoch: 0 }, soon());
  });
  const ledger = await openAt('backup');
  const short = copies.filter(({ log }) => log !== `${origin}/0`);
  const [first] = await restoreLedger(ledger, sources(short, checkpoints), soon);
  expect((first?.known ?? 0) - (first?.kept ?? 0)).toBe(3);
  expect((await heads(ledger)).map(({ epoch }) => epoch)).toEqual([1, 1, 1]);
  const [lockdown] = (await ledger.shards[0]?.reader.list({ type: 'lockdown', limit: 1 }, soon())) ?? [];
  expect(parseRecord(lockdown?.record ?? '')).toMatchObject({ epoch: 1, op: 'add' });
  await ledger.ready(soon());
});

it('finds the logs of all shards in an archive, each shard’s in their order', async () => {
  const ledger = await openAt('archived');
  for (const shard of [0, 1, 2, 0, 1]) await ledger.shards[shard]?.roll?.({}, soon());
  await archiveClosed(ledger, folderShelf(join(folder, 'arch'), randomBytes), soon);
  const found = await logsIn('arch', fakeTerminal({ folder }));
  expect(found).toEqual(['0~1', '0~2', '1~1', '1~2', '2~1'].map((name) => join('arch', name)));
});
