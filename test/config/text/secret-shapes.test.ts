import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { findSecrets } from '../../../src/config/text/hidden.ts';
import { secretMapping, secretShape } from '../../../src/config/text/secret-shapes.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const fake = (length: number) => 'A1b2'.repeat(40).slice(0, length);
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = `${part({ alg: 'none' })}.${part({ sub: 'x' })}.${fake(20)}`;

describe('secretShape', () => {
  it.each([
    ['a PEM private key', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    ['a SEC1 private key', privateKey.export({ format: 'pem', type: 'sec1' }).toString()],
    ['an OpenSSH private key', '-----BEGIN OPENSSH PRIVATE KEY-----'],
    ['an encrypted private key', '-----BEGIN ENCRYPTED PRIVATE KEY-----'],
    ['a private JWK as text', JSON.stringify(privateKey.export({ format: 'jwk' }))],
    ['a symmetric JWK as text', '{"kty":"oct", "k" : "AAAA"}'],
    ['a URL with a password', 'postgres://user:pass@db.internal/orders'],
    ['a URL with a password and no user', 'redis://:pass@cache.internal'],
    ['a URL with a password in its query', 'jdbc:postgresql://db/orders?user=a&password=b'],
    ['a compact JWT', jwt],
    ['a compact JWT in a header', `Bearer ${jwt}`],
    ['an unsigned JWT', `${part({ alg: 'none' })}.${part({ sub: 'x' })}.`],
    ['a compact JWE', `${part({ alg: 'dir', enc: 'A256GCM' })}..${fake(16)}.${fake(20)}.${fake(22)}`],
    ['an AWS access key id', `AKIA${'A1B2C3D4E5F6G7H8'}`],
    ['a temporary AWS access key id', `key=ASIA${'A1B2C3D4E5F6G7H8'}`],
    ['a GitHub token', `ghp_${fake(36)}`],
    ['a GitHub app token', `ghs_${fake(36)}`],
    ['a fine-grained GitHub token', `github_pat_${fake(22)}_${fake(59)}`],
    ['a Slack token', 'xoxb-1234567890-abcdefghij'],
    ['a Slack token after an escape', 'https://hooks.example.com/x?t=%20xoxb-1234567890ab'],
    ['a Stripe key', `sk_live_${fake(24)}`],
    ['a restricted Stripe key', `rk_live_${fake(24)}`],
    ['a Google API key', `AIza${fake(35)}`],
    ['a Vault token', `hvs.${fake(24)}`],
  ])('knows %s', (_, text) => {
    expect(secretShape(text)).toBeDefined();
  });

  it.each([
    ['a public number that has the letters of a token in its midst', `{"kty":"RSA","n":"${fake(30)}ghs_${fake(36)}"}`],
    ['a public key', publicKey.export({ format: 'pem', type: 'spki' }).toString()],
    ['a public JWK as text', JSON.stringify(publicKey.export({ format: 'jwk' }))],
    ['a role', 'arn:aws:iam::123456789012:role/hallpass'],
    ['a URL', 'https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF0123456789ABCDEF0123456789'],
    ['a URL with a port', 'https://pass.example.com:8443/path'],
    ['a URL with an @ in its path', 'https://a.example/@scope/package'],
    ['a CEL condition', 'claims["kubernetes.io"].pod.name.startsWith("checkout-")'],
    ['a verifier key', 'pass.example.com/ledger+a1b2c3d4+AWJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NGJhc2U2NA=='],
    ['a hash', 'sha256:Wn1k2f6sYw7yVt0xg2vU1u4b8e9cQmP3o5r7t9v1x3z'],
    ['a dotted name', 'eyes.example.internal.cluster.local'],
    ['a word that begins like a token', 'ghp_short'],
    ['a longer word in capitals', 'MAKIAVELLIANSTRATEGIES'],
  ])('lets %s be', (_, text) => {
    expect(secretShape(text)).toBeUndefined();
  });

  it('answers fast on a quarter of a megabyte of anything', () => {
    const parts = ['a', '.', 'eyJ', '://', '://a:', 'gh', '-----BEGIN ', 'password=', 'eyJhIjox.', 'A', '?;&'];
    const before = performance.now();
    for (const one of parts) secretShape(one.repeat(Math.ceil(262_144 / one.length)));
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

describe('secretMapping', () => {
  it('knows a JWK with its private or symmetric member, and lets a public one be', () => {
    expect(secretMapping(privateKey.export({ format: 'jwk' }) as Record<string, string>)).toBeDefined();
    expect(secretMapping({ kty: 'oct', k: 'AAAA' })).toBeDefined();
    expect(secretMapping(publicKey.export({ format: 'jwk' }) as Record<string, string>)).toBeUndefined();
    expect(secretMapping({ d: 'x', k: 'y' })).toBeUndefined();
  });
});

describe('findSecrets', () => {
  // A hyphen in a random number begins a word: with enough keys, some number shows the letters of any short prefix.
  const number = `${fake(30)}-ghs_${fake(36)}_xoxb-${fake(36)}`;

  it('lets the numbers of a public JWK be, whatever letters stand in them', () => {
    expect(findSecrets({ keys: [{ kty: 'RSA', e: 'AQAB', n: number }] }).findings).toEqual([]);
    expect(findSecrets({ keys: [{ kty: 'EC', crv: 'P-256', x: number, y: number }] }).findings).toEqual([]);
  });

  it('finds the same letters everywhere else', () => {
    const path = ['keys', 0, 'kid'];
    expect(findSecrets({ keys: [{ kty: 'RSA', n: 'AQAB', kid: number }] }).findings).toMatchObject([{ path }]);
    expect(findSecrets({ n: number }).findings).toMatchObject([{ path: ['n'] }]);
    expect(findSecrets({ kty: 'RSA', n: [number] }).findings).toHaveLength(1);
    expect(findSecrets({ kty: 'RSA', n: jwt }).findings).toHaveLength(1);
  });
});

it('finds a token wherever in a text it stands, and whichever of its parts has the header', () => {
  const headers = [{ alg: 'none' }, { typ: 'JWT', alg: 'ES256' }].flatMap((header) =>
    ['', ' ', '\n'].map((blank) => Buffer.from(`{${blank}${JSON.stringify(header).slice(1)}`).toString('base64url')),
  );
  headers.push(Buffer.from(` ${JSON.stringify({ alg: 'none' })}`).toString('base64url'));
  for (const header of headers)
    for (const token of [`${header}.a.b`, `a.${header}.b`, `a.b.${header}`, `e.I.ex-ample.${header}`])
      for (const text of [token, `Bearer ${token}`, `https://eu.example.com/?t=${token}&e=I`, `{"t":"${token}"}`])
        expect(secretShape(text), text).toBe('a signed token');
});
