import { afterEach, beforeEach, expect, it } from 'vitest';
import { gateOnce, keepTokenLife, onceFrom, usualLifeMs } from '../../../src/ledger/going-on/once-gate.ts';
import { openStandby } from '../../../src/ledger/going-on/standby.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { openCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { noteVerifier } from '../../../src/ledger/tree/note.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, digest, scribe, soon } from '../fixtures.ts';

let folder: string;
let other: string;
let clock: Clock;
let log: Log;
let ledger: Ledger;
let write: ReturnType<typeof scribe>;

beforeEach(async () => {
  [folder, other] = [newFolder(), newFolder()];
  clock = clockAt(Date.now());
  write = scribe(clock);
  log = await openIn(folder, { now: () => clock.at });
  ledger = gateOnce(log, () => clock.at);
  await log.append(asking(write.denial()), soon());
});
afterEach(async () => {
  await log.close();
  for (const each of [folder, other]) removeFolder(each);
});

const spend = (letter: string, to: Ledger = ledger) => {
  const once = digest(letter);
  return to.append({ ...asking(write.intent(write.id(), { once })), once }, soon());
};
const root = new Uint8Array(32).fill(7);
const lose = async (lost: number) => {
  const { size, root: own } = await log.reader.head(soon());
  await log.roll({ lost: lost === 0 ? { size, root: own } : { size: size + lost, root }, reason: 'restored' }, soon());
};
const refused = { code: 'ledger_unavailable', reason: 'once_after_restore' };

it('takes none that may have been spent in what a restore lost, for as long as one from then may live', async () => {
  await spend('a');
  clock.at += 60_000;
  await lose(2);
  const at = clock.at;
  await expect(
    spend(
      'b',
      gateOnce(log, () => clock.at),
    ),
  ).rejects.toMatchObject(refused);
  // An outcome that says what was spent does so too.
  const hidden = asking(write.issuance(write.id(), { once: digest('c') }));
  clock.at += 11_000;
  await expect(ledger.append(hidden, soon())).rejects.toMatchObject(refused);
  await ledger.append(asking(write.denial()), soon());
  // Neither a peaceful roll nor a restart ends it.
  await log.roll({}, soon());
  clock.at = at + usualLifeMs - 1;
  await expect(
    spend(
      'd',
      gateOnce(log, () => clock.at),
    ),
  ).rejects.toMatchObject(refused);
  clock.at += 1;
  await spend('e');
});

it('forgets no gap over many logs that began since, as long as one from then may live', async () => {
  await lose(1);
  const until = clock.at + usualLifeMs;
  for (let more = 0; more < 60; more++) {
    clock.at += 60_000;
    await log.append(asking(write.denial()), soon());
    await log.roll({}, soon());
  }
  expect(await onceFrom(log, soon())).toBe(until);
  await expect(spend('b')).rejects.toMatchObject(refused);
});

it('waits for nothing where nothing is known to be lost', async () => {
  await lose(0);
  expect(await onceFrom(log, soon())).toBeUndefined();
  await spend('a');
});

it('waits as long as tokens live here', async () => {
  await keepTokenLife(log, 3_600_000, soon());
  await lose(1);
  expect(await onceFrom(log, soon())).toBe(clock.at + 3_600_000);
});

it.each(['', 'x', '-1', '1e999', '3600000.5'])(
  'waits as long as they usually live where %o was kept of that',
  async (text) => {
    await log.texts.write('token-life', undefined, text, soon());
    await lose(1);
    expect(await onceFrom(log, soon())).toBe(clock.at + usualLifeMs);
  },
);

it('begins to wait when a broker names the gap', async () => {
  const longer = await openIn(other, { now: () => clock.at });
  await longer.append(asking(write.denial(), write.denial(), write.denial()), soon());
  const note = await longer.reader.checkpoint(soon());
  await longer.close();
  expect(openCheckpoint(noteVerifier(await log.key(soon())), note).size).toBeGreaterThan(
    (await log.reader.head(soon())).size,
  );
  await lose(0);
  await spend('a');
  await log.claim(note, soon());
  clock.at += 10_000;
  await expect(spend('b')).rejects.toMatchObject(refused);
});

it('leaves a promotion to its own waiting', async () => {
  const { size } = await log.reader.head(soon());
  await log.roll({ lost: { size: size + 2, root }, reason: 'promoted' }, soon());
  await spend('a');
  const text = JSON.stringify({ at: clock.at, ends: [1], done: true, onceFrom: clock.at + 60_000 });
  await log.texts.write('promotion', undefined, text, soon());
  clock.at += 11_000;
  await expect(spend('b')).rejects.toMatchObject(refused);
});

it.each(['{"at":1,"ends":[1],"done":true}', '{"at":1,"ends":[1],"done":true,"onceFrom":"never"}', 'null', '{'])(
  'takes none where what is kept of a promotion is none, nor does a standby: %s',
  async (text) => {
    await log.texts.write('promotion', undefined, text, soon());
    const ask = () => Promise.reject(new Error('nobody asks'));
    const standby = openStandby(log, { ask, now: () => clock.at });
    const { size } = await log.reader.head(soon());
    for (const to of [ledger, standby.ledger])
      await expect(spend('a', to)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'promotion_malformed' });
    expect((await log.reader.head(soon())).size).toBe(size);
  },
);

it('takes none while it cannot be read whether anything was lost, and what spends nothing all the same', async () => {
  const down = new Error('nobody answers');
  const blind = gateOnce({ ...log, reader: { ...log.reader, list: () => Promise.reject(down) } }, () => clock.at);
  const { size } = await log.reader.head(soon());
  await expect(spend('a', blind)).rejects.toBe(down);
  expect((await log.reader.head(soon())).size).toBe(size);
  await blind.append(asking(write.denial()), soon());
  await spend('a');
});
