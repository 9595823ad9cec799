import { expect, it } from 'vitest';
import { openLooking } from '../../../src/ledger/confirming/looking.ts';
import type { Pledge } from '../../../src/ledger/following.ts';
import { StoreFault } from '../../../src/ledger/log-store.ts';
import { soon } from '../fixtures.ts';

const pledge: Pledge = {
  serial: 4,
  standby: 'frankfurt',
  instance: 'one',
  state: 'on',
  generation: 2,
  reason: 'confirmed',
};

/** What it finds can be told it; `looks` counts. */
function looked() {
  const state = { found: undefined as Pledge | undefined | Error, looks: 0, generation: 1 };
  const looking = openLooking({
    async pledge() {
      state.looks++;
      if (state.found instanceof Error) throw state.found;
      return state.found;
    },
    head: async () => ({ generation: state.generation, end: 10 }),
    refused: () => {},
    pause: () => Promise.resolve(),
  });
  return { state, looking };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

it('looks once at each log, and asks nothing after that', async () => {
  const { state, looking } = looked();
  await looking.hold(1, 5);
  for (let ask = 0; ask < 10; ask++) {
    looking.admit();
    expect(looking.hold(1, 5 + ask)).toBeUndefined();
    await looking.ready(soon());
  }
  expect(state.looks).toBe(1);
  await looking.hold(2, 20);
  expect(state.looks).toBe(2);
});

it('takes nothing more that would be answered to nobody while it cannot look, is not ready, and goes on when it can', async () => {
  const { state, looking } = looked();
  state.found = new StoreFault('denied');
  await looking.ready(soon());
  await expect(looking.hold(1, 5)).rejects.toThrow('denied');
  const looks = state.looks;
  expect(() => looking.admit()).toThrow('promise_unread');
  await expect(looking.ready(soon())).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'promise_unread' });
  await turn();
  expect(state.looks).toBeGreaterThan(looks);
  state.found = undefined;
  expect(() => looking.admit()).toThrow('promise_unread');
  await turn();
  looking.admit();
  await looking.ready(soon());
  expect(looking.hold(1, 6)).toBeUndefined();
});

it('takes nothing of a log that another process promised, until that is over', async () => {
  const { state, looking } = looked();
  state.found = pledge;
  state.generation = 2;
  await expect(looking.hold(2, 5)).rejects.toMatchObject({ reason: 'confirm_promised' });
  expect(() => looking.admit()).toThrow('confirm_promised');
  await expect(looking.ready(soon())).rejects.toMatchObject({ reason: 'confirm_promised' });
  state.found = { ...pledge, state: 'over' };
  await looking.ready(soon());
  looking.admit();
});

it('is waited for no longer than the caller has', async () => {
  const never = openLooking({
    pledge: () => new Promise(() => {}),
    head: async () => ({ generation: 1, end: 10 }),
    refused: () => {},
    pause: () => Promise.resolve(),
  });
  const began = performance.now();
  await expect(never.settled(5, { ...soon(), left: () => 50 })).rejects.toMatchObject({ reason: 'timeout' });
  expect(performance.now() - began).toBeLessThan(2_000);
});
