import { describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Ref } from '../../src/lib/ref.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { createReader } from '../../src/stores/reader.ts';
import { type Store, StoreError, type StoreFault } from '../../src/stores/store.ts';

type Get = (name: string, version: string | undefined) => Promise<{ value: Secret; version: string }>;

function rig(get: Get, cacheMs = 60_000) {
  const clock = { now: 1_000_000 };
  let calls = 0;
  const store = {
    get: (name: string, version: string | undefined) => {
      calls++;
      return get(name, version);
    },
  } as unknown as Store;
  const stores = { here: { open: async () => store, cacheMs } };
  const read = createReader({ stores, storeMs: 5_000, now: () => clock.now, log: () => {} });
  const ask = (ref: Partial<Ref> = {}, ms = 5_000) =>
    read(
      { store: 'here', name: 'STRIPE', ...ref },
      deadlineIn(ms, () => clock.now),
    );
  return { ask, clock, calls: () => calls };
}

const found = (value: string) => async () => ({ value: new Secret(value), version: '7' });
const failing = (fault: StoreFault) => async () => {
  throw new StoreError(fault, { cause: new Error('canary: upstream said secret things') });
};

async function refusalOf(work: Promise<unknown>): Promise<Refusal> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Refusal)) throw error;
  return error;
}

describe('the reader', () => {
  it('gives value, version and store', async () => {
    const { ask } = rig(found('not-a-key'));
    const { value, version, store } = await ask();
    expect([value.revealText(), version, store]).toEqual(['not-a-key', '7', 'here']);
  });

  it('asks the store once for all who ask at the same time', async () => {
    const { ask, calls } = rig(found('not-a-key'), 0);
    await Promise.all(Array.from({ length: 50 }, () => ask()));
    expect(calls()).toBe(1);
    await ask();
    expect(calls()).toBe(2);
  });

  it('reuses a value for the cache time and not a moment longer', async () => {
    const { ask, calls, clock } = rig(found('not-a-key'));
    await ask();
    clock.now += 59_999;
    await ask();
    expect(calls()).toBe(1);
    clock.now += 1;
    await ask();
    expect(calls()).toBe(2);
  });

  it('reuses nothing once the clock went back behind the question: how old it is, nobody knows', async () => {
    const { ask, calls, clock } = rig(found('not-a-key'));
    await ask();
    clock.now -= 3_600_000;
    await ask();
    expect(calls()).toBe(2);
    await ask();
    expect(calls()).toBe(2);
  });

  it('makes one call of 10,000 at once, good or bad, and none of those that follow within its time', async () => {
    for (const get of [found('not-a-key'), failing('absent'), failing('throttled')]) {
      const { ask, calls } = rig(get);
      for (let n = 0; n < 2; n++) await Promise.allSettled(Array.from({ length: 10_000 }, () => ask()));
      expect(calls()).toBe(1);
    }
  });

  it('counts the cache time from the question, not from the answer', async () => {
    const rigged = rig(async () => {
      rigged.clock.now += 4_000;
      return { value: new Secret('not-a-key'), version: '7' };
    });
    await rigged.ask();
    rigged.clock.now += 56_000;
    await rigged.ask();
    expect(rigged.calls()).toBe(2);
  });

  it('keeps names, versions and stores apart', async () => {
    const { ask } = rig(async (name, version) => ({
      value: new Secret(`${name}|${version}`),
      version: version ?? '7',
    }));
    expect((await ask({ name: 'a', version: 'b' })).value.revealText()).toBe('a|b');
    expect((await ask({ name: 'a","b' })).value.revealText()).toBe('a","b|undefined');
    expect((await ask({ name: 'a' })).value.revealText()).toBe('a|undefined');
  });

  it('believes absent and denied for 5 s at most, unreachable and slow not at all', async () => {
    for (const fault of ['absent', 'denied', 'disabled'] as const) {
      const { ask, calls, clock } = rig(failing(fault));
      await refusalOf(ask());
      clock.now += 4_999;
      await refusalOf(ask());
      expect(calls()).toBe(1);
      clock.now += 1;
      await refusalOf(ask());
      expect(calls()).toBe(2);
    }
    for (const fault of ['unreachable', 'slow', 'damaged'] as const) {
      const { ask, calls } = rig(failing(fault));
      await refusalOf(ask());
      await refusalOf(ask());
      expect(calls()).toBe(2);
    }
  });

  it('holds 1,000 values, dropping what was not used for longest', async () => {
    const { ask, calls } = rig(found('not-a-key'));
    for (let i = 0; i < 1_000; i++) await ask({ name: `n${i}` });
    await ask({ name: 'n0' });
    await ask({ name: 'one-more' });
    expect(calls()).toBe(1_001);
    await ask({ name: 'n0' });
    expect(calls()).toBe(1_001);
    await ask({ name: 'n1' });
    expect(calls()).toBe(1_002);
  });

  it.each([
    ['absent', 'store_failed'],
    ['denied', 'store_failed'],
    ['disabled', 'store_failed'],
    ['unreachable', 'store_failed'],
    ['damaged', 'store_failed'],
    ['slow', 'store_timeout'],
  ] as const)('turns %s into %s, without a word of the store', async (fault, code) => {
    const refusal = await refusalOf(rig(failing(fault)).ask());
    expect([refusal.code, refusal.reason]).toEqual([code, fault]);
    expect(refusal.options.facts).toEqual({ store: 'here', reason: fault });
    expect(refusal.cause).toBeUndefined();
    expect(`${refusal.stack}${JSON.stringify(refusal)}`).not.toContain('canary');
  });

  it('fails closed on an error no store should give', async () => {
    const refusal = await refusalOf(
      rig(async () => {
        throw new TypeError('canary');
      }).ask(),
    );
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'unreachable']);
    expect(`${refusal.stack}`).not.toContain('canary');
  });

  it('answers by the caller’s deadline when the store hangs, and lets a later caller have the answer', async () => {
    let answer = (_: { value: Secret; version: string }) => {};
    const store = {
      get: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    } as unknown as Store;
    const read = createReader({
      stores: { here: { open: async () => store, cacheMs: 0 } },
      storeMs: 5_000,
      now: Date.now,
      log: () => {},
    });
    const ref = { store: 'here', name: 'STRIPE' };
    const patient = read(ref, deadlineIn(5_000, Date.now));
    const refusal = await refusalOf(read(ref, deadlineIn(20, Date.now)));
    expect([refusal.code, refusal.reason]).toEqual(['store_timeout', 'slow']);
    answer({ value: new Secret('late'), version: '1' });
    expect((await patient).value.revealText()).toBe('late');
  });

  it('refuses a store the config does not have, prototype names included', async () => {
    for (const store of ['there', '__proto__', 'constructor'])
      expect((await refusalOf(rig(found('x')).ask({ store }))).reason).toBe('unknown_store');
  });

  it('selects a string member of a JSON object', async () => {
    const { ask } = rig(found('{"user":"u","password":"p","port":1,"nested":{"a":"b"}}'));
    expect((await ask({ field: 'password' })).value.revealText()).toBe('p');
    for (const field of ['port', 'nested', 'none', '__proto__', 'nested.a'])
      expect((await refusalOf(ask({ field }))).reason).toBe('no_field');
  });

  it.each(['not json', '"text"', '[1]', '{"a":"1","a":"2"}', ''])('refuses to select from %j', async (value) => {
    expect((await refusalOf(rig(found(value)).ask({ field: 'a' }))).reason).toBe('not_json');
  });
});
