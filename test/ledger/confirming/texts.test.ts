import { describe, expect, it } from 'vitest';
import { forgetStandby, pledgeIn, reliedIn } from '../../../src/ledger/confirming/pledge.ts';
import { onceTakenFrom, promote } from '../../../src/ledger/going-on/promote.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { soon } from '../fixtures.ts';
import {
  closeEach,
  folder,
  follow,
  following,
  issue,
  itself,
  openFirst,
  openFollower,
  pledgeOf,
  said,
  terms,
} from './first-and-standby.ts';

closeEach();

// What lies beside the log may have been cut, or be of a version that is not known here: then nobody goes by it.

const pledge = { serial: 4, standby: 'frankfurt', instance: 'one', state: 'on', generation: 2, reason: 'confirmed' };
const relied = { instance: 'one', serial: 4, state: 'on', generation: 2 };
const malformed = ['', '{"serial":4', 'null', '[]', '"over"', '4', '{}'];
const put = async ({ ledger }: { ledger: Ledger }, name: string, text: string) => {
  const { texts } = ledger as Required<Ledger>;
  // What is kept now and then may come between.
  await expect.poll(async () => texts.write(name, await texts.read(name, soon()), text, soon())).toBe(true);
};

describe('a promise that cannot be read', () => {
  it.each([
    ...malformed,
    ...['serial', 'standby', 'instance', 'state', 'generation'].map((name) =>
      JSON.stringify({ ...pledge, [name]: undefined }),
    ),
    JSON.stringify({ ...pledge, state: 'paused' }),
    JSON.stringify({ ...pledge, serial: '4' }),
  ])('is no promise that is over: %s', (text) => {
    expect(() => pledgeIn(text)).toThrow('pledge_malformed');
  });

  it.each([
    ...malformed,
    JSON.stringify({ ...relied, generation: undefined }),
    JSON.stringify({ ...relied, taken: 'twice' }),
  ])('is nothing that a standby may go on by: %s', (text) => {
    expect(() => reliedIn(text)).toThrow('relied_malformed');
  });

  it('is read as it was written', () => {
    expect([pledgeIn(undefined), reliedIn(undefined)]).toEqual([undefined, undefined]);
    expect(pledgeIn(JSON.stringify(pledge))).toEqual(pledge);
    for (const one of [relied, { ...relied, taken: 'told' }]) expect(reliedIn(JSON.stringify(one))).toEqual(one);
  });

  it('lets no process answer, with confirm or without, and says which text it is', async () => {
    for (const text of ['[]', '{"state":']) {
      const place = folder();
      const first = await openFirst(place, terms);
      const { own, standby } = await openFollower(() => first);
      await follow(standby);
      await following(standby, issue(first.ledger));
      await put(first, 'pledge', text);
      const bare = await openFirst(place);
      await expect(issue(bare.ledger)).rejects.toMatchObject({ reason: 'pledge_malformed' });
      await expect(bare.ledger.ready(soon())).rejects.toMatchObject({ reason: 'pledge_malformed' });
      await expect(standby.follow(soon())).rejects.toMatchObject({ reason: 'pledge_malformed' });
      await expect(issue(first.ledger)).rejects.toMatchObject({ code: 'ledger_unavailable' });
      const { texts } = first.ledger as Required<Ledger>;
      await expect(forgetStandby(texts, 'frankfurt', soon())).rejects.toMatchObject({ reason: 'pledge_malformed' });
      expect(reliedIn(await own.texts?.read('relied', soon()))).toMatchObject({ state: 'on' });
    }
  });
});

it('a first whose standby was forgotten and takes over all the same stops once it is told, restarted or not', async () => {
  const place = folder();
  const first = await openFirst(place, terms);
  const { standby } = await openFollower(() => first);
  await follow(standby);
  const { instance = '' } = (await pledgeOf(first.ledger)) ?? {};
  await forgetStandby((first.ledger as Required<Ledger>).texts, 'frankfurt', soon());
  const bare = await openFirst(place);
  await issue(bare.ledger);
  await standby.takeOver(soon);
  await bare.confirming.polled({ name: 'frankfurt', after: 0, instance, promoted: 3 }, soon());
  for (const { ledger } of [bare, await openFirst(place)]) {
    for (let time = 0; time < 2; time++) await expect(issue(ledger)).rejects.toMatchObject({ reason: 'replaced' });
    await expect(ledger.ready(soon())).rejects.toMatchObject({ reason: 'replaced' });
    await expect(ledger.reader?.list({ type: 'issuance', limit: 9 }, soon())).rejects.toMatchObject({
      reason: 'replaced',
    });
  }
  expect(said).toContain('replaced_by_standby');
});

it('a standby whose promise cannot be read takes over when it is told to, and not by itself', async () => {
  const first = await openFirst(folder(), terms);
  const { own, standby } = await openFollower(() => first);
  await follow(standby);
  await put({ ledger: own }, 'relied', '{"instance":');
  await expect(standby.follow(soon())).rejects.toMatchObject({ reason: 'relied_malformed' });
  await expect(itself(own)).rejects.toMatchObject({ reason: 'relied_malformed' });
  expect(await standby.promoted(soon())).toBe(false);
  const options = { checkpoints: [], onceAfter: 1_000, now: Date.now() };
  expect(await promote(own, options, soon)).toMatchObject([{ done: true }]);
  expect(await onceTakenFrom(own, soon())).toBe(options.now + 1_000);
});

it('what is kept for the other processes is kept anew where it cannot be read', async () => {
  const place = folder();
  const patient = { ...terms, within: 3_000 };
  const [first, other] = [await openFirst(place, patient), await openFirst(place, patient)];
  const { standby } = await openFollower(() => first);
  await follow(standby);
  expect(await pledgeOf(first.ledger)).toMatchObject({ state: 'on' });
  for (const text of ['{"confirmed":', 'null', '[]']) {
    await put(first, 'standby:frankfurt', text);
    await following(standby, issue(other.ledger));
  }
  expect(said).not.toContain('standby_away');
});
