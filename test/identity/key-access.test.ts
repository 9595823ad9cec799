import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeIo } from '../../src/lib/node-io.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { type HttpIssuer, json, startIssuer } from './http-issuer.ts';
import { goodClaims, goodHeader, makeKey, makeToken, nowSeconds, outcome, type TestKey, verifierOf } from './issuer.ts';

const one = makeKey('ES256', 'one');
const two = makeKey('ES256', 'two');
const setOf = (...keys: TestKey[]) => ({ keys: keys.map(({ jwk }) => jwk) });
const unavailable = 'issuer_unavailable: keys_unavailable';
const good = { subject: 'checkout' };

let folder: string;
let clock: number;
let lines: (LogFacts & { event: string })[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hallpass-keys-'));
  clock = nowSeconds * 1000;
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, value: unknown) =>
  writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
const pass = (ms: number) => {
  clock += ms;
};
const minutes = (n: number) => n * 60_000;

const options = () => ({
  ...nodeIo(folder),
  now: () => clock,
  log: (_: string, event: string, facts?: LogFacts) => void lines.push({ event, ...facts }),
});
const verifierFor = (entry: Record<string, unknown>, more: object = {}) =>
  verifierOf({ shop: { issuer: 'https://issuer.example', ...entry } }, { ...options(), ...more });
const token = (key = one, changes: Record<string, unknown> = {}) => {
  const now = Math.floor(clock / 1000);
  return makeToken(key, goodClaims({ iat: now, exp: now + 600, ...changes }), goodHeader(key));
};

describe('keys behind a certificate of their own', () => {
  const own = makeCertificate('cluster');
  const other = makeCertificate('other');
  let server: Server;
  let url: string;
  let asked: string[];
  beforeEach(async () => {
    asked = [];
    const port = await freePort();
    url = `https://127.0.0.1:${port}`;
    server = createServer({ cert: own.cert, key: own.key }, (request, response) => {
      asked.push(request.url ?? '');
      const document = { issuer: url, jwks_uri: `${url}/jwks` };
      json(request.url === '/.well-known/openid-configuration' ? document : setOf(one))(request, response);
    });
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test.each([
    ['in the config', () => own.cert],
    [
      'in a file',
      () => {
        write('ca.pem', own.cert);
        return 'ca.pem';
      },
    ],
  ])('are had with the right one %s, by URL and by discovery', async (_, ca) => {
    const byUrl = verifierFor({ jwksUri: `${url}/jwks`, ca: ca() });
    expect(await outcome(byUrl, token())).toMatchObject(good);
    const byDiscovery = verifierFor({ issuer: url, ca: ca() });
    expect(await outcome(byDiscovery, token(one, { iss: url }))).toMatchObject(good);
    expect(asked).toEqual(['/jwks', '/.well-known/openid-configuration', '/jwks']);
  });

  test.each([
    ['another one', { ca: other.cert }],
    ['none', {}],
  ])('are not had with %s, and the log says that it is TLS', async (_, pinned) => {
    expect(await outcome(verifierFor({ jwksUri: `${url}/jwks`, ...pinned }), token())).toBe(unavailable);
    expect(lines).toMatchObject([{ event: 'issuer_keys_failed', issuer: 'shop', reason: 'tls' }]);
    expect(asked).toEqual([]);
  });

  test('a file that is missing trusts nobody, and is read once it is there', async () => {
    const verifier = verifierFor({ jwksUri: `${url}/jwks`, ca: 'later.pem' });
    expect(await outcome(verifier, token())).toBe(unavailable);
    write('later.pem', own.cert);
    pass(1_000);
    expect(await outcome(verifier, token())).toMatchObject(good);
  });

  test('a runtime that cannot pin trusts nobody', async () => {
    const entry = { jwksUri: `${url}/jwks`, ca: own.cert };
    expect(await outcome(verifierFor(entry, { fetchTrusting: undefined }), token())).toBe(unavailable);
    expect(asked).toEqual([]);
  });
});

describe('keys for a token', () => {
  let issuer: HttpIssuer;
  let shown: (string | undefined)[];
  beforeEach(async () => {
    shown = [];
    issuer = await startIssuer((request, response) => {
      shown.push(request.headers.authorization);
      const document = { issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` };
      json(request.url === '/.well-known/openid-configuration' ? document : setOf(one))(request, response);
    });
  });
  afterEach(() => issuer.close());

  test('are asked for with it, in discovery too', async () => {
    write('token', 'fake-token-1\n');
    const verifier = verifierFor({ issuer: issuer.url, jwksAuth: { tokenFile: 'token' } });
    expect(await outcome(verifier, token(one, { iss: issuer.url }))).toMatchObject(good);
    expect(shown).toEqual(['Bearer fake-token-1', 'Bearer fake-token-1']);
  });

  test('without jwksAuth no token is shown', async () => {
    await outcome(verifierFor({ jwksUri: `${issuer.url}/jwks` }), token());
    expect(shown).toEqual([undefined]);
  });

  test('a token file is read again after a minute, and not before', async () => {
    write('token', 'fake-token-1');
    issuer.answer = (request, response) => {
      shown.push(request.headers.authorization);
      json({}, 401)(request, response);
    };
    const verifier = verifierFor({ jwksUri: `${issuer.url}/jwks`, jwksAuth: { tokenFile: 'token' } });
    await outcome(verifier, token());
    write('token', 'fake-token-2');
    pass(59_000);
    await outcome(verifier, token());
    pass(31_000);
    await outcome(verifier, token());
    expect(shown).toEqual(['Bearer fake-token-1', 'Bearer fake-token-1', 'Bearer fake-token-2']);
    expect(lines.map(({ reason }) => reason)).toEqual(['status_401', 'status_401', 'status_401']);
  });

  test('a REF is read through the stores', async () => {
    const asked: unknown[] = [];
    const read = async (ref: unknown) => {
      asked.push(ref);
      return { value: new Secret('fake-token-3'), version: '1', store: 'hub' };
    };
    const verifier = verifierFor({ jwksUri: `${issuer.url}/jwks`, jwksAuth: { store: 'hub', name: 'k8s' } }, { read });
    expect(await outcome(verifier, token())).toMatchObject(good);
    expect(shown).toEqual(['Bearer fake-token-3']);
    expect(asked).toEqual([{ store: 'hub', name: 'k8s' }]);
  });

  test.each([
    ['a missing file', { tokenFile: 'none' }, {}],
    ['an empty file', { tokenFile: 'empty' }, {}],
    ['a file of two lines', { tokenFile: 'lines' }, {}],
    [
      'a store that fails',
      { store: 'hub', name: 'k8s' },
      { read: () => Promise.reject(new Refusal('store_failed', 'denied')) },
    ],
  ])('nothing is asked with %s, and the log says no_token', async (_, jwksAuth, more) => {
    write('empty', ' \n');
    write('lines', 'fake\r\nx-evil: 1');
    expect(await outcome(verifierFor({ jwksUri: `${issuer.url}/jwks`, jwksAuth }, more), token())).toBe(unavailable);
    expect(lines).toMatchObject([{ reason: 'no_token' }]);
    expect(shown).toEqual([]);
  });

  test.each([301, 302, 307, 308])('45: a %i to another host shows that host nothing', async (status) => {
    write('token', 'fake-token-1');
    const trap = await startIssuer(json(setOf(one)));
    issuer.answer = (_, response) => response.writeHead(status, { location: `${trap.url}/jwks` }).end();
    const jwksAuth = { tokenFile: 'token' };
    expect(await outcome(verifierFor({ jwksUri: `${issuer.url}/jwks`, jwksAuth }), token())).toBe(unavailable);
    issuer.answer = json({ issuer: issuer.url, jwks_uri: `${trap.url}/jwks` });
    const byDiscovery = verifierFor({ issuer: issuer.url, jwksAuth });
    expect(await outcome(byDiscovery, token(one, { iss: issuer.url }))).toBe(unavailable);
    expect(trap.calls).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain('fake-token');
    await trap.close();
  });
});

describe('keys in a file', () => {
  const verifier = () => verifierFor({ jwksFile: 'jwks.json' });

  test('serve, and a new file is read after 30 s: a removed key dies, a new one is good', async () => {
    write('jwks.json', setOf(one));
    const shop = verifier();
    expect(await outcome(shop, token(one))).toMatchObject(good);
    write('jwks.json', setOf(two));
    pass(29_999);
    expect(await outcome(shop, token(one))).toMatchObject(good);
    pass(1);
    expect(await outcome(shop, token(one))).toBe('token_invalid: kid');
    expect(await outcome(shop, token(two))).toMatchObject(good);
  });

  test('47: a storm of unknown kids reads it once per 30 s', async () => {
    let reads = 0;
    const readFile = (path: string) => {
      reads++;
      return nodeIo(folder).readFile(path);
    };
    write('jwks.json', setOf(one));
    const shop = verifierFor({ jwksFile: 'jwks.json' }, { readFile });
    for (let n = 0; n < 20; n++)
      expect(await outcome(shop, token({ ...one, kid: `kid-${n}` }))).toBe('token_invalid: kid');
    expect(reads).toBe(1);
    pass(30_000);
    await outcome(shop, token({ ...one, kid: 'kid-x' }));
    expect(reads).toBe(2);
  });

  test.each([
    ['is gone', () => rmSync(join(folder, 'jwks.json')), 'no_file'],
    ['is cut short', () => write('jwks.json', '{"keys":['), 'not_json'],
    ['is no key set', () => write('jwks.json', '{}'), 'not_a_key_set'],
    ['is too large', () => write('jwks.json', { ...setOf(one), pad: 'x'.repeat(256 * 1024) }), 'too_large'],
  ])('43: while it %s, the last good set serves for an hour, and the log says so', async (_, spoil, reason) => {
    write('jwks.json', setOf(one));
    const shop = verifier();
    await outcome(shop, token());
    spoil();
    pass(minutes(59.9));
    expect(await outcome(shop, token())).toMatchObject(good);
    expect(lines).toMatchObject([{ event: 'issuer_keys_failed', issuer: 'shop', reason, count: 1 }]);
    pass(minutes(0.1));
    expect(await outcome(shop, token())).toBe(unavailable);
    write('jwks.json', setOf(one));
    pass(30_000);
    expect(await outcome(shop, token())).toMatchObject(good);
  });

  test('41: a private key in it is dropped and logged', async () => {
    write('jwks.json', { keys: [{ ...two.privateKey.export({ format: 'jwk' }), kid: 'two' }, one.jwk] });
    const shop = verifier();
    expect(await outcome(shop, token(two))).toBe('token_invalid: kid');
    expect(lines).toMatchObject([{ event: 'issuer_key_refused', kid: 'two' }]);
  });

  test('where there is no file system there are no keys', async () => {
    write('jwks.json', setOf(one));
    const shop = verifierFor({ jwksFile: 'jwks.json' }, { readFile: undefined });
    expect(await outcome(shop, token())).toBe(unavailable);
    expect(lines).toMatchObject([{ reason: 'no_file' }]);
  });
});

describe('a SPIFFE bundle', () => {
  let issuer: HttpIssuer;
  beforeEach(async () => {
    issuer = await startIssuer(json({}));
  });
  afterEach(() => issuer.close());

  const bundleOf = (facts: object, ...keys: TestKey[]) =>
    json({ keys: keys.map(({ jwk }) => ({ ...jwk, use: 'jwt-svid' })), ...facts });
  const verifier = () =>
    verifierOf({ them: { preset: 'spiffe', trustDomain: 'example.org', bundle: `${issuer.url}/bundle` } }, options());
  const svid = (key = one) => {
    const now = Math.floor(clock / 1000);
    const sub = 'spiffe://example.org/ns/shop';
    return makeToken(key, { aud: 'https://pass.example.com', sub, exp: now + 300 }, goodHeader(key));
  };

  test.each([
    ['as often as it hints', { spiffe_refresh_hint: 60 }, 60_000],
    ['every 30 s at most', { spiffe_refresh_hint: 1 }, 30_000],
    ['every 10 minutes at least', { spiffe_refresh_hint: 2_592_000 }, 600_000],
    ['every 10 minutes without a hint', {}, 600_000],
    ['every 10 minutes with one that is no number', { spiffe_refresh_hint: '60' }, 600_000],
  ])('is fetched %s', async (_, facts, ms) => {
    issuer.answer = bundleOf(facts, one);
    const them = verifier();
    expect(await outcome(them, svid())).toMatchObject({ issuer: 'them' });
    pass(ms - 1);
    await outcome(them, svid());
    expect(issuer.calls).toEqual(['/bundle']);
    pass(1);
    await outcome(them, svid());
    expect(issuer.calls).toEqual(['/bundle', '/bundle']);
  });

  test('of an older sequence does not bring back a key, until the newer one is too old to serve', async () => {
    issuer.answer = bundleOf({ spiffe_sequence: 7 }, two);
    const them = verifier();
    expect(await outcome(them, svid(two))).toMatchObject({ issuer: 'them' });
    issuer.answer = bundleOf({ spiffe_sequence: 6 }, one);
    pass(minutes(10));
    expect(await outcome(them, svid(one))).toBe(unavailable);
    expect(await outcome(them, svid(two))).toMatchObject({ issuer: 'them' });
    expect(lines).toMatchObject([{ event: 'issuer_keys_failed', reason: 'older_bundle' }]);
    pass(minutes(50));
    expect(await outcome(them, svid(one))).toMatchObject({ issuer: 'them' });
  });

  test('of the same or a newer sequence replaces the one before', async () => {
    issuer.answer = bundleOf({ spiffe_sequence: 7 }, one);
    const them = verifier();
    await outcome(them, svid());
    for (const sequence of [7, 8]) {
      issuer.answer = bundleOf({ spiffe_sequence: sequence }, two);
      pass(minutes(10));
      expect(await outcome(them, svid(two))).toMatchObject({ issuer: 'them' });
      expect(await outcome(them, svid(one))).toBe('token_invalid: kid');
    }
  });

  test('names keys for X.509 as well, and the log is not told of them', async () => {
    const x509 = { ...two.jwk, use: 'x509-svid', x5c: ['AA=='] };
    issuer.answer = json({ keys: [x509, { ...one.jwk, use: 'jwt-svid' }] });
    const them = verifier();
    expect(await outcome(them, svid())).toMatchObject({ issuer: 'them' });
    expect(await outcome(them, svid(two))).toBe('token_invalid: kid');
    expect(lines).toEqual([]);
  });
});
