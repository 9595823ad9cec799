import { describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { keepSession } from '../../src/sessions/session.ts';

/** A login under a clock of its own; each gives `s1`, `s2`, ... for a minute, unless told otherwise. */
function rig() {
  const world = { now: 1_000_000, logins: 0, login: async (): Promise<void> => {} };
  const clock = () => world.now;
  const keeper = keepSession(async () => {
    const value = `s${++world.logins}`;
    await world.login();
    return { value, expiresAt: world.now + 60_000 };
  }, clock);
  return { world, keeper, get: (ms = 5_000) => keeper.get(deadlineIn(ms, clock)) };
}

const hang = () => new Promise<void>(() => {});
const fail = async () => {
  throw new UpstreamError('unreachable', { step: 'login' });
};

describe('a kept session', () => {
  it('is begun once for 10,000 who wait, and anew after two thirds of its life', async () => {
    const { world, get } = rig();
    const all = await Promise.all(Array.from({ length: 10_000 }, () => get()));
    expect([new Set(all), world.logins]).toEqual([new Set(['s1']), 1]);
    world.now += 39_999;
    expect(await get()).toBe('s1');
    world.now += 1;
    expect(await get()).toBe('s2');
  });

  it('serves while a new login fails, tries again after ten seconds, and not beyond its end', async () => {
    const { world, get } = rig();
    await get();
    world.login = fail;
    world.now += 40_000;
    for (let n = 0; n < 5; n++) expect(await get()).toBe('s1');
    expect(world.logins).toBe(2);
    world.now += 10_000;
    expect(await get()).toBe('s1');
    expect(world.logins).toBe(3);
    world.now += 5_000;
    await expect(get()).rejects.toMatchObject({ fault: 'unreachable' });
  });

  it('leaves who waits for a login that hangs most of the time for what the session is for', async () => {
    const { world, get } = rig();
    await get();
    world.login = hang;
    world.now += 40_000;
    const waiters = Array.from({ length: 100 }, () => get(4_000));
    const late = new Promise((resolve) => setTimeout(resolve, 3_000, 'late'));
    expect(await Promise.race([Promise.all(waiters), late])).toEqual(Array(100).fill('s1'));
    expect(await get()).toBe('s1');
    expect(world.logins).toBe(2);
  });

  it('takes up a login that was slower than those who waited for it', async () => {
    const { world, get } = rig();
    await get();
    let end = () => {};
    world.login = () => new Promise((resolve) => (end = resolve));
    world.now += 40_000;
    expect(await get(40)).toBe('s1');
    end();
    await new Promise(setImmediate);
    expect(await get()).toBe('s2');
  });

  it('that was dropped is handed out no more, whatever the login says', async () => {
    const { world, keeper, get } = rig();
    keeper.drop(await get());
    world.login = fail;
    await expect(get()).rejects.toMatchObject({ fault: 'unreachable' });
  });

  it('is begun anew where the clock went back: its end is then unknown', async () => {
    const { world, get } = rig();
    await get();
    world.now -= 3_600_000;
    expect(await get()).toBe('s2');
  });
});
