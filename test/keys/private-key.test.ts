import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, importJWK, type JWK, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { signJwt } from '../../src/keys/jwt.ts';
import { parseOwnKey, readPkcs8 } from '../../src/keys/pkcs8.ts';
import { fromScalar, KeyError, newPrivateKey, parsePrivateKey } from '../../src/keys/private-key.ts';
import { ecPem, rsaPem } from './fixtures.ts';

const claims = { iss: 'https://pass.example.com', sub: 'x', iat: 1, nbf: 1, exp: 4_000_000_000, jti: 'a' };
const jwkOf = async (pem: string) => (await exportJWK(createPrivateKey(pem))) as JWK;

describe('a private key', () => {
  it.each([
    ['EC P-256, PKCS#8', async () => ecPem(), 'ES256'],
    ['EC P-256, JWK', async () => JSON.stringify(await jwkOf(ecPem())), 'ES256'],
    ['RSA 2048, PKCS#8', async () => rsaPem(), 'RS256'],
    ['RSA 3072, JWK', async () => JSON.stringify(await jwkOf(rsaPem(3072))), 'RS256'],
    ['one made here', async () => newPrivateKey(), 'ES256'],
  ])('signs what jose verifies: %s', async (_, make, alg) => {
    const key = parsePrivateKey(await make());
    const token = await signJwt(key, claims);
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(key.publicJwk as JWK));
    expect(payload).toEqual(claims);
    expect(protectedHeader).toEqual({ alg, kid: key.kid, typ: 'JWT' });
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk as JWK));
  });

  it('publishes kid, alg and use, and never a private member', async () => {
    for (const pem of [ecPem(), rsaPem()]) {
      const { publicJwk, kid, alg } = parsePrivateKey(pem);
      expect(publicJwk).toMatchObject({ kid, alg, use: 'sig' });
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(publicJwk).not.toHaveProperty(member);
    }
  });

  it('keeps the kid that a JWK gives itself', async () => {
    const jwk = { ...(await jwkOf(ecPem())), kid: 'spring-2026' };
    expect(parsePrivateKey(JSON.stringify(jwk)).kid).toBe('spring-2026');
  });

  it('derives from the fixed-length d, leading zeros kept', () => {
    const d = Buffer.alloc(32);
    d[31] = 5;
    const key = fromScalar(d);
    expect(key.input).toEqual(d);
    const x = createPublicKey({ key: key.publicJwk as never, format: 'jwk' }).export({ format: 'jwk' }).x;
    // 5G on P-256, x coordinate (public domain parameters of the curve).
    expect(Buffer.from(String(x), 'base64url').toString('hex')).toBe(
      '51590b7a515140d2d784c85608668fdfef8c82fd1f5be52421554a0dc3d033ed',
    );
    const pem = createPrivateKey({ key: { ...key.publicJwk, d: d.toString('base64url') } as never, format: 'jwk' });
    expect(parsePrivateKey(pem.export({ type: 'pkcs8', format: 'pem' }) as string).input).toEqual(d);
  });

  it('takes the DER of RSAPrivateKey as the input of RSA, from PEM and JWK alike', async () => {
    const pem = rsaPem();
    const der = createPrivateKey(pem).export({ type: 'pkcs1', format: 'der' });
    expect(Buffer.from(parsePrivateKey(pem).input)).toEqual(der);
    expect(Buffer.from(parsePrivateKey(JSON.stringify(await jwkOf(pem))).input)).toEqual(der);
  });

  it.each([
    ['nothing', ''],
    ['a text', 'canary'],
    [
      'a public key',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }),
    ],
    ['SEC1', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' })],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['P-384', ecPem('P-384')],
    ['secp256k1', ecPem('secp256k1')],
    ['RSA 1024', rsaPem(1024)],
    ['RSA 2040', rsaPem(2040)],
    ['RSA with e = 3', rsaPem(2048, 3)],
    ['broken JSON', '{"kty":"EC"'],
    ['a symmetric JWK', '{"kty":"oct","k":"Y2FuYXJ5"}'],
    ['a PEM of nonsense', '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----'],
  ])('is refused, without a word of it: %s', (_, text) => {
    let error: unknown;
    try {
      parsePrivateKey(String(text));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(KeyError);
    expect(`${(error as Error).stack}${(error as Error).cause}`).not.toContain('canary');
  });

  it('refuses a JWK whose members contradict each other', async () => {
    const jwk = await jwkOf(ecPem());
    const other = await jwkOf(ecPem());
    const refused = (members: JWK) =>
      expect(() => parsePrivateKey(JSON.stringify(members)), JSON.stringify(Object.keys(members))).toThrow(KeyError);
    refused({ ...jwk, x: other.x as string, y: other.y as string });
    refused({ ...jwk, alg: 'RS256' });
    refused({ ...jwk, alg: 'ES384' });
    refused({ ...jwk, use: 'enc' });
    refused({ ...jwk, kid: '' });
    refused({ ...jwk, crv: 'P-384' });
    refused({ ...jwk, d: Buffer.alloc(32).toString('base64url') });
    refused({ ...jwk, d: Buffer.alloc(32, 0xff).toString('base64url') });
    refused({ ...jwk, d: 'AAAA' });
  });

  it('refuses an RSA key with any one number of another', async () => {
    const [jwk, other] = await Promise.all([jwkOf(rsaPem()), jwkOf(rsaPem())]);
    for (const member of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
      const mixed = { ...jwk, [member]: other[member] };
      expect(() => parsePrivateKey(JSON.stringify(mixed)), member).toThrow('the parts of the key do not fit');
      const pem = () =>
        createPrivateKey({ key: JSON.parse(JSON.stringify(mixed)), format: 'jwk' }).export({
          type: 'pkcs8',
          format: 'pem',
        });
      expect(() => parsePrivateKey(String(pem())), member).toThrow('the parts of the key do not fit');
    }
  });
});

describe('a PKCS#8 PEM', () => {
  /** What node:crypto makes of it: the key, or undefined. */
  const known = (pem: string) => {
    try {
      const jwk = createPrivateKey(pem).export({ format: 'jwk' });
      const key = parsePrivateKey(JSON.stringify(jwk));
      return { kid: key.kid, input: Buffer.from(key.input).toString('hex') };
    } catch {
      return undefined;
    }
  };
  const read = (pem: string) => {
    try {
      const { kid, input } = parseOwnKey(pem);
      return { kid, input: Buffer.from(input).toString('hex') };
    } catch (error) {
      expect(error).toBeInstanceOf(KeyError);
      return undefined;
    }
  };
  const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\n/g, ''), 'base64');
  const pemOf = (der: Buffer) =>
    `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;

  it('of a form made here is read without node:crypto, to the same key', () => {
    for (const pem of [ecPem(), ecPem(), rsaPem(), rsaPem(2049), rsaPem(3072)]) {
      expect(readPkcs8(pem.trim())).toBeDefined();
      expect(read(pem)).toEqual(known(pem));
      expect(read(pem)).toBeDefined();
    }
  });

  it('of another form is left to node:crypto', () => {
    const ec = ecPem();
    const without = derOf(ec);
    // The public part is optional (RFC 5915); lengths and the octet string shrink with it.
    const short = Buffer.concat([
      Buffer.from('3041020100301306072a8648ce3d020106082a8648ce3d0301070427302502010104', 'hex'),
      without.subarray(35, 68),
    ]);
    expect(read(pemOf(short))?.input).toBe(read(ec)?.input);
    for (const pem of [pemOf(short), ec.replaceAll('\n', '\r\n'), ecPem('P-384'), pemOf(Buffer.alloc(138))])
      expect(readPkcs8(pem.trim())).toBeUndefined();
    expect(read(ec.replaceAll('\n', '\r\n'))).toEqual(read(ec));
  });

  it('with any byte changed is what node:crypto says it is', () => {
    const changed = (der: Buffer, at: number, by: number) => {
      const other = Buffer.from(der);
      other[at] = (other[at] as number) ^ by;
      return pemOf(other);
    };
    const ec = derOf(ecPem());
    // Within the scalar and the point a change makes parts that do not fit, which for EC have never been told from PEM.
    for (let at = 0; at < ec.length; at++) {
      if ((at >= 36 && at < 68) || at > 73) continue;
      for (const by of [1, 0x80])
        expect(read(changed(ec, at, by)), `EC ${at} ^ ${by}`).toEqual(known(changed(ec, at, by)));
    }
    const rsa = derOf(rsaPem());
    for (let at = 0; at < rsa.length; at += at < 48 ? 1 : 7)
      for (const by of [1, 0x80])
        expect(read(changed(rsa, at, by)), `RSA ${at} ^ ${by}`).toEqual(known(changed(rsa, at, by)));
    expect(read(pemOf(rsa.subarray(0, -1)))).toBeUndefined();
    expect(read(pemOf(Buffer.concat([rsa, Buffer.alloc(1)])))).toEqual(
      known(pemOf(Buffer.concat([rsa, Buffer.alloc(1)]))),
    );
  });

  it('of a P-256 scalar with the point of another is the key of the scalar', () => {
    const [one, other] = [derOf(ecPem()), derOf(ecPem())];
    const mixed = pemOf(Buffer.concat([one.subarray(0, 73), other.subarray(73)]));
    expect(readPkcs8(mixed.trim())).toBeDefined();
    expect(read(mixed)).toEqual(read(pemOf(one)));
  });
});

describe('signJwt', () => {
  it.each(['iat', 'nbf', 'exp', 'jti'])('signs nothing without %s', async (name) => {
    const { [name as 'iat']: _, ...rest } = claims;
    await expect(signJwt(parsePrivateKey(ecPem()), rest)).rejects.toThrow(name);
    await expect(signJwt(parsePrivateKey(ecPem()), { ...rest, [name]: 1.5 })).rejects.toThrow(name);
  });
});
