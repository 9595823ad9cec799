import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { soon } from '../fixtures.ts';
import { closeEach, folder, follow, following, issue, openFirst, openFollower, terms } from './first-and-standby.ts';

closeEach();

type Full = Required<Ledger>;
const unconfirmed = { code: 'ledger_unavailable', reason: 'unconfirmed' };

describe('what is there', () => {
  it.each([0, 3_600_000])(
    'is not told either by a process that was idle since before, the clock of the one that was asked %i ms ahead',
    async (ahead) => {
      const place = folder();
      const asked = await openFirst(place, terms, true, () => Date.now() + ahead);
      const idle = await openFirst(place, { ...terms, within: 1_500 });
      const { standby } = await openFollower(() => asked);
      await follow(standby);
      await following(standby, issue(asked.ledger));
      // Now it has read what is kept; it is kept once more after that, and then the standby takes over.
      await following(standby, issue(idle.ledger));
      await pause(1_100);
      await follow(standby, 2);
      await pause(200);
      await standby.takeOver(soon);
      await pause(1_500 + 2_600);
      const { reader } = idle.ledger as Full;
      for (let time = 0; time < 3; time++) {
        await expect(reader.list({ type: 'lockdown', limit: 9 }, soon())).rejects.toMatchObject(unconfirmed);
        await expect(idle.ledger.pending('open', soon())).rejects.toMatchObject(unconfirmed);
      }
    },
  );

  it.each([-3_600_000, 3_600_000])(
    'is told by a process that was idle where the other is asked all the time, whose clock is off by %i ms',
    async (off) => {
      const place = folder();
      const asked = await openFirst(place, terms, true, () => Date.now() + off);
      const idle = await openFirst(place, { ...terms, within: 1_500 });
      const { standby } = await openFollower(() => asked);
      await follow(standby);
      await following(standby, issue(asked.ledger));
      await following(standby, issue(idle.ledger));
      for (let time = 0; time < 5; time++) {
        await pause(1_000);
        await follow(standby, 1);
      }
      const { reader } = idle.ledger as Full;
      const listed = reader.list({ type: 'issuance', limit: 9 }, soon());
      listed.catch(() => {});
      for (let time = 0; time < 3; time++) {
        await pause(800);
        await follow(standby, 1);
      }
      expect(await listed).toHaveLength(2);
    },
  );
});
