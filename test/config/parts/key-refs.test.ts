import { describe, expect, it } from 'vitest';
import { readFor, UnreadKey } from '../../../src/config/parts/key-refs.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { soon } from '../../keys/fixtures.ts';

const stores = { vars: { kind: 'env', prefix: 'P_' }, disk: { kind: 'local', path: './secrets' } };

const failed = (error: Error, ref: { store: string; name: string; version?: string }) =>
  readFor('ledger.seed', () => Promise.reject(error), stores)(ref, soon()).catch((thrown: unknown) => thrown);

describe('a key of the start that cannot be read', () => {
  it.each([
    ['absent', { store: 'disk', name: 'SEED' }, 'the store disk has no secret SEED'],
    ['absent', { store: 'disk', name: 'SEED', version: '3' }, 'the store disk has no secret SEED of version 3'],
    [
      'absent',
      { store: 'vars', name: 'SEED' },
      'the store vars has no secret SEED (an env store reads it from P_SEED)',
    ],
    ['denied', { store: 'disk', name: 'SEED' }, 'the secret SEED in the store disk: the store refused'],
    ['unreachable', { store: 'disk', name: 'SEED' }, 'the secret SEED in the store disk: no usable answer'],
  ])('is told with what it is for and where it was looked for: %s', async (reason, ref, message) => {
    const refusal = new Refusal('store_failed', reason);
    const error = await failed(refusal, ref);
    expect(error).toBeInstanceOf(UnreadKey);
    expect(error).toMatchObject({ message: `ledger.seed: ${message}`, cause: refusal });
  });

  it('leaves an error of another kind as it is', async () => {
    const error = new TypeError('broken');
    expect(await failed(error, { store: 'disk', name: 'SEED' })).toBe(error);
  });
});
