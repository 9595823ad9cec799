import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/text/problem.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import type { Runtime } from '../../../src/lib/platform.ts';

const ref = (name: string) => ({ store: 'vars', name });
const aws = { kind: 'aws-kms', key: 'alias/hallpass', region: 'eu-west-1' };
const kept = { secret: ref('SECRET'), seed: ref('SEED') };

/** What is wrong with a config of these signers; warnings too. */
async function faults(
  signer: unknown,
  { secret, seed, ...broker }: Record<string, unknown> = kept,
  ledger: Record<string, unknown> = { kind: 'sqlite', path: 'ledger.db' },
  runtime: Runtime = 'node',
): Promise<string[]> {
  const config = {
    broker: { url: 'https://pass.example.com', signer, ...(secret ? { secret } : {}), ...broker },
    ledger: { ...ledger, ...(seed ? { seed } : {}) },
    stores: { vars: { kind: 'env', prefix: 'KEY_' } },
  };
  const where = runtime === 'workerd' ? {} : { folder: '/srv' };
  try {
    const { warnings } = await loadConfig(JSON.stringify(config), { file: 'c', runtime, env: {}, ...where });
    return warnings.map(({ message }) => message).filter((text) => !text.startsWith('there are no '));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

const object = { kind: 'durable-object' };
const elsewhere = {
  kind: 'http',
  url: 'https://ledger.example.com',
  key: noteSigner('ledger.example.com', new Uint8Array(32)).vkey,
};

describe('the config of signers', () => {
  it('takes each KMS, direct and wrapped', async () => {
    const google = { kind: 'google-kms', key: 'projects/acme/locations/global/keyRings/ring/cryptoKeys/hallpass' };
    const azure = { kind: 'azure-key-vault-keys', vault: 'https://hub.vault.azure.net', key: 'hallpass' };
    const vault = { kind: 'vault-transit', address: 'https://bao.example.com', role: 'hallpass', key: 'hallpass' };
    for (const signer of [aws, google, azure, vault]) {
      expect(await faults(signer), signer.kind).toEqual([]);
      for (const wrapped of [{ path: './keys' }, ref('SEALED')])
        expect(await faults({ ...signer, wrapped }, {}), signer.kind).toEqual([]);
      expect(await faults({ ...signer, wrapped: {} }, {}, object, 'workerd'), signer.kind).toEqual([]);
    }
  });

  it('warns of a list whose first key may change while fingerprints hang on it', async () => {
    const list = [
      { kind: 'local', path: './next' },
      { kind: 'local', path: './keys' },
    ];
    expect(await faults(list, { seed: ref('SEED') })).toEqual([expect.stringContaining('without broker.secret')]);
    expect(await faults(list)).toEqual([]);
  });

  it('wants broker.secret and ledger.seed beside a KMS that shows nobody its key, and not where it sealed the keys', async () => {
    expect(await faults(aws, {})).toEqual([
      'beside a signer that keeps its key, broker.secret is required',
      'beside a signer that keeps its key, ledger.seed is required',
    ]);
    expect(await faults([{ kind: 'local', path: './keys' }, aws], {})).toHaveLength(2);
    expect(await faults({ ...aws, wrapped: { path: './keys' } }, {})).toEqual([]);
  });

  it('keeps wrapped keys in a Durable Object only where there is one, and in a folder only where there is one', async () => {
    expect(await faults({ ...aws, wrapped: {} })).toEqual([
      'only a durable-object ledger keeps wrapped keys by itself',
    ]);
    expect(await faults({ ...aws, wrapped: { path: '/keys' } }, {}, object, 'workerd')).toEqual([
      'a folder is there on node and lambda, not on workerd',
    ]);
    expect(await faults({ ...aws, wrapped: { path: './k', store: 'vars', name: 'X' } })).not.toEqual([]);
  });

  it('refuses a REF of a store that is not there, for sealed keys too', async () => {
    expect(await faults({ ...aws, wrapped: { store: 'varz', name: 'X' } })).toEqual(['there is no store "varz"']);
  });

  it('warns where every instance would ask the KMS again and again', async () => {
    const found = await faults(aws, { secret: ref('SECRET') }, elsewhere);
    expect(found.some((text) => text.includes('asks the KMS about twice a minute'))).toBe(true);
  });

  it('takes four signers at most', async () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => ({ kind: 'local', key: ref(`K${n}`) }));
    expect(await faults(many(4))).toEqual([]);
    expect(await faults(many(5))).toEqual(['at most 4 keys sign and are published, in all']);
  });

  it.each([
    ['10m', 'https://pass.example.com', true],
    ['7d', 'https://pass.example.com', true],
    ['9m', 'https://pass.example.com', false],
    ['0s', 'https://pass.example.com', false],
    ['0s', 'http://127.0.0.1:8787', true],
    ['30s', 'http://localhost:8787', true],
    ['8d', 'https://pass.example.com', false],
    ['soon', 'http://localhost:8787', false],
  ])('announce: %s for %s is fine: %s', async (announce, url, fine) => {
    const found = await faults({ kind: 'local', path: './keys' }, { announce, url });
    expect(found.every((text) => text.startsWith('http is for'))).toBe(fine);
  });
});
