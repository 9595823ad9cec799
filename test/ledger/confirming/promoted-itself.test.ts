import { expect, it } from 'vitest';
import { takeOver } from '../../../src/ledger/confirming/relying.ts';
import { promote } from '../../../src/ledger/going-on/promote.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { soon } from '../fixtures.ts';
import { closeEach, folder, follow, issue, openFirst, openFollower, terms } from './first-and-standby.ts';

closeEach();

it('a promotion by itself that was cut off goes on when the standby does, and the first stays unanswered between', async () => {
  const first = await openFirst(folder(), terms);
  const { own, standby } = await openFollower(() => first);
  await follow(standby);
  const { texts, reader } = own as Required<Ledger>;
  const { generation } = await reader.head(soon());
  await takeOver(texts, { by: 'itself', generation }, soon());
  await expect(issue(first.ledger)).rejects.toMatchObject({ reason: 'unconfirmed' });
  expect(await standby.follow(soon())).toBe(0);
  expect((await reader.head(soon())).generation).toBe(generation + 1);
  await standby.ledger.ready(soon());
});

it('a promotion by itself that two processes make at once ends one log, and neither says that it failed', async () => {
  const first = await openFirst(folder(), terms);
  const { own, standby } = await openFollower(() => first);
  await follow(standby);
  const { roll, reader, texts } = own as Required<Ledger>;
  const { generation } = await reader.head(soon());
  const ended: (() => void)[] = [];
  // Both have come as far as to end it before either does; and each is as far as the other when it says that it is done.
  const meet = () => new Promise<void>((go) => ended.push(go) === 2 && ended.splice(0).forEach((each) => void each()));
  const process = (): Ledger => ({
    ...own,
    async roll(request, deadline) {
      await meet();
      const rolled = await roll(request, deadline);
      await meet();
      return rolled;
    },
  });
  const now = Date.now();
  const noted = JSON.stringify({ at: now, ends: [generation], done: false, onceFrom: 0 });
  await texts.write('promotion', undefined, noted, soon());
  const take = () => promote(process(), { checkpoints: [], onceAfter: 0, now, byItself: true }, soon);
  await Promise.all([take(), take()]);
  expect(await standby.promoted(soon())).toBe(true);
  expect(await standby.follow(soon())).toBe(0);
  expect((await reader.head(soon())).generation).toBe(generation + 1);
});

it('a promotion by itself says in the log what it ended, once', async () => {
  const first = await openFirst(folder(), terms);
  const { own, standby } = await openFollower(() => first);
  await follow(standby);
  await standby.takeOver(soon);
  await standby.takeOver(soon);
  const rolls = (await own.reader?.list({ type: 'roll', limit: 9 }, soon())) ?? [];
  expect(rolls.map(({ record }) => parseRecord(record).reason)).toEqual(['promoted', 'confirmed', 'confirmed']);
});
