import { describe, expect, it } from 'vitest';
import type { ReadCredential } from '../../src/credentials/kind.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { depsFor, describeKind, faultsOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';

const entry = { kind: 'secret', store: 'vars', name: 'STRIPE' };

describeKind('secret', { members: ['value', 'version'], fingerprinted: 'value', alike: true }, async () => ({
  entry,
  deps: depsFor({ STRIPE: 'not-a-key' }),
}));

const read = async (value: string | Uint8Array, more = {}) =>
  ((await openKind({ ...entry, ...more }, depsFor({ STRIPE: value }))) as ReadCredential).read(requestFor());

describe('secret', () => {
  it('says which store and version it read', async () => {
    expect(await read('not-a-key')).toMatchObject({
      store: 'vars',
      version: '3',
      data: { value: 'not-a-key', version: '3' },
    });
  });

  it('gives the members of a stored JSON object beside the text as it was stored', async () => {
    const text = ' {"user":"u","port":5432,"nested":{"a":null}}\n';
    const { data, fingerprinted } = await read(text);
    expect(data).toEqual({ value: text, version: '3', fields: { user: 'u', port: 5432, nested: { a: null } } });
    expect(fingerprinted?.revealText()).toBe(text);
  });

  it.each(['[1]', '"text"', '12', '{', '{"a":1,"a":2}', '{not json}', '', '\ufeff{}'])(
    'gives no members for %j',
    async (text) => {
      expect((await read(text)).data).toEqual({ value: text, version: '3' });
    },
  );

  it('refuses a value that is not text', async () => {
    const refusal = await refusalOf(read(new Uint8Array([0xff, 0x00])));
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'not_text']);
  });

  it('passes on that the store failed', async () => {
    const credential = (await openKind(entry, depsFor())) as ReadCredential;
    expect((await refusalOf(credential.read(requestFor()))).code).toBe('store_failed');
  });

  it('reads the version and field it is told to', async () => {
    const asked: unknown[] = [];
    const { read: readValue, ...rest } = depsFor({ STRIPE: 'x' });
    const spying: typeof readValue = (ref, deadline) => {
      asked.push(ref);
      return readValue(ref, deadline);
    };
    const told = { ...entry, version: '2', field: 'key' };
    await ((await openKind(told, { ...rest, read: spying })) as ReadCredential).read(requestFor());
    expect(asked).toEqual([{ store: 'vars', name: 'STRIPE', version: '2', field: 'key' }]);
  });

  it.each([{ store: '' }, { name: 1 }, { version: 2 }, { field: '' }])('refuses %j in its config', (more) => {
    expect(faultsOf({ ...entry, ...more })).not.toEqual([]);
  });
});

describe('a secret with replicas', () => {
  const replicas = [
    { store: 'second', name: 'STRIPE' },
    { store: 'third', name: 'STRIPE' },
  ];
  type Answer = string | { readonly value: string; readonly version: string };

  /** Stores by name: an answer of version 3, one of its own version, or the reason of a refusal (`!unreachable`). */
  async function rig(answers: Record<string, Answer>, more: object = {}) {
    const asked: string[] = [];
    const deps = {
      ...depsFor(),
      async read({ store }: { store: string }) {
        asked.push(store);
        const answer = answers[store] ?? '!absent';
        if (typeof answer !== 'string') return { value: new Secret(answer.value), version: answer.version, store };
        if (answer.startsWith('!')) throw new Refusal('store_failed', answer.slice(1));
        return { value: new Secret(answer), version: '3', store };
      },
    };
    const credential = (await openKind({ ...entry, replicas, ...more }, deps)) as ReadCredential;
    return { answers, asked, read: () => credential.read(requestFor()) };
  }

  it('is read from the first, and nowhere else while that answers', async () => {
    const { read, asked } = await rig({ vars: 'not-a-key', second: 'other' });
    expect(await read()).toMatchObject({ store: 'vars', data: { value: 'not-a-key' } });
    expect(asked).toEqual(['vars']);
  });

  it.each(['unreachable', 'slow', 'throttled'])(
    'is read from the next of the same version when the first is %s, and says which store served it',
    async (reason) => {
      const { read, answers } = await rig({ vars: 'not-a-key', second: '!unreachable', third: 'not-a-key' });
      await read();
      answers.vars = `!${reason}`;
      expect(await read()).toMatchObject({ store: 'third', version: '3', data: { value: 'not-a-key' } });
    },
  );

  it.each(['absent', 'denied', 'disabled', 'damaged', 'no_field'])(
    'is refused when the first says %s: a replica does not overrule it',
    async (reason) => {
      const { read, asked } = await rig({ vars: `!${reason}`, second: 'not-a-key' }, { stale: 'allow' });
      expect((await refusalOf(read())).reason).toBe(reason);
      expect(asked).toEqual(['vars']);
    },
  );

  it('is refused, as the first was, when the replica has another version or the first was never read', async () => {
    const old = { value: 'old', version: '2' };
    const { read, answers } = await rig({ vars: 'not-a-key', second: old, third: old });
    await read();
    answers.vars = '!unreachable';
    expect((await refusalOf(read())).reason).toBe('unreachable');
    const fresh = await rig({ vars: '!slow', second: 'not-a-key' });
    expect((await refusalOf(fresh.read())).reason).toBe('slow');
  });

  it('knows a version that was asked for by an alias or stage by what the first said it is', async () => {
    const { read, answers } = await rig({ vars: 'not-a-key', second: 'not-a-key' }, { version: 'AWSCURRENT' });
    await read();
    answers.vars = '!unreachable';
    expect(await read()).toMatchObject({ store: 'second', version: '3' });
    const fresh = await rig({ vars: '!unreachable', second: 'not-a-key' }, { version: 'AWSCURRENT' });
    expect((await refusalOf(fresh.read())).reason).toBe('unreachable');
  });

  it('takes another version where the operator said so, or pinned both', async () => {
    const old = { value: 'old', version: '2' };
    const stale = await rig({ vars: '!unreachable', second: old }, { stale: 'allow' });
    expect(await stale.read()).toMatchObject({ store: 'second', version: '2' });
    const pinned = [{ store: 'second', name: 'STRIPE', version: '2' }];
    const both = await rig({ vars: '!unreachable', second: old }, { version: '3', replicas: pinned });
    expect(await both.read()).toMatchObject({ store: 'second', version: '2' });
    const one = await rig({ vars: '!unreachable', second: old }, { replicas: pinned });
    expect((await refusalOf(one.read())).reason).toBe('unreachable');
  });

  it('is a fault of the config when a replica is the secret itself, or nothing can be stale', () => {
    expect(faultsOf({ ...entry, replicas: [{ store: 'vars', name: 'STRIPE' }] })).toEqual([
      'replicas.0: this secret of this store is listed already',
    ]);
    expect(faultsOf({ ...entry, stale: 'allow' })).toEqual([
      'stale: stale says what a replica may give, and there is none',
    ]);
  });
});
