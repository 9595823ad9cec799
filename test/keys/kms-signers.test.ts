import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { openDirect } from '../../src/keys/direct.ts';
import { signers } from '../../src/keys/index.ts';
import type { Kms } from '../../src/keys/kms.ts';
import type { SignerDeps } from '../../src/keys/signer.ts';
import { pick } from '../../src/lib/catalog.ts';
import { describeSigner } from '../contracts/signer.ts';
import { depsWith, soon } from './fixtures.ts';
import { type MemoryKms, memoryKms } from './memory-kms.ts';

const kms = vi.hoisted(() => ({ now: undefined as MemoryKms | undefined }));
const open = () => kms.now as MemoryKms;
vi.mock('../../src/keys/aws-kms/kms.ts', () => ({ open }));
vi.mock('../../src/keys/azure-key-vault-keys/kms.ts', () => ({ open }));
vi.mock('../../src/keys/google-kms/kms.ts', () => ({ open }));
vi.mock('../../src/keys/vault-transit/kms.ts', () => ({ open }));

const folder = mkdtempSync(join(tmpdir(), 'hallpass-kms-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const signer = async (entry: { kind: string; key: string; wrapped?: object }, deps: Partial<SignerDeps> = {}) =>
  (await pick(signers, entry.kind).load()).open(entry, depsWith({}, { folder, ...deps }));
const keysBy = (own: MemoryKms, entry: { kind: string; wrapped?: object }) => async () => {
  kms.now = own;
  return (await signer({ key: 'hallpass', ...entry })).keys(soon());
};

describeSigner('aws-kms', 'direct, ES256', keysBy(memoryKms(), { kind: 'aws-kms' }));
describeSigner('aws-kms', 'direct, RS256', keysBy(memoryKms('RS256'), { kind: 'aws-kms' }));
describeSigner('aws-kms', 'wrapped', keysBy(memoryKms(), { kind: 'aws-kms', wrapped: { path: 'aws' } }));
describeSigner('azure-key-vault-keys', 'direct', keysBy(memoryKms(), { kind: 'azure-key-vault-keys' }));
describeSigner(
  'azure-key-vault-keys',
  'wrapped',
  keysBy(memoryKms(), { kind: 'azure-key-vault-keys', wrapped: { path: 'azure' } }),
);
describeSigner('google-kms', 'direct', keysBy(memoryKms(), { kind: 'google-kms' }));
describeSigner('google-kms', 'wrapped', keysBy(memoryKms(), { kind: 'google-kms', wrapped: { path: 'google' } }));
describeSigner('vault-transit', 'direct', keysBy(memoryKms(), { kind: 'vault-transit' }));
describeSigner('vault-transit', 'wrapped', keysBy(memoryKms(), { kind: 'vault-transit', wrapped: { path: 'vault' } }));

describe('a direct signer', () => {
  it('waits for a version that the KMS makes only after it has answered', async () => {
    const own = memoryKms();
    const { versions, rotate } = own;
    let hidden = 0;
    const late: Kms = {
      ...own,
      versions: async (deadline) => (await versions(deadline)).slice(hidden-- > 0 ? 1 : 0),
      async rotate(deadline) {
        await rotate?.(deadline);
        hidden = 1;
      },
    };
    const direct = openDirect(late, { now: Date.now });
    const [old] = await direct.keys(soon());
    await direct.rotate?.(soon());
    expect((await direct.keys(soon())).map(({ kid }) => kid).slice(1)).toEqual([old?.kid]);
  });

  it('asks how its versions stand once in five minutes, however often it is asked', async () => {
    const own = memoryKms();
    kms.now = own;
    let now = Date.now();
    const direct = await signer({ kind: 'aws-kms', key: 'k' }, { now: () => now });
    for (let n = 0; n < 100; n++) await direct.keys(soon());
    expect(own.calls.versions).toBe(1);
    now += 300_000;
    await direct.keys(soon());
    expect(own.calls.versions).toBe(2);
  });

  it('shows a new version at once after making it, the old one the same object as before', async () => {
    const own = memoryKms();
    kms.now = own;
    const direct = await signer({ kind: 'google-kms', key: 'k' });
    const [old] = await direct.keys(soon());
    await direct.rotate?.(soon());
    const keys = await direct.keys(soon());
    expect(keys).toHaveLength(2);
    expect(keys[1]).toBe(old);
  });

  it.each([
    ['denied', 'kms_denied'],
    ['unreachable', 'kms_unreachable'],
    ['throttled', 'kms_throttled'],
    ['slow', 'kms_slow'],
  ] as const)('turns %s into a refusal of the ledger, and tells the operator alone why', async (fault, reason) => {
    const own = memoryKms();
    kms.now = own;
    const [key] = await (await signer({ kind: 'aws-kms', key: 'k' })).keys(soon());
    own.fault = fault;
    const refused = key?.sign(new Uint8Array(8), { ...soon(), left: () => 50 });
    await expect(refused).rejects.toMatchObject({ name: 'Refusal', code: 'ledger_unavailable', reason });
    const error = await refused?.catch((thrown) => thrown);
    expect(error.options.detail).toBeUndefined();
    if (fault !== 'slow') expect(error.options.facts).toMatchObject({ step: 'sign', error: 'MemoryFault' });
  });

  it('has nothing to derive other keys from', async () => {
    kms.now = memoryKms();
    const [key] = await (await signer({ kind: 'aws-kms', key: 'k' })).keys(soon());
    expect(key?.input).toBeUndefined();
  });

  it('says so when no version may sign', async () => {
    const own = memoryKms();
    kms.now = own;
    own.disable('1');
    await expect((await signer({ kind: 'aws-kms', key: 'k' })).keys(soon())).rejects.toThrow('no version');
  });
});
