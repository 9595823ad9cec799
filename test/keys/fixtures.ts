import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { SignerDeps } from '../../src/keys/signer.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';

const privateKeyEncoding = { type: 'pkcs8', format: 'pem' } as const;
const publicKeyEncoding = { type: 'spki', format: 'pem' } as const;

export const ecPem = (namedCurve = 'P-256'): string =>
  generateKeyPairSync('ec', { namedCurve, privateKeyEncoding, publicKeyEncoding }).privateKey;
export const rsaPem = (modulusLength = 2048, publicExponent = 65537): string =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent, privateKeyEncoding, publicKeyEncoding }).privateKey;

export const soon = (): Deadline => deadlineIn(5_000, Date.now);

/** Signer deps whose REFs read from the given values. */
export const depsWith = (
  values: Record<string, string | Uint8Array> = {},
  more: Partial<SignerDeps> = {},
): SignerDeps => ({
  async read({ name, store }) {
    const value = values[name];
    if (value === undefined) throw new Refusal('store_failed', 'absent');
    return { value: new Secret(value), version: '1', store };
  },
  random: (bytes) => randomBytes(bytes),
  ...more,
});
