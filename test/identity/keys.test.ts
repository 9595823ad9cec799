import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import { type Answer, type HttpIssuer, json, startIssuer } from './http-issuer.ts';
import { goodClaims, goodHeader, makeKey, makeToken, nowSeconds, outcome, type TestKey, verifierOf } from './issuer.ts';

const one = makeKey('ES256', 'one');
const two = makeKey('ES256', 'two');
const setOf = (...keys: TestKey[]) => ({ keys: keys.map(({ jwk }) => jwk) });

let issuer: HttpIssuer;
let clock: number;
let lines: (LogFacts & { event: string })[];
beforeEach(async () => {
  clock = nowSeconds * 1000;
  lines = [];
  issuer = await startIssuer(json(setOf(one)));
});
afterEach(() => issuer.close());

const minutes = (n: number) => n * 60_000;
const pass = (ms: number) => {
  clock += ms;
};

const options = (jwksMs = 2_000) => ({
  now: () => clock,
  fetch: (url: string, init: RequestInit) => fetch(url, init),
  log: (_: string, event: string, facts?: LogFacts) => void lines.push({ event, ...facts }),
  limits: { tokenBytes: 16_384, jwksMs },
});
const byUrl = (jwksMs?: number) =>
  verifierOf({ shop: { issuer: 'https://issuer.example', jwksUri: `${issuer.url}/jwks` } }, options(jwksMs));
const byDiscovery = () => verifierOf({ shop: { issuer: issuer.url } }, options());

/** A token good at the clock's time. */
const token = (key = one, changes: Record<string, unknown> = {}) => {
  const now = Math.floor(clock / 1000);
  return makeToken(key, goodClaims({ iat: now, exp: now + 600, ...changes }), goodHeader(key));
};
const good = { subject: 'checkout' };
const unavailable = 'issuer_unavailable: keys_unavailable';

describe('fetched keys', () => {
  test('are fetched once and serve for ten minutes without another call', async () => {
    const verifier = byUrl();
    for (let call = 0; call < 5; call++) expect(await outcome(verifier, token())).toMatchObject(good);
    pass(minutes(10) - 1);
    expect(await outcome(verifier, token())).toMatchObject(good);
    expect(issuer.calls).toEqual(['/jwks']);
  });

  test('are fetched once for a hundred concurrent first calls', async () => {
    const verifier = byUrl();
    const results = await Promise.all(Array.from({ length: 100 }, () => outcome(verifier, token())));
    for (const result of results) expect(result).toMatchObject(good);
    expect(issuer.calls.length).toBe(1);
  });

  test('42: a new key is used after one refetch, the old one stays good', async () => {
    const verifier = byUrl();
    await outcome(verifier, token());
    pass(30_000);
    issuer.answer = json(setOf(one, two));
    expect(await outcome(verifier, token(two))).toMatchObject(good);
    expect(await outcome(verifier, token(one))).toMatchObject(good);
    expect(issuer.calls.length).toBe(2);
  });

  test('42: a removed key is refused once the set is ten minutes old', async () => {
    const verifier = byUrl();
    await outcome(verifier, token());
    issuer.answer = json(setOf(two));
    pass(minutes(10));
    expect(await outcome(verifier, token(one))).toBe('token_invalid: kid');
    expect(await outcome(verifier, token(two))).toMatchObject(good);
  });

  test('an issuer that answers with no key at all has withdrawn them all', async () => {
    const verifier = byUrl();
    await outcome(verifier, token());
    issuer.answer = json({ keys: [] });
    pass(minutes(10));
    expect(await outcome(verifier, token())).toBe('token_invalid: kid');
  });

  test('47: a storm of unknown kids makes one fetch per 30 s, and good tokens pass all the while', async () => {
    const verifier = byUrl();
    await outcome(verifier, token());
    for (let round = 0; round < 3; round++) {
      pass(30_000);
      const storm = Array.from({ length: 50 }, (_, n) => outcome(verifier, token(makeStranger(`kid-${round}-${n}`))));
      expect(new Set(await Promise.all(storm))).toEqual(new Set(['token_invalid: kid']));
      for (let n = 0; n < 20; n++) await outcome(verifier, token(makeStranger(`later-${n}`)));
      expect(await outcome(verifier, token())).toMatchObject(good);
      expect(issuer.calls.length).toBe(2 + round);
    }
  });

  test('47: a storm at a cold start makes one fetch', async () => {
    const verifier = byUrl();
    const storm = Array.from({ length: 200 }, (_, n) => outcome(verifier, token(makeStranger(`kid-${n}`))));
    expect(new Set(await Promise.all(storm))).toEqual(new Set(['token_invalid: kid']));
    expect(await outcome(verifier, token(makeStranger('one more')))).toBe('token_invalid: kid');
    expect(issuer.calls.length).toBe(1);
  });

  test('41: a bad key in a fetched set is dropped and logged, the others serve', async () => {
    issuer.answer = json({
      keys: [
        { kty: 'oct', k: 'AA', kid: 'shared' },
        { ...two.privateKey.export({ format: 'jwk' }), kid: 'two' },
        one.jwk,
      ],
    });
    expect(await outcome(byUrl(), token())).toMatchObject(good);
    expect(lines).toEqual([
      {
        event: 'issuer_key_refused',
        issuer: 'shop',
        kid: 'shared',
        reason: 'a symmetric key cannot verify workload tokens',
      },
      { event: 'issuer_key_refused', issuer: 'shop', kid: 'two', reason: 'a key set holds public keys only' },
    ]);
  });

  test('static keys fetch nothing, whatever the kid', async () => {
    const verifier = verifierOf({ shop: { issuer: 'https://issuer.example', jwks: setOf(one) } }, options());
    expect(await outcome(verifier, token())).toMatchObject(good);
    expect(await outcome(verifier, token(two))).toBe('token_invalid: kid');
    expect(issuer.calls).toEqual([]);
  });
});

/** Signs with key one under a kid the issuer does not have. */
const makeStranger = (kid: string): TestKey => ({ ...one, kid });

const huge = JSON.stringify({ keys: [one.jwk], pad: 'x'.repeat(256 * 1024) });
const faults: readonly (readonly [string, Answer, string])[] = [
  ['refuses connections half-way', (request) => request.socket.destroy(), 'connection_reset'],
  ['answers 500', json({ keys: [one.jwk] }, 500), 'status_500'],
  ['answers 404', json({ keys: [one.jwk] }, 404), 'status_404'],
  ['answers 204', (_, response) => response.writeHead(204).end(), 'status_204'],
  ['hangs', () => {}, 'timeout'],
  ['hangs after the headers', (_, response) => response.writeHead(200).flushHeaders(), 'timeout'],
  ['drips', drip, 'timeout'],
  ['truncates', truncate, 'truncated'],
  ['cuts the JSON', json(JSON.stringify(setOf(one)).slice(0, -10)), 'not_json'],
  ['answers HTML', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), 'html'],
  [
    'answers JSON as HTML',
    (_, response) => response.writeHead(200, { 'content-type': 'Text/HTML' }).end(JSON.stringify(setOf(one))),
    'html',
  ],
  ['answers nothing', json(''), 'not_json'],
  ['answers a list', json([one.jwk]), 'not_json'],
  ['answers without keys', json({}), 'not_a_key_set'],
  ['answers keys that are no list', json({ keys: { 0: one.jwk } }), 'not_a_key_set'],
  ['names a member twice', json(`{"keys":[],"keys":[${JSON.stringify(one.jwk)}]}`), 'not_json'],
  ['answers 101 keys', json({ keys: Array(101).fill(one.jwk) }), 'too_many_keys'],
  ['answers more than 256 KiB', json(huge), 'too_large'],
  ['answers without end', endless, 'too_large'],
  ['answers a gzip bomb', gzipBomb, 'too_large'],
];

function drip(_: unknown, response: Parameters<Answer>[1]): void {
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
}

function truncate(_: unknown, response: Parameters<Answer>[1]): void {
  response.writeHead(200, { 'content-length': '10000' });
  response.write('{"keys":[');
  setTimeout(() => response.destroy(), 10);
}

function endless(_: unknown, response: Parameters<Answer>[1]): void {
  const write = () => response.writable && response.write('x'.repeat(65_536), () => setImmediate(write));
  write();
}

const bomb = gzipSync(Buffer.alloc(20_000_000, 0x20));
function gzipBomb(_: unknown, response: Parameters<Answer>[1]): void {
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
}

describe.each(faults)('43 and 44: while the issuer %s', (_, fault, word) => {
  test('the last good set serves for an hour, then 503, and it is over at once when it answers again', async () => {
    const verifier = byUrl(600);
    expect(await outcome(verifier, token())).toMatchObject(good);
    issuer.answer = fault;
    clock = nowSeconds * 1000 + minutes(59.9);
    expect(await outcome(verifier, token())).toMatchObject(good);
    clock = nowSeconds * 1000 + minutes(60);
    expect(await outcome(verifier, token())).toBe(unavailable);
    expect(lines[0]).toEqual({ event: 'issuer_keys_failed', issuer: 'shop', reason: word, count: 1 });
    issuer.answer = json(setOf(one));
    pass(30_000);
    expect(await outcome(verifier, token())).toMatchObject(good);
  });

  test('a cold start is 503, soon, and the issuer is not asked by each request', async () => {
    issuer.answer = fault;
    const verifier = byUrl(600);
    const began = performance.now();
    for (let call = 0; call < 20; call++) expect(await outcome(verifier, token())).toBe(unavailable);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(issuer.calls.length).toBe(1);
  });
});

test('43: a failing issuer is asked after 1 s, 2 s, 4 s and so on, every 30 s at the longest', async () => {
  issuer.answer = json({}, 500);
  const verifier = byUrl();
  const askedAt: number[] = [];
  for (let second = 0; second < 150; second++) {
    const before = issuer.calls.length;
    await outcome(verifier, token());
    if (issuer.calls.length > before) askedAt.push(second);
    pass(1_000);
  }
  expect(askedAt).toEqual([0, 1, 3, 7, 15, 31, 61, 91, 121]);
});

test('43: an unknown kid while the issuer fails is 503, for nobody knows whether it is new', async () => {
  const verifier = byUrl();
  await outcome(verifier, token());
  issuer.answer = json({}, 500);
  pass(30_000);
  expect(await outcome(verifier, token(two))).toBe(unavailable);
  expect(await outcome(verifier, token(one))).toMatchObject(good);
});

test('43: nobody waits longer than the own deadline, and the fetch goes on for the others', async () => {
  issuer.answer = (request, response) => setTimeout(() => json(setOf(one))(request, response), 150);
  const verifier = byUrl();
  const hurried = outcome(verifier, token(), deadlineIn(30, Date.now));
  const patient = outcome(verifier, token());
  expect(await hurried).toBe('issuer_unavailable: keys_timeout');
  expect(await patient).toMatchObject(good);
  expect(issuer.calls.length).toBe(1);
});

test('43: a fetch that was lost with its request keeps nobody waiting until a clock that was set back has caught up', async () => {
  issuer.answer = () => {};
  const verifier = byUrl();
  const hurried = () => outcome(verifier, token(), deadlineIn(30, Date.now));
  await hurried();
  pass(-minutes(60));
  await hurried();
  expect(issuer.calls.length).toBe(2);
});

test('43: a caller in a hurry gets the last good key rather than 503', async () => {
  const verifier = byUrl();
  await outcome(verifier, token());
  issuer.answer = () => {};
  pass(minutes(11));
  expect(
    await outcome(
      verifier,
      token(),
      deadlineIn(30, () => clock),
    ),
  ).toMatchObject(good);
});

test('a wall clock that jumps back an hour makes the set old, not young', async () => {
  const verifier = byUrl();
  await outcome(verifier, token());
  issuer.answer = json(setOf(two));
  pass(-minutes(60));
  expect(await outcome(verifier, token(one))).toBe('token_invalid: kid');
});

test('a wall clock that is set back by less than ten minutes gives a removed key no longer life', async () => {
  const verifier = byUrl();
  await outcome(verifier, token());
  issuer.answer = json(setOf(two));
  pass(-minutes(9));
  expect(await outcome(verifier, token(one))).toBe('token_invalid: kid');
  expect(issuer.calls.length).toBe(2);
});

test('43: a 503 says when to ask again and repeats nothing the issuer said', async () => {
  issuer.answer = (_, response) => response.writeHead(500, { 'x-canary': 'canary' }).end('{"error":"canary"}');
  const error = await byUrl()
    .verify(token(), deadlineIn(5_000, Date.now))
    .catch((refusal: unknown) => refusal);
  expect(error).toMatchObject({ code: 'issuer_unavailable', options: { retryAfter: 1, facts: { issuer: 'shop' } } });
  expect(JSON.stringify([error, lines])).not.toContain('canary');
});

describe('discovery', () => {
  const site =
    (document: object, keys: object = setOf(one)): Answer =>
    (request, response) =>
      json(request.url === '/.well-known/openid-configuration' ? document : keys)(request, response);
  const ours = (changes: object = {}) => ({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys?v=1`, ...changes });

  test('finds the keys on the issuer\u2019s own origin', async () => {
    issuer.answer = site(ours());
    expect(await outcome(byDiscovery(), token(one, { iss: issuer.url }))).toMatchObject(good);
    expect(issuer.calls).toEqual(['/.well-known/openid-configuration', '/keys?v=1']);
  });

  test('of an issuer with a path looks below that path', async () => {
    issuer.answer = (_, response) => json({}, 404)(_, response);
    await outcome(
      verifierOf({ shop: { issuer: `${issuer.url}/id/ABC/` } }, options()),
      token(one, { iss: `${issuer.url}/id/ABC/` }),
    );
    expect(issuer.calls).toEqual(['/id/ABC/.well-known/openid-configuration']);
  });

  test.each([
    ['46: another issuer', () => ours({ issuer: 'https://issuer.example' }), 'other_issuer'],
    ['46: its issuer with a slash', () => ours({ issuer: `${issuer.url}/` }), 'other_issuer'],
    ['46: no issuer', () => ours({ issuer: undefined }), 'other_issuer'],
    ['45: no keys', () => ours({ jwks_uri: undefined }), 'no_jwks_uri'],
    ['45: keys at no URL', () => ours({ jwks_uri: '/keys' }), 'no_jwks_uri'],
    ['45: keys on another port', () => ours({ jwks_uri: 'http://127.0.0.1:1/keys' }), 'other_origin'],
    [
      '45: keys on another host',
      () => ours({ jwks_uri: issuer.url.replace('127.0.0.1', 'localhost') }),
      'other_origin',
    ],
    ['45: keys by another scheme', () => ours({ jwks_uri: issuer.url.replace('http:', 'https:') }), 'other_origin'],
    ['45: keys in a data URL', () => ours({ jwks_uri: 'data:application/json,{}' }), 'other_origin'],
    ['45: keys in a file', () => ours({ jwks_uri: 'file:///etc/passwd' }), 'other_origin'],
    ['45: keys behind userinfo', () => ours({ jwks_uri: issuer.url.replace('//', '//u:p@') }), 'other_origin'],
  ])('is refused when it names %s, and no key is fetched', async (_, document, word) => {
    issuer.answer = site(document());
    expect(await outcome(byDiscovery(), token(one, { iss: issuer.url }))).toBe(unavailable);
    expect(lines).toMatchObject([{ reason: word }]);
    expect(issuer.calls).toEqual(['/.well-known/openid-configuration']);
  });

  test.each([301, 302, 303, 307, 308])('45: a %i from discovery or keys is not followed', async (status) => {
    const trap = await startIssuer(json(setOf(one)));
    const redirect: Answer = (_, response) => response.writeHead(status, { location: `${trap.url}/keys` }).end();
    issuer.answer = redirect;
    expect(await outcome(byDiscovery(), token(one, { iss: issuer.url }))).toBe(unavailable);
    issuer.answer = (request, response) => (request.url === '/keys?v=1' ? redirect : site(ours()))(request, response);
    expect(await outcome(byDiscovery(), token(one, { iss: issuer.url }))).toBe(unavailable);
    issuer.answer = redirect;
    expect(await outcome(byUrl(), token())).toBe(unavailable);
    expect(new Set(lines.map(({ reason }) => reason))).toEqual(new Set(['redirect']));
    expect(trap.calls).toEqual([]);
    await trap.close();
  });
});

describe('issuers never share a key', () => {
  const stranger = makeKey('ES256', 'one');

  test('20 and 48: a token of an issuer that is not configured is refused without any call', async () => {
    const verifier = byUrl();
    const trap = await startIssuer(json(setOf(stranger)));
    expect(await outcome(verifier, token(stranger, { iss: trap.url }))).toBe('token_invalid: issuer');
    expect([...issuer.calls, ...trap.calls]).toEqual([]);
    await trap.close();
  });

  test('of the entry that comes first decide: while they cannot be had, a token that it would take is nobody else’s', async () => {
    let down = true;
    issuer.answer = (request, response) =>
      json(setOf(one), down && request.url === '/strict' ? 500 : 200)(request, response);
    const iss = 'https://issuer.example';
    const verifier = verifierOf(
      {
        strict: { issuer: iss, jwksUri: `${issuer.url}/strict`, require: { env: 'prod' } },
        loose: { issuer: iss, jwksUri: `${issuer.url}/loose` },
      },
      options(),
    );
    expect(await outcome(verifier, token(one, { env: 'prod' }))).toBe(unavailable);
    // What it would not take whoever signed it waits for nothing.
    expect(await outcome(verifier, token(one, { env: 'dev' }))).toMatchObject({ issuer: 'loose' });
    down = false;
    pass(minutes(1));
    expect(await outcome(verifier, token(one, { env: 'prod' }))).toMatchObject({ issuer: 'strict' });
  });

  test.each([
    ['first', 'second'],
    ['second', 'first'],
  ])('21: one kid at two issuers, %s asked before %s, and both at once', async (early, late) => {
    issuer.answer = (request, response) => json(setOf(request.url === '/first' ? one : stranger))(request, response);
    const issuers = {
      first: { issuer: 'https://first.example', jwksUri: `${issuer.url}/first` },
      second: { issuer: 'https://second.example', jwksUri: `${issuer.url}/second` },
    };
    const keys: Record<string, TestKey> = { first: one, second: stranger };
    const own = (name: string) => token(keys[name], { iss: `https://${name}.example` });
    const crossed = (name: string) =>
      token(keys[name === 'first' ? 'second' : 'first'], { iss: `https://${name}.example` });
    const inOrder = verifierOf(issuers, options());
    for (const name of [early, late]) {
      expect(await outcome(inOrder, own(name))).toMatchObject({ issuer: name });
      expect(await outcome(inOrder, crossed(name))).toBe('token_invalid: signature');
    }
    const atOnce = verifierOf(issuers, options());
    const tokens = [own(early), crossed(early), own(late), crossed(late)];
    expect(await Promise.all(tokens.map((text) => outcome(atOnce, text)))).toMatchObject([
      { issuer: early },
      'token_invalid: signature',
      { issuer: late },
      'token_invalid: signature',
    ]);
  });
});
