import { describe, expect, it } from 'vitest';
import { adviceFor } from '../../src/cli/store/advice.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { guardStore } from '../../src/stores/guard.ts';
import { type Store, StoreError, type StoreFault } from '../../src/stores/store.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';

/** A store in memory that fails the way clouds do. */
async function makeScripted() {
  const values = new Map<string, Secret[]>();
  const stored = new Map<string, string>();
  const failing = new Map<string, () => Promise<never>>();
  const held = (name: string): Secret[] => {
    const versions = values.get(name);
    if (versions === undefined) throw new StoreError('absent');
    return versions;
  };
  const store: Store = {
    async get(name, version) {
      await failing.get(name)?.();
      const versions = held(name);
      const at = version ?? String(versions.length);
      const value = /^[1-9]\d*$/.test(at) ? versions[Number(at) - 1] : undefined;
      if (value === undefined) throw new StoreError('absent');
      return { value, version: at };
    },
    async describe(name) {
      const { length } = held(name);
      return { name, version: String(length), versions: length, createdAt: stored.get(name) as string };
    },
    list: async () => [...values.keys()].sort(),
    async put(name, value) {
      if (!/^[\x20-\x7e]{1,256}$/.test(name)) throw new StoreError('invalid');
      values.set(name, [...(values.get(name) ?? []), value]);
      stored.set(name, new Date().toISOString());
      return { version: String(held(name).length) };
    },
    async remove(name) {
      if (!values.delete(name)) throw new StoreError('absent');
    },
  };
  const fail = (work: () => Promise<never>) => async (name: string) => void failing.set(name, work);
  return {
    store: guardStore(store),
    seed: async (name: string, value: string) => (await store.put(name, new Secret(value), soon())).version,
    provoke: {
      denied: fail(async () => {
        throw Object.assign(new Error('canary'), { code: 'EACCES' });
      }),
      disabled: fail(async () => {
        throw new StoreError('disabled');
      }),
      unreachable: fail(async () => {
        throw new SyntaxError('canary');
      }),
      slow: fail(() => new Promise(() => {})),
    },
  };
}

describeStore('a guarded store', { writable: true, never: {} }, makeScripted);

describe('guardStore', () => {
  it.each([
    [
      'denied',
      'mint_not_allowed',
      'denied',
      77,
      /^the ledger refused \(step assertion, mint_not_allowed\)$/,
      /in mint$/,
    ],
    [
      'ledger_unavailable',
      'timeout',
      'unreachable',
      69,
      /^the ledger gave no usable answer/,
      /could not record and sign/,
    ],
  ] as const)(
    'says that the assertion failed where the ledger answers %s',
    async (code, reason, fault, exit, problem, hint) => {
      const refuse = () => Promise.reject(new Refusal(code, reason));
      const { store } = await makeScripted();
      const error = await guardStore({ ...store, list: refuse })
        .list(soon())
        .catch((caught) => caught);
      if (!(error instanceof StoreError)) throw error;
      expect(error).toMatchObject({ fault, facts: { step: 'assertion' } });
      expect(adviceFor(error, 'bao')).toEqual({
        code: exit,
        problem: expect.stringMatching(problem),
        hint: expect.stringMatching(hint),
      });
    },
  );

  it('says nothing of what went wrong inside', async () => {
    const { store, seed, provoke } = await makeScripted();
    await seed('A', 'not-a-key');
    await provoke.denied('A');
    const error = await store.get('A', undefined, soon()).catch((thrown: unknown) => thrown);
    expect(String(error)).toBe('StoreError: denied');
  });

  it('guards each of the five verbs', async () => {
    const broken = new Proxy({} as Store, { get: () => async () => Promise.reject(new Error('canary')) });
    const store = guardStore(broken);
    const calls = [
      store.get('A', undefined, soon()),
      store.describe('A', soon()),
      store.list(soon()),
      store.put('A', new Secret('x'), soon()),
      store.remove('A', soon()),
    ];
    expect(await Promise.all(calls.map(faultOf))).toEqual(Array(5).fill('unreachable'));
  });
});

it('says what else may answer or cut at a URL, which key is meant, and to compare only where somebody answered', () => {
  const adviceOf = (fault: StoreFault, facts: StoreError['facts']) =>
    adviceFor(new StoreError(fault, { step: 'login', ...facts }), 'hub', 'https://hub.example:8200');
  for (const reason of ['not_json', 'not_understood'])
    expect(adviceOf('unreachable', { reason }).hint).toContain('something else answers');
  expect(adviceOf('unreachable', { reason: 'connection_reset' }).hint).toContain('cut the connection');
  for (const reason of ['timeout', 'connect_timeout']) expect(adviceOf('slow', { reason }).hint).toContain('in time');
  expect(adviceOf('slow', {})).toEqual({
    code: 69,
    problem: 'the login did not answer in time (step login, https://hub.example:8200)',
    hint: expect.stringContaining('limits.store'),
  });
  const refused = { reason: 'login_refused', status: 400 };
  expect(adviceOf('denied', { ...refused, code: 'wrong_signature' }).hint).toContain('published at the issuer');
  expect(adviceOf('denied', refused).hint).toContain('hallpass federation show hub');
  expect(adviceOf('denied', {}).hint).toBeUndefined();
});

it('says to look at the clock where a login was over as it began, and at the file where a certificate is missing', () => {
  const hintOf = (reason: string) => adviceFor(new StoreError('unreachable', { step: 'login', reason }), 'hub').hint;
  expect(hintOf('session_over')).toContain('clock');
  expect(hintOf('no_ca')).toContain('file');
});
