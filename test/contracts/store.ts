import { describe, expect, it } from 'vitest';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type Store, StoreError, type StoreFault } from '../../src/stores/store.ts';

export interface StoreFixture {
  readonly store: Store;
  /** Puts a value there as an operator would; returns its version. */
  seed(name: string, value: string): Promise<string>;
  /** Makes the store answer so from now on for this name. */
  readonly provoke: Readonly<
    Partial<Record<'denied' | 'disabled' | 'unreachable' | 'slow', (name: string) => Promise<void>>>
  >;
}

export interface StoreTraits {
  readonly writable: boolean;
  /** Why a fault cannot be shown for this store. */
  readonly never: Readonly<Partial<Record<'denied' | 'disabled' | 'unreachable' | 'slow', string>>>;
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
      const { store, seed } = await make();
      const version = await seed('STRIPE', 'not-a-key ü\n');
      const found = await store.get('STRIPE', undefined, soon());
      expect(found.value.revealText()).toBe('not-a-key ü\n');
      expect(found.version).toBe(version);
      expect((await store.get('STRIPE', version, soon())).version).toBe(version);
    });

    it('says absent for an unknown name and for an unknown version', async () => {
      const { store, seed } = await make();
      await seed('STRIPE', 'not-a-key');
      expect(await faultOf(store.get('OTHER', undefined, soon()))).toBe('absent');
      expect(await faultOf(store.get('STRIPE', 'no-such-version', soon()))).toBe('absent');
      expect(await faultOf(store.describe('OTHER', soon()))).toBe('absent');
    });

    it('takes a hostile name for a name', async () => {
      const { store, seed } = await make();
      await seed('STRIPE', 'not-a-key');
      for (const hostile of [
        '',
        '.',
        '..',
        '../key',
        'a/../STRIPE',
        '__proto__',
        'constructor',
        'STRIPE\0',
        'x'.repeat(5_000),
        '\ud800',
      ])
        expect(await faultOf(store.get(hostile, undefined, soon())), JSON.stringify(hostile)).toBe('absent');
      for (const hostile of ['', '..', '../1', '__proto__', '01', '1.0', '0', '-1', ' 1'])
        expect(await faultOf(store.get('STRIPE', hostile, soon())), JSON.stringify(hostile)).toBe('absent');
    });

    it('lists the names in order and describes without the value', async () => {
      const { store, seed } = await make();
      expect(await store.list(soon())).toEqual([]);
      await seed('ZULU', 'not-a-key');
      const version = await seed('ALPHA', 'not-a-key');
      expect(await store.list(soon())).toEqual(['ALPHA', 'ZULU']);
      const description = await store.describe('ALPHA', soon());
      expect(description).toMatchObject({ name: 'ALPHA', version, versions: 1 });
      expect(JSON.stringify(description)).not.toContain('not-a-key');
    });

    it('says slow when the time is already over', async () => {
      const { store, seed } = await make();
      await seed('STRIPE', 'not-a-key');
      expect(await faultOf(store.get('STRIPE', undefined, soon(-1)))).toBe('slow');
    });

    for (const fault of ['denied', 'disabled', 'unreachable', 'slow'] as const) {
      if (traits.never[fault] !== undefined) continue;
      it(`says ${fault}`, async () => {
        const { store, seed, provoke } = await make();
        await seed('STRIPE', 'not-a-key');
        await provoke[fault]?.('STRIPE');
        expect(await faultOf(store.get('STRIPE', undefined, soon(300)))).toBe(fault);
      });
    }

    if (traits.writable) describeWrites(make);
    else {
      it('says read_only to every write', async () => {
        const { store } = await make();
        expect(await faultOf(store.put('STRIPE', new Secret('not-a-key'), soon()))).toBe('read_only');
        expect(await faultOf(store.remove('STRIPE', soon()))).toBe('read_only');
      });
    }
  });
}

function describeWrites(make: () => Promise<StoreFixture>): void {
  it('makes the newest version current and keeps the older ones', async () => {
    const { store } = await make();
    const first = await store.put('STRIPE', new Secret('first'), soon());
    const second = await store.put('STRIPE', new Secret('second'), soon());
    expect(second.version).not.toBe(first.version);
    expect((await store.get('STRIPE', undefined, soon())).value.revealText()).toBe('second');
    expect((await store.get('STRIPE', first.version, soon())).value.revealText()).toBe('first');
    expect(await store.describe('STRIPE', soon())).toMatchObject({ version: second.version, versions: 2 });
  });

  it('loses no version of many written at once', async () => {
    const { store } = await make();
    const values = Array.from({ length: 20 }, (_, i) => `value-${i}`);
    const put = await Promise.all(values.map((value) => store.put('STRIPE', new Secret(value), soon())));
    expect(new Set(put.map(({ version }) => version)).size).toBe(20);
    for (const [i, { version }] of put.entries())
      expect((await store.get('STRIPE', version, soon())).value.revealText()).toBe(values[i]);
  });

  it('removes a secret with all its versions, and says absent the second time', async () => {
    const { store } = await make();
    const { version } = await store.put('STRIPE', new Secret('first'), soon());
    await store.put('STRIPE', new Secret('second'), soon());
    await store.remove('STRIPE', soon());
    expect(await faultOf(store.get('STRIPE', undefined, soon()))).toBe('absent');
    expect(await faultOf(store.get('STRIPE', version, soon()))).toBe('absent');
    expect(await store.list(soon())).toEqual([]);
    expect(await faultOf(store.remove('STRIPE', soon()))).toBe('absent');
  });

  it('says invalid to a name it cannot hold', async () => {
    const { store } = await make();
    for (const hostile of ['', 'x'.repeat(5_000), 'line\nbreak', '\ud800'])
      expect(await faultOf(store.put(hostile, new Secret('not-a-key'), soon()))).toBe('invalid');
  });

  it('holds bytes that are not text', async () => {
    const { store } = await make();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await store.put('BYTES', new Secret(bytes), soon());
    expect([...(await store.get('BYTES', undefined, soon())).value.reveal()]).toEqual([...bytes]);
  });
}
