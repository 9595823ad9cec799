import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type House, openHouse } from '../broker/house.ts';

let house: House;
beforeEach(async () => {
  house = await openHouse();
  const terms = { ttl: 60, once: false, tokenLife: false, claims: [] };
  house.decide = () => ({ allow: true, grant: 'checkout', terms });
});
afterEach(() => house.close());

const about = (id: string) => ({ ...house.call('a-token'), id });
const byHandle = (id: string, handle: string) => {
  const { token: _, ...call } = about(id);
  return { ...call, handle };
};
const issued = () => house.broker.issue(house.call('a-token'));
const told = async () => (await house.records()).flatMap(({ type, reason }) => (type === 'revocation' ? [reason] : []));
const stateOf = async (id: string) => (await house.broker.showLease(about(id))).lease.state;
const sweep = () => house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));

describe('what was fetched, and can be ended by its handle alone', () => {
  it('is ended by it', async () => {
    const { id, lease } = await issued();
    expect(lease.revocable).toBe(true);
    expect(await house.broker.revoke(byHandle(id, lease.handle))).toBe('done');
    expect([...house.target.fetched]).toEqual([]);
    expect(await told()).toEqual(['requested', 'done']);
  });

  it('is ended by it after its lease too: it lives longer than that', async () => {
    const { id, lease } = await issued();
    house.clock.ms += 61_000;
    expect(await house.broker.revoke(byHandle(id, lease.handle))).toBe('done');
    expect([...house.target.fetched]).toEqual([]);
    expect(await told()).toEqual(['requested', 'done']);
  });

  it('is not said to be gone without it, while it may live', async () => {
    const { id } = await issued();
    expect(await house.broker.revoke(about(id))).toBe('done');
    house.clock.ms += 61_000;
    expect(await house.broker.revoke(about(id))).toBe('done');
    expect(house.target.fetched.size).toBe(1);
    expect(await told()).toEqual(['requested']);
  });

  it('is unrevoked where its target was down, until the handle is shown again', async () => {
    const { id, lease } = await issued();
    house.target.undoFails = true;
    expect(await house.broker.revoke(byHandle(id, lease.handle))).toBe('recorded');
    expect(await stateOf(id)).toBe('unrevoked');
    house.target.undoFails = false;
    expect(await sweep()).toMatchObject({ undone: 0, unrevoked: 1 });
    expect(await house.broker.revoke(byHandle(id, lease.handle))).toBe('done');
    expect([...house.target.fetched]).toEqual([]);
    expect(await stateOf(id)).toBe('revoked');
    expect((await sweep()).unrevoked).toBe(0);
  });

  it('is unrevoked until it is over by itself, not until its lease is', async () => {
    const { id, lease } = await issued();
    house.target.undoFails = true;
    await house.broker.revoke(byHandle(id, lease.handle));
    house.clock.ms += 3_500_000;
    expect((await sweep()).unrevoked).toBe(1);
    expect(await stateOf(id)).toBe('unrevoked');
    house.clock.ms += 100_000;
    expect(await sweep()).toMatchObject({ undone: 1, unrevoked: 0 });
    expect((await told()).at(-1)).toBe('done');
  });
});

it('a value that lives on is not said to be gone when its lease is over', async () => {
  const { id } = await house.broker.issue(house.call('stripe-key'));
  house.clock.ms += 61_000;
  expect(await house.broker.revoke({ ...house.call('stripe-key'), id })).toBe('done');
  expect(await told()).toEqual(['requested']);
});
