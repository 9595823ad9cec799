import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deriveCheckpointSeed, deriveSecrets, deriveWorkloadsKey, fingerprint } from '../../src/keys/derive.ts';
import { Secret } from '../../src/lib/secret.ts';

/** HKDF-SHA256 with an empty salt, written out from RFC 5869 with nothing but HMAC. */
function hkdf(input: Uint8Array, info: string, length: number): Buffer {
  const prk = createHmac('sha256', Buffer.alloc(32)).update(input).digest();
  let block = Buffer.alloc(0);
  let out = Buffer.alloc(0);
  for (let n = 1; out.length < length; n++) {
    block = createHmac('sha256', prk)
      .update(block)
      .update(info)
      .update(Buffer.from([n]))
      .digest();
    out = Buffer.concat([out, block]);
  }
  return out.subarray(0, length);
}

const input = Buffer.alloc(32, 7);
const n = 2n ** 256n - 2n ** 224n + 2n ** 192n - 0x4319055258e8617b0c46353d039cdaafn;

describe('derived keys', () => {
  it('make the workloads key from 48 bytes mod (n - 1) + 1', () => {
    for (let i = 0; i < 20; i++) {
      const from = Buffer.alloc(32, i);
      const d = (BigInt(`0x${hkdf(from, 'hallpass/workloads/v1', 48).toString('hex')}`) % (n - 1n)) + 1n;
      const key = deriveWorkloadsKey(from);
      expect(BigInt(`0x${Buffer.from(key.input).toString('hex')}`)).toBe(d);
      expect(key.input.length).toBe(32);
      expect(key.alg).toBe('ES256');
    }
  });

  it('make the checkpoint seed and the three secrets under infos of their own', () => {
    expect(Buffer.from(deriveCheckpointSeed(input))).toEqual(hkdf(input, 'hallpass/ledger/v1', 32));
    const secrets = deriveSecrets(input);
    expect(Buffer.from(secrets.fingerprint.key)).toEqual(hkdf(input, 'hallpass/fingerprint/v1', 32));
    expect(Buffer.from(secrets.handle)).toEqual(hkdf(input, 'hallpass/handle/v1', 32));
    expect(Buffer.from(secrets.identity)).toEqual(hkdf(input, 'hallpass/identity/v1', 32));
    const digest = createHash('sha256').update(secrets.fingerprint.key).digest();
    expect(secrets.fingerprint.id).toBe(digest.subarray(0, 8).toString('base64url'));
  });

  it('fingerprint the UTF-8 bytes of a value', () => {
    const { fingerprint: key } = deriveSecrets(input);
    const mac = createHmac('sha256', hkdf(input, 'hallpass/fingerprint/v1', 32))
      .update('not-a-key ü', 'utf8')
      .digest('base64url');
    expect(fingerprint(key, new Secret('not-a-key ü'))).toBe(`hmac-sha256:${mac}`);
  });
});
