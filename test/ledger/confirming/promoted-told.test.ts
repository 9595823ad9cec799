import { describe, expect, it } from 'vitest';
import { type Relied, reliedIn, reliedName } from '../../../src/ledger/confirming/pledge.ts';
import { takeOver } from '../../../src/ledger/confirming/relying.ts';
import { promote } from '../../../src/ledger/going-on/promote.ts';
import type { Ledger, Texts } from '../../../src/ledger/ledger.ts';
import { soon } from '../fixtures.ts';
import { closeEach, folder, follow, issue, openFirst, openFollower } from './first-and-standby.ts';

closeEach();

type Full = Required<Ledger>;

describe('a promotion that is told', () => {
  const texts = (given: Partial<Texts> & Pick<Texts, 'read'>): Texts => ({ write: async () => true, ...given });

  it('refuses where another process heard meanwhile that the next log is about to begin', async () => {
    const relied: Relied = { instance: 'i', serial: 2, state: 'on', generation: 2 };
    let now: Relied = relied;
    const swapped = texts({
      read: async () => JSON.stringify(now),
      async write() {
        if (now !== relied) return true;
        now = { ...relied, serial: 3, generation: 3 };
        return false;
      },
    });
    await expect(takeOver(swapped, { by: 'told', generation: 2 }, soon())).rejects.toMatchObject({ reason: 'begun' });
  });

  it('stops what follows beside it, also where nothing was ever promised: nothing that was asked before is taken', async () => {
    const first = await openFirst(folder());
    let meanwhile = async () => {};
    const place = folder();
    const { own, standby } = await openFollower(
      () => first,
      'frankfurt',
      place,
      () => meanwhile(),
    );
    await issue(first.ledger);
    await follow(standby, 2);
    await own.texts?.write(reliedName, (await own.texts.read(reliedName, soon())) ?? undefined, null, soon());
    await issue(first.ledger);
    const { size } = await (own as Full).reader.head(soon());
    // Another process takes over while the answer is on its way, and is cut off.
    meanwhile = async () => {
      await takeOver((own as Full).texts, { by: 'told', generation: 1 }, soon());
    };
    await expect(standby.follow(soon())).rejects.toMatchObject({ reason: 'promotion_unfinished' });
    meanwhile = async () => {};
    await expect(standby.follow(soon())).rejects.toMatchObject({ reason: 'promotion_unfinished' });
    expect((await (own as Full).reader.head(soon())).size).toBe(size);
    expect(reliedIn(await own.texts?.read(reliedName, soon()))).toMatchObject({ taken: 'told' });
    await promote(own, { checkpoints: [], onceAfter: 0, now: Date.now() }, soon);
    expect(await standby.promoted(soon())).toBe(true);
  });
});
