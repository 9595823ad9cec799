import { beforeEach, expect, it } from 'vitest';
import { openPulse, type Told, takeOverIfSilent } from '../../../src/config/parts/taking-over.ts';
import { pledgeIn, reliedIn } from '../../../src/ledger/confirming/pledge.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { soon } from '../fixtures.ts';
import {
  closeEach,
  type Follower,
  folder,
  follow,
  following,
  issue,
  openFirst,
  openFollower,
  terms,
} from './first-and-standby.ts';

closeEach();

// Several processes of a standby over one database: one that alone cannot reach the first takes over for nobody.

const mostMs = 1_000;
const after = 3_000;
let at: number;
let said: unknown[];

beforeEach(() => {
  [at, said] = [60_000, []];
});

/** One process of a standby, as the server runs it. */
function processOf({ standby, relying }: Follower) {
  const pulse = openPulse(() => at, mostMs);
  const told: Told = {};
  const log = (_: string, event: string, facts: object = {}) => void said.push({ event, ...facts });
  const pass = () => takeOverIfSilent(standby, pulse, after, { now: () => at, log, doubts: relying }, told);
  return {
    /** Its question got no answer. */
    async misses() {
      pulse.missed(at);
      await pass();
    },
    /** It got one that says nothing more. */
    async isRefused() {
      pulse.answered();
      pulse.alive = true;
      await pass();
    },
    /** It could not ask. */
    async cannotAsk() {
      pulse.answered();
      await pass();
    },
  };
}

async function two() {
  const first = await openFirst(folder(), terms);
  const place = folder();
  const [one, other] = [
    await openFollower(() => first, terms.standby, place),
    await openFollower(() => first, terms.standby, place),
  ];
  await follow(one.standby);
  await following(one.standby, issue(first.ledger));
  const relied = async () => reliedIn(await one.own.texts?.read('relied', soon()));
  expect(await relied()).toMatchObject({ state: 'on' });
  return { first, one, other, relied, promoted: () => one.standby.promoted(soon()) };
}

it('takes nothing over while another one is answered, and says so once', async () => {
  const { one, other, relied, promoted } = await two();
  const cut = processOf(one);
  for (let time = 0; time < 20; time++) {
    await cut.misses();
    at += 400;
    await follow(other.standby, 1);
    at += 100;
  }
  expect(await promoted()).toBe(false);
  expect(said).toEqual([{ event: 'not_promoted', reason: 'answered' }]);
  await follow(other.standby, 1);
  expect((await relied())?.doubt).toBeUndefined();
});

it('takes nothing over while another one is answered that it may not ask', async () => {
  const { one, other, promoted } = await two();
  const [cut, refused] = [processOf(one), processOf(other)];
  for (let time = 0; time < 20; time++) {
    await cut.misses();
    at += 500;
    await refused.isRefused();
  }
  expect(await promoted()).toBe(false);
});

it('takes over after as long as ever where none is answered, also where another one cannot ask', async () => {
  const { one, other, promoted, first } = await two();
  const [cut, idle] = [processOf(one), processOf(other)];
  const began = at;
  while (!(await promoted()) && at - began < 20_000) {
    await cut.misses();
    at += 500;
    await idle.cannotAsk();
  }
  expect(at - began).toBe(after + 500);
  expect(said).toEqual([{ event: 'promoted_itself', ms: after, generation: 3 }]);
  await expect(issue(first.ledger)).rejects.toMatchObject({ reason: 'unconfirmed' });
});

it('takes nothing over where another one is answered at the last moment', async () => {
  const { one, other, promoted } = await two();
  const { relying, standby } = one;
  const doubt = await relying.doubt(soon());
  expect(await relying.doubt(soon())).toBe(doubt);
  await other.relying.answered(soon());
  await expect(standby.takeOver(soon, doubt)).rejects.toMatchObject({ reason: 'answered' });
  const next = await other.relying.doubt(soon());
  expect(next).not.toBe(doubt);
  await expect(standby.takeOver(soon, doubt)).rejects.toMatchObject({ reason: 'answered' });
  expect(await promoted()).toBe(false);
  await standby.takeOver(soon, next);
  expect(await promoted()).toBe(true);
});

it('doubts nothing where nobody has promised anything, and what it hears then is as ever', async () => {
  const first = await openFirst(folder(), terms);
  const { own, standby, relying } = await openFollower(() => first);
  expect(await relying.doubt(soon())).toBeUndefined();
  await relying.answered(soon());
  expect(await own.texts?.read('relied', soon())).toBeUndefined();
  await follow(standby, 1);
  await relying.doubt(soon());
  await follow(standby);
  const { texts } = first.ledger as Required<Ledger>;
  expect(pledgeIn(await texts.read('pledge', soon()))).toMatchObject({ state: 'on' });
  expect(reliedIn(await own.texts?.read('relied', soon()))).toMatchObject({ state: 'on' });
});
