import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type KeyLog, memoryKeyLog, openLiveRing } from '../../src/keys/live-ring.ts';
import { parsePrivateKey } from '../../src/keys/private-key.ts';
import type { OpenRing } from '../../src/keys/ring.ts';
import type { SignerKey } from '../../src/keys/signer.ts';
import type { KeyFact } from '../../src/keys/standing.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';

const minute = 60_000;
const key = (): SignerKey =>
  parsePrivateKey(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  );
const soon = () => deadlineIn(5_000, Date.now);

/** A ring over keys that the test puts there, with what it was told to forget. */
function house(keys: SignerKey[], { mayForget = true, alone = false } = {}) {
  const clock = { at: 1_000_000 };
  const forgotten: string[] = [];
  const said: string[] = [];
  const world = { keys, fault: undefined as Error | undefined, reads: 0, wait: async (_: Deadline) => {} };
  const ring: OpenRing = {
    assertions: keys,
    published: [],
    async reopen(deadline) {
      world.reads++;
      await world.wait(deadline);
      if (world.fault !== undefined) throw world.fault;
      return world.keys;
    },
    forget: async (kid) => void forgotten.push(kid),
  };
  const log = (_: string, event: string) => void said.push(event);
  const live = openLiveRing(ring, { now: () => clock.at, log, announceMs: 10 * minute, mayForget, alone });
  const kids = () => ({
    signing: live.assertions.map(({ kid }) => kid),
    published: live.published.map(({ kid }) => kid),
  });
  return { clock, forgotten, said, world, live, kids };
}

describe('a live ring without a log', () => {
  it('announces from its own start: the old key signs until the next one was published long enough', async () => {
    const [old, next] = [key(), key()];
    const { clock, world, live, kids, forgotten } = house([old]);
    await live.follow(
      memoryKeyLog(() => clock.at),
      soon(),
    );
    await live.refresh(soon());
    expect(kids()).toEqual({ signing: [old.kid], published: [old.kid] });

    clock.at += minute;
    world.keys = [next, old];
    await live.refresh(soon());
    expect(kids()).toEqual({ signing: [old.kid], published: [old.kid, next.kid] });
    clock.at += 10 * minute;
    expect(kids()).toEqual({ signing: [next.kid], published: [next.kid, old.kid] });
    clock.at += 7 * minute;
    await live.refresh(soon());
    expect(kids()).toEqual({ signing: [next.kid], published: [next.kid] });
    expect(forgotten).toEqual([old.kid]);
  });

  it('signs with the old one of two after a start, as others have heard of that one', async () => {
    const [old, next] = [key(), key()];
    const { clock, live, kids } = house([next, old]);
    await live.follow(
      memoryKeyLog(() => clock.at),
      soon(),
    );
    await live.refresh(soon());
    expect(kids()).toEqual({ signing: [old.kid], published: [old.kid, next.kid] });
    clock.at += 10 * minute;
    expect(kids().signing).toEqual([next.kid]);
  });
});

describe('live rings that share no log', () => {
  it('publish all that any of them may sign with, whenever each began', async () => {
    const [old, next] = [key(), key()];
    const early = house([next, old], { alone: true });
    const late = house([next, old], { alone: true });
    for (const { live, clock } of [early, late])
      await live.follow(
        memoryKeyLog(() => clock.at),
        soon(),
      );
    expect(early.kids().published).toEqual([old.kid, next.kid]);
    for (let n = 0; n < 20; n++) {
      early.clock.at += minute;
      await early.live.refresh(soon());
      for (const kid of late.kids().signing) expect(early.kids().published).toContain(kid);
    }
    expect(early.kids().signing).toEqual([next.kid]);
    expect(early.forgotten).toEqual([old.kid]);
    // Its file is gone; who has not noticed yet, and who has just begun, are believed until their tokens died.
    early.world.keys = [next];
    await early.live.refresh(soon());
    early.clock.at += 5 * minute;
    expect(early.kids().published).toEqual([next.kid, old.kid]);
    early.clock.at += 6 * minute;
    expect(early.kids().published).toEqual([next.kid]);
  });
});

describe('a live ring', () => {
  it('keeps its key when another comes under the same kid, and says so', async () => {
    const old = key();
    const other = { ...key(), kid: old.kid };
    const { live, world, said } = house([old]);
    for (const keys of [[other], [other, old]]) {
      world.keys = keys;
      await live.refresh(soon());
      expect(live.assertions).toEqual([old]);
    }
    expect(said).toEqual(['keys_not_reread', 'keys_not_reread']);
    const twice = house([other, old]).live.follow(memoryKeyLog(Date.now), soon());
    await expect(twice).rejects.toThrow('the same kid');
  });

  it('reads the log although a signer takes all the time it is given', async () => {
    const old = key();
    const { live, world, said, clock } = house([old]);
    const left: number[] = [];
    const log: KeyLog = {
      async news(deadline) {
        left.push(deadline.left());
        return [];
      },
      write: async () => {},
    };
    await live.follow(log, soon());
    const now = () => clock.at;
    world.wait = async (deadline) => {
      clock.at += deadline.left();
    };
    await live.refresh(deadlineIn(5_000, now));
    expect(said).toEqual([]);
    expect(left.at(-1)).toBe(2_500);
  });

  it('asks again on a request only when nothing did for five minutes', async () => {
    const { clock, world, live } = house([key()]);
    for (let n = 0; n < 10; n++) await live.renew(soon());
    expect(world.reads).toBe(0);
    clock.at += 5 * minute;
    await Promise.all(Array.from({ length: 10 }, () => live.renew(soon())));
    expect(world.reads).toBe(1);
  });

  it('keeps the keys it has when a signer cannot be read, says so, and never rejects', async () => {
    const old = key();
    const { world, live, kids, said } = house([old]);
    world.fault = new Refusal('ledger_unavailable', 'kms_denied');
    await live.refresh(soon());
    expect(kids().signing).toEqual([old.kid]);
    expect(said).toEqual(['keys_not_reread']);
  });

  it('keeps publishing and signing while the log cannot be written, and switches to nothing unannounced', async () => {
    const [old, next] = [key(), key()];
    const { clock, world, live, kids, said } = house([old]);
    const facts: KeyFact[] = [{ kid: old.kid, jwk: old.publicJwk, state: 'begin', at: 0 }];
    const log: KeyLog = {
      news: async () => facts.splice(0),
      write: () => Promise.reject(new Refusal('ledger_unavailable', 'timeout')),
    };
    await live.follow(log, soon());
    world.keys = [next, old];
    for (let n = 0; n < 40; n++) {
      clock.at += minute;
      await live.refresh(soon());
      expect(kids()).toEqual({ signing: [old.kid], published: [old.kid] });
    }
    expect(said).toContain('keys_not_recorded');
  });

  it('removes no key that something else is derived from', async () => {
    const [old, next] = [key(), key()];
    const { clock, live, forgotten } = house([next, old], { mayForget: false });
    await live.follow(
      memoryKeyLog(() => clock.at),
      soon(),
    );
    for (let n = 0; n < 20; n++) {
      clock.at += minute;
      await live.refresh(soon());
    }
    expect(live.published).toHaveLength(1);
    expect(forgotten).toEqual([]);
  });
});
