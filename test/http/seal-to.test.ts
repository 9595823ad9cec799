import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { bearer, fakeApp } from './fake-deployment.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = publicKey.export({ format: 'jwk' });

function issue(sealTo: unknown) {
  const fake = fakeApp();
  const headers = { ...bearer('workload'), 'content-type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify({ sealTo }) };
  return { fake, answer: Promise.resolve(fake.app.request('/v1/credentials/orders-db', init)) };
}

describe('the member sealTo', () => {
  it.each([
    ['a bare key', {}],
    ['a key with an id, of which nothing is made', { kid: 'mine' }],
    ['a key that says what it is for', { use: 'enc', alg: 'ECDH-ES+A256KW' }],
  ])('is %s', async (_, more) => {
    const { fake, answer } = issue({ ...key, ...more });
    expect((await answer).status).toBe(200);
    expect(fake.seen.issues[0]?.got).toEqual({
      sealTo: { jwk: key, thumbprint: await calculateJwkThumbprint(key as never) },
    });
  });

  it.each([
    ['private', privateKey.export({ format: 'jwk' })],
    ['for signing', { ...key, use: 'sig' }],
    ['for another algorithm', { ...key, alg: 'ECDH-ES' }],
    ['of another curve', { ...key, crv: 'P-384' }],
    ['of another type', generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })],
    ['an RSA key', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })],
    ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
    ['not on its curve', { ...key, y: key.x }],
    ['without a coordinate', { kty: 'EC', crv: 'P-256', x: key.x }],
    ['with a coordinate that is no text', { ...key, y: 1 }],
    ['with a certificate', { ...key, x5c: ['AAAA'] }],
    ['with a URL', { ...key, x5u: 'https://keys.example' }],
    ['with what it may do', { ...key, key_ops: [] }],
    ['a list', [key]],
    ['a text', JSON.stringify(key)],
    ['null', null],
  ])('is refused when it is %s', async (_, sealTo) => {
    const { fake, answer } = issue(sealTo);
    const response = await answer;
    const body = (await response.json()) as { code: string; detail: string };
    expect([response.status, body.code]).toEqual([400, 'invalid_request']);
    expect(body.detail).toMatch(/sealTo/);
    expect(fake.seen.issues).toEqual([]);
  });

  it.each([
    ['a private key', privateKey.export({ format: 'jwk' }), 'd'],
    [
      'of another curve too',
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' }),
      'd',
    ],
    [
      'an RSA key too',
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
      'd, p, q, dp, dq, qi, n, e',
    ],
    ['a symmetric key too', { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA' }, 'k'],
  ])('says of %s that it must be thrown away, and repeats nothing of it', async (_, jwk, members) => {
    const text = await (await issue(jwk).answer).text();
    const { detail, hint } = JSON.parse(text);
    expect(detail).toBe(`The member sealTo does not take ${members}.`);
    expect(hint).toMatch(/^A private key was just sent: throw it away\./);
    for (const value of Object.values(jwk)) if (String(value).length > 5) expect(text).not.toContain(value);
  });

  it('says which members of a JWK it does not take, and does not repeat a name that no JWK has', async () => {
    const { answer } = issue({ ...key, key_ops: [], ext: true, 'made-up-by-the-caller': 1 });
    expect(await (await answer).json()).toMatchObject({
      detail: 'The member sealTo does not take key_ops, ext, a member not known here.',
      hint: 'Known members: kty, crv, x, y, kid, use, alg.',
    });
  });

  it('is a key of WebCrypto once what it may do is left out', async () => {
    const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: 'P-256', extractable: true });
    expect((await issue(await exportJWK(pair.publicKey)).answer).status).toBe(200);
  });
});
