import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import type { SigningAlgorithm } from '../../src/keys/keys.ts';
import type { Kms, KmsVersion } from '../../src/keys/kms.ts';
import type { Deadline } from '../../src/lib/deadline.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { UpstreamError, type UpstreamFault } from '../../src/lib/upstream.ts';
import { takeRsaPair } from '../support/rsa.ts';

export interface MemoryKms extends Kms {
  /** How often each method was asked, refused calls too. */
  readonly calls: Record<'versions' | 'sign' | 'encrypt' | 'decrypt' | 'rotate', number>;
  /** From now on every call fails so; undefined: well again. `slow` never answers before the deadline. */
  fault: UpstreamFault | undefined;
  /** Takes a version out of service, as an operator would. */
  disable(id: string): void;
}

/** A KMS that lives in this process. */
export function memoryKms(alg: SigningAlgorithm = 'ES256'): MemoryKms {
  const privates = new Map<string, KeyObject>();
  const wrapping = randomBytes(32);
  let versions: KmsVersion[] = [];
  let made = 0;

  function makeVersion(): void {
    const { privateKey } = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : takeRsaPair();
    const id = `${++made}`;
    privates.set(id, privateKey);
    const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JsonObject;
    versions = [{ id, alg, publicJwk }, ...versions];
  }

  async function asked(step: keyof MemoryKms['calls'], deadline: Deadline): Promise<void> {
    kms.calls[step]++;
    if (kms.fault === 'slow') await new Promise((resolve) => setTimeout(resolve, deadline.left()));
    if (deadline.left() <= 0) throw new UpstreamError('slow', { step });
    if (kms.fault !== undefined) throw new UpstreamError(kms.fault, { step, code: 'MemoryFault' });
  }

  const kms: MemoryKms = {
    calls: { versions: 0, sign: 0, encrypt: 0, decrypt: 0, rotate: 0 },
    fault: undefined,
    disable(id) {
      versions = versions.filter((version) => version.id !== id);
    },
    async versions(deadline) {
      await asked('versions', deadline);
      return versions.slice(0, 4);
    },
    async sign({ id }, data, deadline) {
      await asked('sign', deadline);
      const key = privates.get(id);
      if (key === undefined || !versions.some((version) => version.id === id))
        throw new UpstreamError('disabled', { step: 'sign' });
      return sign('sha256', data, alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key);
    },
    async encrypt(plain, deadline) {
      await asked('encrypt', deadline);
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', wrapping, nonce);
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    async decrypt(sealed, deadline) {
      await asked('decrypt', deadline);
      try {
        const decipher = createDecipheriv('aes-256-gcm', wrapping, sealed.subarray(0, 12));
        decipher.setAuthTag(sealed.subarray(-16));
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      } catch (cause) {
        throw new UpstreamError('invalid', { step: 'decrypt', cause });
      }
    },
    async rotate(deadline) {
      await asked('rotate', deadline);
      makeVersion();
    },
  };
  makeVersion();
  return kms;
}
