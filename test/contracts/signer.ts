import { calculateJwkThumbprint, compactVerify, importJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { signJwt } from '../../src/keys/jwt.ts';
import type { SignerKey } from '../../src/keys/signer.ts';

/** What every signer must do, wherever its keys are. `open` gives the keys of one config entry, the same ones each time. */
export function describeSigner(name: string, form: string, open: () => Promise<readonly SignerKey[]>): void {
  const claims = { iss: 'https://pass.example.com', iat: 1, nbf: 1, exp: 2, jti: 'x' };

  describe(`${name} (${form}) keeps the signer contract`, () => {
    it('has at least one key, and the same ones each time it is opened', async () => {
      const [first, again] = [await open(), await open()];
      expect(first.length).toBeGreaterThan(0);
      expect(again.map(({ publicJwk }) => publicJwk)).toEqual(first.map(({ publicJwk }) => publicJwk));
    });

    it('signs what another library verifies with the published key, and with no other algorithm', async () => {
      for (const key of await open()) {
        const token = await signJwt(key, claims);
        const published = await importJWK(key.publicJwk as JWK, key.alg);
        const { protectedHeader, payload } = await compactVerify(token, published, { algorithms: [key.alg] });
        expect(protectedHeader).toEqual({ alg: key.alg, kid: key.kid, typ: 'JWT' });
        expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(claims);
      }
    });

    it('publishes each key for signing, by its thumbprint, and nothing private', async () => {
      for (const { kid, alg, publicJwk } of await open()) {
        expect(publicJwk).toMatchObject({ kid, alg, use: 'sig' });
        expect(kid).toBe(await calculateJwkThumbprint(publicJwk as JWK, 'sha256'));
        for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
          expect(publicJwk).not.toHaveProperty(member);
      }
    });

    it('signs many at once', async () => {
      for (const key of await open()) {
        const tokens = await Promise.all(
          Array.from({ length: 8 }, (_, at) => signJwt(key, { ...claims, jti: `${at}` })),
        );
        expect(new Set(tokens).size).toBe(8);
      }
    });
  });
}
