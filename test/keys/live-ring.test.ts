import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type KeyLog, memoryKeyLog, openLiveRing } from '../../src/keys/live-ring.ts';
import { parsePrivateKey } from '../../src/keys/private-key.ts';
import type { OpenRing } from '../../src/keys/ring.ts';
import type { SignerKey } from '../../src/keys/signer.ts';
import type { KeyFact } from '../../src/keys/standing.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';

const minute = 60_000;
const key = (): SignerKey =>
  parsePrivateKey(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  );
const soon = () => deadlineIn(5_000, Date.now);

/** A ring over keys that the test puts there, with what it was told to forget. */
function house(keys: SignerKey[], { mayForget = true } = {}) {
  const clock = { at: 1_000_000 };
  const forgotten: string[] = [];
  const said: string[] = [];
  const world = { keys, fault: undefined as Error | undefined, reads: 0 };
  const ring: OpenRing = {
    assertions: keys,
    published: [],
    async reopen() {
      world.reads++;
      if (world.fault !== undefined) throw world.fault;
      return world.keys;
    },
    forget: async (kid) => void forgotten.push(kid),
  };
  const log = (_: string, event: string) => void said.push(event);
  const live = openLiveRing(ring, { now: () => clock.at, log, announceMs: 10 * minute, mayForget });
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

describe('a live ring', () => {
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
