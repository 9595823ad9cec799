import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { takeRsaPair } from './rsa.ts';

export type Algorithm = 'RS256' | 'ES256' | 'EdDSA';

export interface TestIssuer {
  readonly url: string;
  /** For a config's static `jwks`. */
  readonly jwks: { keys: Record<string, unknown>[] };
  token(claims?: Record<string, unknown>, algorithm?: Algorithm): string;
}

const make: Record<Algorithm, () => { privateKey: KeyObject; publicKey: KeyObject }> = {
  RS256: takeRsaPair,
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An issuer of test tokens with keys made on the spot; nothing of it is fetched. */
export function testIssuer(
  url: string,
  audience: string,
  now: () => number = Date.now,
  // An RSA key takes longer to make than most tests.
  algorithms: readonly Algorithm[] = ['ES256', 'EdDSA'],
): TestIssuer {
  const keys = algorithms.map((alg) => ({ alg, kid: `test-${alg}`, ...make[alg]() }));
  return {
    url,
    jwks: {
      keys: keys.map(({ alg, kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), alg, kid, use: 'sig' })),
    },
    token(claims = {}, algorithm = 'ES256') {
      const key = keys.find((candidate) => candidate.alg === algorithm);
      if (key === undefined) throw new Error(`no ${algorithm} key`);
      const at = Math.floor(now() / 1000);
      const payload = {
        iss: url,
        aud: audience,
        sub: 'svc:checkout',
        iat: at,
        nbf: at,
        exp: at + 600,
        jti: randomBytes(9).toString('hex'),
        ...claims,
      };
      const input = `${encode({ alg: algorithm, kid: key.kid, typ: 'JWT' })}.${encode(payload)}`;
      const digest = algorithm === 'EdDSA' ? null : 'sha256';
      return `${input}.${sign(digest, Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
}

export const sha256Base64Url = (text: string): string => createHash('sha256').update(text).digest('base64url');
