import { describe, expect, it } from 'vitest';
import type { ReadCredential } from '../../src/credentials/kind.ts';
import { depsFor, describeKind, faultsOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';

const entry = { kind: 'secret', store: 'vars', name: 'STRIPE' };

describeKind('secret', { members: ['value', 'version'], fingerprinted: 'value' }, async () => ({
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
