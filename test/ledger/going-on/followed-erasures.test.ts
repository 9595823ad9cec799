import { afterEach, beforeEach, expect, it } from 'vitest';
import { oncePromoted } from '../../../src/config/parts/follower.ts';
import { eraseAt, erasingOf } from '../../../src/ledger/erasure/erasing.ts';
import { repeatLeft } from '../../../src/ledger/going-on/followed-erasures.ts';
import { promote } from '../../../src/ledger/going-on/promote.ts';
import { openStandby, type Standby } from '../../../src/ledger/going-on/standby.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import type { RecordText } from '../../../src/ledger/records/record.ts';
import type { Forwarder } from '../../../src/sinks/forwarder.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, scribe, soon } from '../fixtures.ts';

const origin = 'pass.example.com/ledger';
let folders: string[];
let clock: Clock;
let first: Log;
let own: Log;
let write: ReturnType<typeof scribe>;
let dead: boolean;
let broken: boolean;
let hung: boolean;

beforeEach(async () => {
  folders = [newFolder(), newFolder()];
  clock = clockAt(Date.now());
  write = scribe(clock);
  [dead, broken, hung] = [false, false, false];
  [first, own] = (await Promise.all(folders.map((folder) => openIn(folder, { now: () => clock.at })))) as [Log, Log];
});
afterEach(async () => {
  await first.close();
  await own.close();
  for (const folder of folders) removeFolder(folder);
});

/** The standby's log, whose erasures fail as long as they are to. */
const fragile = (): Ledger => ({
  ...own,
  erase: async (positions, deadline) => {
    if (hung) await new Promise(() => {});
    if (broken) throw new Error('the disk is full');
    await own.erase(positions, deadline);
  },
});

/** One to which its answers are promised: it looks for erasures seldom by itself. */
const openOne = (log: Ledger = fragile()): Standby =>
  openStandby(log, {
    now: () => clock.at,
    relying: { asked: async () => ({ instance: 'one', heard: 1 }), hear: async () => false },
    async ask(_, after, deadline) {
      if (dead) throw new Error('it is dead');
      return {
        copied: await first.reader.copy(after, 500, deadline),
        checkpoint: await first.reader.checkpoint(deadline),
      };
    },
  });

const erasureOf = (position: number): RecordText =>
  write.write('erasure', { count: 1, grant: 'g', policy: `sha256:${'p'.repeat(43)}`, epoch: 0 }, {
    name: 'ops',
    iss: 'x',
    subject: 'y',
    query: { log: origin, positions: [position] },
  } as never);
const newest = async (log: Log) => (await log.reader.list({ type: 'issuance', limit: 1 }, soon()))[0];
const promoteNow = () => promote(fragile(), { checkpoints: [], onceAfter: 0, now: clock.at }, soon);

/** Issues one, lets it come over, and erases it where it was issued: the standby has heard nothing of that yet. */
async function eraseAtFirst(standby: Standby): Promise<void> {
  await first.append(asking(write.issuance(write.id())), soon());
  await standby.follow(soon());
  const { index, disclosure } = (await newest(own)) ?? {};
  expect(disclosure).not.toBeNull();
  await first.append(asking(erasureOf(index as number)), soon());
  for (const log of erasingOf(first)) await eraseAt(log, [index as number], soon());
}

it.each([0, 1_000, -3_600_000])(
  'erases what its record says was erased before it asks again, its clock set by %i ms',
  async (by) => {
    const standby = openOne();
    await eraseAtFirst(standby);
    clock.at += by;
    await standby.follow(soon());
    expect(await newest(own)).toMatchObject({ disclosure: null });
  },
);

it('erases from the beginning where how far it is cannot be read', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  await own.texts.write('erasures', await own.texts.read('erasures', soon()), 'as far as this', soon());
  await standby.follow(soon());
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('erases it once it is started again, though the other is dead', async () => {
  await eraseAtFirst(openOne());
  const killed = openOne();
  broken = true;
  await expect(killed.follow(soon())).rejects.toThrow('the disk is full');
  [broken, dead] = [false, true];
  await expect(openOne().follow(soon())).rejects.toThrow('it is dead');
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('erases what another process took and did not come to erase, though its clock was set back', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  broken = true;
  await expect(openOne().follow(soon())).rejects.toThrow('the disk is full');
  broken = false;
  clock.at -= 3_600_000;
  await standby.follow(soon());
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('is promoted though an erasure hangs', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  broken = true;
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  [broken, hung] = [false, true];
  await promoteNow();
  expect(await standby.promoted(soon())).toBe(true);
  hung = false;
  expect(await standby.erased(soon())).toBe(true);
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('goes on asking where it cannot erase, and erases later', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  broken = true;
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  await first.append(asking(write.denial()), soon());
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  expect((await own.reader.head(soon())).size).toBe((await first.reader.head(soon())).size);
  broken = false;
  await standby.follow(soon());
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('is promoted with what was erased gone', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  broken = true;
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  broken = false;
  await promoteNow();
  expect(await newest(own)).toMatchObject({ disclosure: null });
});

it('is promoted though it cannot erase, carries nothing to the sinks until it can, and touches nothing newer', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  // One that the log loses: its place is taken by what is appended after the promotion.
  const { base, size } = await first.reader.head(soon());
  await first.append(asking(erasureOf(base + size + 3)), soon());
  broken = true;
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  await promoteNow();
  expect(await standby.promoted(soon())).toBe(true);
  const carried: string[] = [];
  const courier = { pass: async () => void carried.push('pass') };
  const inner = { couriers: [courier], run: async () => void carried.push('run') } as unknown as Forwarder;
  const forwarder = oncePromoted(standby, inner, () => clock.at);
  await forwarder.run(soon());
  await forwarder.couriers[0]?.pass(soon());
  expect(carried).toEqual([]);
  const followed = (await newest(own))?.index as number;
  for (let time = 0; time < 4; time++) await own.append(asking(write.issuance(write.id())), soon());
  broken = false;
  await forwarder.run(soon());
  expect(carried).toEqual(['run']);
  const all = await own.reader.list({ type: 'issuance', limit: 9 }, soon());
  expect(all.filter(({ disclosure }) => disclosure === null).map(({ index }) => index)).toEqual([followed]);
});

it('erases what its promotion could not, also where its config follows no other any more', async () => {
  const standby = openOne();
  await eraseAtFirst(standby);
  broken = true;
  await expect(standby.follow(soon())).rejects.toThrow('the disk is full');
  await repeatLeft(fragile(), soon());
  await promoteNow();
  await expect(repeatLeft(fragile(), soon())).rejects.toThrow('the disk is full');
  expect((await newest(own))?.disclosure).not.toBeNull();
  broken = false;
  await repeatLeft(fragile(), soon());
  expect(await newest(own)).toMatchObject({ disclosure: null });
});
