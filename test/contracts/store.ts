import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type Store, StoreError, type StoreFault } from '../../src/stores/store.ts';

/** The names of the contract, where a store has rules of its own for them. */
export interface StoreNames {
  readonly stripe: string;
  readonly alpha: string;
  readonly zulu: string;
  /** One that is not there. */
  readonly other: string;
}

export interface StoreFixture {
  readonly store: Store;
  /** Default: STRIPE, ALPHA, ZULU, OTHER. */
  readonly names?: StoreNames;
  /** Puts a value there as an operator would; returns its version. */
  seed(name: string, value: string): Promise<string>;
  /** Makes the store answer so from now on for this name. */
  readonly provoke: Readonly<
    Partial<Record<'denied' | 'disabled' | 'unreachable' | 'slow', (name: string) => Promise<void>>>
  >;
}

export interface StoreTraits {
  readonly writable: boolean;
  /** Why it holds text only. */
  readonly textOnly?: string;
  /** Why only the current version can be read. */
  readonly currentOnly?: string;
  /** Why many writers at once are not all kept. */
  readonly oneWriter?: string;
  /** Why it does not tell since when a value is current. */
  readonly undated?: string;
  /** Other names and versions it must take for names: beside those of the contract. */
  readonly hostile?: readonly string[];
  /** Why a fault cannot be shown for this store. */
  readonly never: Readonly<Partial<Record<'denied' | 'disabled' | 'unreachable' | 'slow', string>>>;
}

const usualNames: StoreNames = { stripe: 'STRIPE', alpha: 'ALPHA', zulu: 'ZULU', other: 'OTHER' };

/** The fixture with names: its own, or the usual ones. */
async function named(make: () => Promise<StoreFixture>) {
  const fixture = await make();
  return { ...fixture, names: fixture.names ?? usualNames };
}

export const soon = (ms = 5_000): Deadline => deadlineIn(ms, Date.now);

/** The fault a promise rejects with; anything but a StoreError fails the test. */
export async function faultOf(work: Promise<unknown>): Promise<StoreFault> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw error;
  return error.fault;
}

/** What every store must do, whatever keeps its secrets. `make` gives a fresh, empty store for each test. */
export function describeStore(name: string, traits: StoreTraits, make: () => Promise<StoreFixture>): void {
  describe(`${name} keeps the store contract`, () => {
    it('gives back the value that was put there, byte for byte, with its version', async () => {
      const { store, seed, names } = await named(make);
      const version = await seed(names.stripe, 'not-a-key ü\n');
      const found = await store.get(names.stripe, undefined, soon());
      expect(found.value.revealText()).toBe('not-a-key ü\n');
      expect(found.version).toBe(version);
      expect((await store.get(names.stripe, version, soon())).version).toBe(version);
    });

    it('says absent for an unknown name and for an unknown version', async () => {
      const { store, seed, names } = await named(make);
      await seed(names.stripe, 'not-a-key');
      expect(await faultOf(store.get(names.other, undefined, soon()))).toBe('absent');
      expect(await faultOf(store.get(names.stripe, 'no-such-version', soon()))).toBe('absent');
      expect(await faultOf(store.describe(names.other, soon()))).toBe('absent');
    });

    it('takes a hostile name for a name', async () => {
      const { store, seed, names } = await named(make);
      await seed(names.stripe, 'not-a-key');
      for (const hostile of [
        '',
        '.',
        '..',
        '../key',
        `a/../${names.stripe}`,
        '__proto__',
        'constructor',
        `${names.stripe}\0`,
        ...(traits.hostile ?? []),
        'x'.repeat(5_000),
        '\ud800',
      ])
        expect(await faultOf(store.get(hostile, undefined, soon())), JSON.stringify(hostile)).toBe('absent');
      for (const hostile of ['', '..', '../1', '__proto__', '01', '1.0', '0', '-1', ' 1'])
        expect(await faultOf(store.get(names.stripe, hostile, soon())), JSON.stringify(hostile)).toBe('absent');
    });

    it('lists the names in order and describes without the value', async () => {
      const { store, seed, names } = await named(make);
      expect(await store.list(soon())).toEqual([]);
      await seed(names.zulu, 'not-a-key');
      const version = await seed(names.alpha, 'not-a-key');
      expect(await store.list(soon())).toEqual([names.alpha, names.zulu]);
      const description = await store.describe(names.alpha, soon());
      expect(description).toMatchObject({ name: names.alpha, version, versions: 1 });
      expect(JSON.stringify(description)).not.toContain('not-a-key');
    });

    it('says slow when the time is already over', async () => {
      const { store, seed, names } = await named(make);
      await seed(names.stripe, 'not-a-key');
      expect(await faultOf(store.get(names.stripe, undefined, soon(-1)))).toBe('slow');
    });

    for (const fault of ['denied', 'disabled', 'unreachable', 'slow'] as const) {
      if (traits.never[fault] !== undefined) continue;
      it(`says ${fault}`, async () => {
        const { store, seed, provoke, names } = await named(make);
        await seed(names.stripe, 'not-a-key');
        await provoke[fault]?.(names.stripe);
        expect(await faultOf(store.get(names.stripe, undefined, soon(300)))).toBe(fault);
      });
    }

    if (traits.writable) describeWrites(traits, make);
    else {
      it('says read_only to every write', async () => {
        const { store, names } = await named(make);
        expect(await faultOf(store.put(names.stripe, new Secret('not-a-key'), soon()))).toBe('read_only');
        expect(await faultOf(store.remove(names.stripe, soon()))).toBe('read_only');
      });
    }
  });
}

function describeWrites(traits: StoreTraits, make: () => Promise<StoreFixture>): void {
  it('makes the newest version current and keeps the older ones', async () => {
    const { store, names } = await named(make);
    const first = await store.put(names.stripe, new Secret('first'), soon());
    const second = await store.put(names.stripe, new Secret('second'), soon());
    expect(second.version).not.toBe(first.version);
    expect((await store.get(names.stripe, undefined, soon())).value.revealText()).toBe('second');
    if (traits.currentOnly === undefined)
      expect((await store.get(names.stripe, first.version, soon())).value.revealText()).toBe('first');
    else expect(await faultOf(store.get(names.stripe, first.version, soon()))).toBe('absent');
    const versions = traits.currentOnly === undefined ? 2 : 1;
    expect(await store.describe(names.stripe, soon())).toMatchObject({ version: second.version, versions });
  });

  it.skipIf(traits.undated !== undefined)('tells since when the current value is stored, not the secret', async () => {
    const { store, names } = await named(make);
    await store.put(names.stripe, new Secret('one'), soon());
    // Some count whole seconds.
    await sleep(1_100);
    const before = Math.floor(Date.now() / 1000) * 1000;
    await store.put(names.stripe, new Secret('two'), soon());
    const { createdAt = '' } = await store.describe(names.stripe, soon());
    expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(createdAt)).toBeLessThanOrEqual(Date.now());
  });

  it.skipIf(traits.oneWriter !== undefined || traits.currentOnly !== undefined)(
    'loses no version of many written at once',
    async () => {
      const { store, names } = await named(make);
      const values = Array.from({ length: 20 }, (_, i) => `value-${i}`);
      const put = await Promise.all(values.map((value) => store.put(names.stripe, new Secret(value), soon())));
      expect(new Set(put.map(({ version }) => version)).size).toBe(20);
      for (const [i, { version }] of put.entries())
        expect((await store.get(names.stripe, version, soon())).value.revealText()).toBe(values[i]);
    },
  );

  it('removes a secret with all its versions, and says absent the second time', async () => {
    const { store, names } = await named(make);
    const { version } = await store.put(names.stripe, new Secret('first'), soon());
    await store.put(names.stripe, new Secret('second'), soon());
    await store.remove(names.stripe, soon());
    expect(await faultOf(store.get(names.stripe, undefined, soon()))).toBe('absent');
    expect(await faultOf(store.get(names.stripe, version, soon()))).toBe('absent');
    expect(await store.list(soon())).toEqual([]);
    expect(await faultOf(store.remove(names.stripe, soon()))).toBe('absent');
  });

  it('says invalid to a name it cannot hold', async () => {
    const { store } = await named(make);
    for (const hostile of ['', 'x'.repeat(5_000), 'line\nbreak', '\ud800'])
      expect(await faultOf(store.put(hostile, new Secret('not-a-key'), soon()))).toBe('invalid');
  });

  it.skipIf(traits.textOnly !== undefined)('holds bytes that are not text', async () => {
    const { store, names } = await named(make);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await store.put(names.alpha, new Secret(bytes), soon());
    expect([...(await store.get(names.alpha, undefined, soon())).value.reveal()]).toEqual([...bytes]);
  });

  it.runIf(traits.textOnly !== undefined)('says invalid to bytes that are not text', async () => {
    const { store, names } = await named(make);
    expect(await faultOf(store.put(names.alpha, new Secret(Uint8Array.of(0xff, 0xfe)), soon()))).toBe('invalid');
  });
}
