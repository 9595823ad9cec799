import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { SigningKey } from '../../src/keys/keys.ts';
import type { LiveRing } from '../../src/keys/live-ring.ts';
import type { ObjectKeys, SignerDeps } from '../../src/keys/signer.ts';
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
  now: Date.now,
  env: {},
  fetch: () => Promise.reject(new Error('no network in this test')),
  ...more,
});

/** A Durable Object's keys: the one given for ES256, and whatever is sealed. */
export function objectWith(pem: string): ObjectKeys {
  let sealed: string | undefined;
  return {
    made: async (alg) => (alg === 'ES256' ? pem : rsaPem()),
    sealed: () => sealed,
    async keep(text) {
      sealed = text;
    },
  };
}

/** A ring whose keys stay as they are. */
export const steadyRing = (key: SigningKey, workloads: SigningKey): LiveRing => ({
  assertions: [key],
  published: [key.publicJwk],
  workloads,
  checkpointSeed: randomBytes(32),
  unrecorded: [{ kid: key.kid, jwk: key.publicJwk }],
  follow: async () => {},
  refresh: async () => {},
  renew: async () => {},
});
