import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { compactDecrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig, secretValue } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { canary, exchangeParameters, type FakeOptions, fakeApp, leaseId, tokens } from './fake-deployment.ts';

type Parameters = Record<string, string> | [string, string][];
type OAuthAnswer = Record<string, string | number>;

const path = '/oauth/token';
const jwt = 'urn:ietf:params:oauth:token-type:jwt';
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const formType = 'application/x-www-form-urlencoded';

/** The parameters of a good exchange with some changed, and those that are undefined left out. */
function changed(changes: Record<string, string | undefined>): Record<string, string> {
  const all = Object.entries({ ...exchangeParameters, ...changes });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function exchange(parameters: Parameters | string, headers: Record<string, string> = {}, options: FakeOptions = {}) {
  const fake = fakeApp(options);
  const body = typeof parameters === 'string' ? parameters : new URLSearchParams(parameters).toString();
  const answer = Promise.resolve(
    fake.app.request(path, { method: 'POST', headers: { 'content-type': formType, ...headers }, body }),
  );
  return { fake, answer };
}

async function expectError(response: Response, error: string, status = 400): Promise<OAuthAnswer> {
  const body = (await response.json()) as OAuthAnswer;
  expect({ status: response.status, error: body.error }).toEqual({ status, error });
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description', 'request_id']);
  expect(body.error_description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  expect(body.request_id).toBe(response.headers.get('x-request-id'));
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(response.headers.get('pragma')).toBe('no-cache');
  expect(response.headers.get('www-authenticate')).toBeNull();
  return body;
}

describe('a token exchange', () => {
  it('answers with the token, what it was issued as, and the receipt, never to be cached', async () => {
    const { fake, answer } = exchange(exchangeParameters);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('pragma')).toBe('no-cache');
    expect(await response.json()).toEqual({
      access_token: canary,
      issued_token_type: jwt,
      token_type: 'Bearer',
      expires_in: 600,
      hallpass_id: leaseId,
      hallpass_receipt: expect.objectContaining({ index: 41 }),
    });
    expect(fake.seen.issues).toHaveLength(1);
    expect(fake.seen.issues[0]).toMatchObject({ token: tokens.workload, credential: 'partner', got: {} });
  });

  it.each([
    ['an id_token', { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }, jwt],
    ['the URI of the config as resource', { audience: undefined, resource: 'https://api.partner.example/v1' }, jwt],
    ['the name as resource', { audience: undefined, resource: 'partner' }, jwt],
    ['the URI of the config as audience', { audience: 'https://api.partner.example/v1' }, jwt],
    ['an access token asked for', { requested_token_type: accessToken }, accessToken],
    ['a JWT asked for', { requested_token_type: jwt }, jwt],
    ['parameters nobody knows', { prompt: 'none', constructor: 'x', __proto__x: 'y' }, jwt],
    ['a client_id, which proves nothing', { client_id: 'shop' }, jwt],
    ['empty parameters, which are as good as absent', { actor_token: '', resource: '', scope: '' }, jwt],
  ])('takes %s', async (_, changes, issued) => {
    const response = await exchange(changed(changes)).answer;
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ access_token: canary, issued_token_type: issued });
  });

  it('says of scopes that none was given', async () => {
    expect(await (await exchange(changed({ scope: 'read write' })).answer).json()).toMatchObject({ scope: '' });
  });

  it('takes the form with UTF-8 said, and is one log line without token or secret', async () => {
    const { fake, answer } = exchange(exchangeParameters, { 'content-type': `${formType}; charset=UTF-8` });
    expect((await answer).status).toBe(200);
    expect(fake.lines).toHaveLength(1);
    expect(JSON.parse(fake.lines[0] ?? '')).toMatchObject({
      route: path,
      status: 200,
      credential: 'partner',
      issuance: leaseId,
    });
    expect(fake.lines[0]).not.toMatch(new RegExp(`${canary}|${tokens.workload}`));
  });
});

describe('a token exchange is refused', () => {
  const longToken = 'a'.repeat(16_385);
  it.each<[string, Record<string, string | undefined>, string]>([
    ['without a grant_type', { grant_type: undefined }, 'invalid_request'],
    ['with another grant_type', { grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    [
      'with a grant_type in other case',
      { grant_type: exchangeParameters.grant_type.toUpperCase() },
      'unsupported_grant_type',
    ],
    ['without a subject_token', { subject_token: undefined }, 'invalid_request'],
    ['with an empty subject_token', { subject_token: '' }, 'invalid_request'],
    ['without a subject_token_type', { subject_token_type: undefined }, 'invalid_request'],
    ['with an access token as its subject', { subject_token_type: accessToken }, 'invalid_request'],
    ['with a subject_token_type of no URN', { subject_token_type: 'jwt' }, 'invalid_request'],
    ['with a trailing space in the type', { subject_token_type: `${jwt} ` }, 'invalid_request'],
    ['with an actor_token', { actor_token: tokens.auditor, actor_token_type: jwt }, 'invalid_request'],
    ['with an actor_token without type', { actor_token: tokens.auditor }, 'invalid_request'],
    ['with an actor_token_type alone', { actor_token_type: jwt }, 'invalid_request'],
    ['with a requested_token_type nobody knows', { requested_token_type: 'urn:x:saml' }, 'invalid_request'],
    [
      'with a refresh token asked for',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      'invalid_request',
    ],
    ['with a client_secret', { client_id: 'shop', client_secret: 'fake' }, 'invalid_client'],
    ['with a client_assertion', { client_assertion: 'fake', client_assertion_type: 'urn:x' }, 'invalid_client'],
    ['with a scope of two spaces', { scope: 'a  b' }, 'invalid_scope'],
    ['with a scope of a quote', { scope: 'a"b' }, 'invalid_scope'],
    ['with a scope of another line', { scope: 'a\nb' }, 'invalid_scope'],
    ['without a target', { audience: undefined }, 'invalid_target'],
    ['with two targets', { resource: 'https://api.partner.example/v1' }, 'invalid_target'],
    ['with a relative resource', { audience: undefined, resource: '/v1' }, 'invalid_target'],
    [
      'with a fragment in the resource',
      { audience: undefined, resource: 'https://api.partner.example/v1#a' },
      'invalid_target',
    ],
    ['with an empty fragment', { audience: undefined, resource: 'https://api.partner.example/v1#' }, 'invalid_target'],
    ['with a long resource', { audience: undefined, resource: `urn:x:${'a'.repeat(250)}` }, 'invalid_target'],
    ['with an audience of no form', { audience: '../partner' }, 'invalid_target'],
    ['with a token that does not verify', { subject_token: 'forged' }, 'invalid_request'],
    ['with a token of line breaks', { subject_token: `${tokens.workload}\r\n` }, 'invalid_request'],
    ['with a token too long', { subject_token: longToken }, 'invalid_request'],
  ])('%s', async (_, changes, error) => {
    const { fake, answer } = exchange(changed(changes));
    const body = await expectError(await answer, error);
    expect(fake.seen.issues).toEqual([]);
    // Nothing of the request comes back.
    for (const text of [tokens.auditor, 'api.partner', 'saml', 'client_credentials'])
      expect(JSON.stringify(body)).not.toContain(text);
    expect(fake.metrics.render()).toMatch(/hallpass_refusals_total\{.*\} 1/);
  });

  it.each([
    ['audience', 'invalid_target'],
    ['resource', 'invalid_target'],
    ['grant_type', 'invalid_request'],
    ['subject_token', 'invalid_request'],
    ['subject_token_type', 'invalid_request'],
    ['scope', 'invalid_request'],
    ['unknown', 'invalid_request'],
  ])('with %s twice', async (name, error) => {
    const value = { ...exchangeParameters, resource: 'urn:x:y' }[name] ?? 'a';
    const twice: [string, string][] = [...Object.entries(exchangeParameters).filter(([one]) => one !== name)];
    await expectError(await exchange([...twice, [name, value], [name, value]]).answer, error);
  });

  it.each([
    ['as JSON', 'application/json', JSON.stringify(exchangeParameters)],
    ['as a form that says it is JSON', 'application/json', undefined],
    ['as multipart', 'multipart/form-data; boundary=x', undefined],
    ['as text', 'text/plain', undefined],
    ['in another charset', `${formType}; charset=iso-8859-1`, undefined],
    ['with a parameter nobody knows', `${formType}; version=1`, undefined],
    ['with two types', `${formType}, ${formType}`, undefined],
  ])('%s', async (_, type, body) => {
    const { answer } = exchange(body ?? exchangeParameters, { 'content-type': type });
    await expectError(await answer, 'invalid_request');
  });

  it('without a body, in no UTF-8, or compressed', async () => {
    await expectError(await exchange('').answer, 'invalid_request');
    const bytes = Buffer.concat([Buffer.from(new URLSearchParams(exchangeParameters).toString()), Buffer.from([0xff])]);
    const response = await fakeApp().app.request(path, {
      method: 'POST',
      headers: { 'content-type': formType },
      body: bytes,
    });
    await expectError(response, 'invalid_request');
    await expectError(await exchange(exchangeParameters, { 'content-encoding': 'gzip' }).answer, 'invalid_request');
  });

  it.each([
    ['the workload token as Bearer', `Bearer ${tokens.workload}`],
    ['client credentials as Basic', `Basic ${Buffer.from('shop:fake').toString('base64')}`],
    ['several of them', `Bearer ${tokens.workload}, Bearer ${tokens.workload}`],
    ['nothing in it', ''],
  ])('with an Authorization header beside it: %s', async (_, authorization) => {
    const { fake, answer } = exchange(exchangeParameters, { authorization });
    await expectError(await answer, 'invalid_request');
    expect(fake.seen.issues).toEqual([]);
  });

  it('with the token in the query or in a cookie', async () => {
    const { subject_token: token, ...rest } = exchangeParameters;
    const post = (url: string, headers = {}) =>
      fakeApp().app.request(url, {
        method: 'POST',
        headers: { 'content-type': formType, ...headers },
        body: new URLSearchParams(rest).toString(),
      });
    await expectError(await post(`${path}?subject_token=${token}`), 'invalid_request');
    await expectError(await post(`${path}?access_token=${token}`), 'invalid_request');
    await expectError(await post(`${path}?token=eyJh.eyJi.c`), 'invalid_request');
    await expectError(await post(path, { cookie: `subject_token=${token}` }), 'invalid_request');
  });

  it('in OAuth’s shape for another method, and for an Accept that takes no JSON', async () => {
    const { app } = fakeApp();
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const response = await app.request(path, { method });
      await expectError(response, 'invalid_request', 405);
      expect(response.headers.get('allow')).toBe('POST');
    }
    await expectError(await exchange(exchangeParameters, { accept: 'text/html' }).answer, 'invalid_request', 406);
  });

  it('with a form larger than token and body may be, before it is read', async () => {
    const large = `${new URLSearchParams(exchangeParameters)}&x=${'a'.repeat(32_768)}`;
    await expectError(await exchange(large).answer, 'invalid_request', 413);
    let pulled = false;
    const pull = () => {
      pulled = true;
    };
    const body = new ReadableStream({ pull }, { highWaterMark: 0 });
    const request = (headers: Record<string, string>) =>
      fakeApp().app.request(
        new Request(`http://localhost${path}`, { method: 'POST', headers, body, duplex: 'half' } as RequestInit),
      );
    await expectError(await request({ 'content-type': formType, 'content-length': '32769' }), 'invalid_request', 413);
    expect(pulled).toBe(false);
  });

  it('when the form does not arrive in time', async () => {
    const body = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
    const { app } = fakeApp({ limits: { requestMs: 50 } });
    const init = { method: 'POST', headers: { 'content-type': formType }, body, duplex: 'half' } as RequestInit;
    await expectError(await app.request(new Request(`http://localhost${path}`, init)), 'invalid_request');
  });

  it('alike for a target that is not granted, is no token, or is none at all', async () => {
    const targets = [
      { audience: 'not-granted' },
      { audience: 'orders-db' },
      { audience: 'no-such-credential' },
      { audience: 'https://nobody.example' },
      { audience: undefined, resource: 'urn:example:not-granted' },
      { audience: undefined, resource: 'https://nobody.example' },
    ];
    const bodies = await Promise.all(
      targets.map(async (target) => {
        const { request_id: _, ...rest } = await expectError(await exchange(changed(target)).answer, 'invalid_target');
        return rest;
      }),
    );
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
  });

  it('for its token first, so that nobody without one learns what the targets are', async () => {
    for (const target of ['partner', 'orders-db', 'not-granted', 'nothing', 'https://nobody.example']) {
      const body = await expectError(
        await exchange(changed({ subject_token: 'forged', audience: target })).answer,
        'invalid_request',
      );
      expect(body.error_description).toBe('The subject_token was not accepted.');
    }
  });

  it.each([
    ['replayed', 'once', 400, 'invalid_grant', null],
    ['denied', 'lockdown', 400, 'invalid_target', null],
    ['issuer_unavailable', 'x', 503, 'temporarily_unavailable', '5'],
    ['ledger_unavailable', 'x', 503, 'temporarily_unavailable', '2'],
    ['overloaded', 'x', 503, 'temporarily_unavailable', '1'],
    ['rate_limited', 'x', 429, 'temporarily_unavailable', '1'],
    ['store_failed', 'x', 502, 'server_error', null],
    ['store_timeout', 'x', 504, 'temporarily_unavailable', null],
    ['internal', 'x', 500, 'server_error', null],
  ] as const)('as %s, without what the refusal knows', async (code, reason, status, error, retryAfter) => {
    const issue = () => Promise.reject(new Refusal(code, reason, { detail: 'must not be seen', hint: 'nor this' }));
    const response = await exchange(exchangeParameters, {}, { broker: { issue } }).answer;
    const body = await expectError(response, error, status);
    expect(JSON.stringify(body)).not.toMatch(/must not be seen|nor this/);
    expect(response.headers.get('retry-after')).toBe(retryAfter);
  });
});

describe('the metadata of the token exchange', () => {
  const wellKnown = '/.well-known/oauth-authorization-server';

  it('says what RFC 8414 asks for, publicly', async () => {
    const response = await fakeApp().app.request(wellKnown);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toMatch(/^public/);
    expect(await response.json()).toEqual({
      issuer: 'https://pass.example.com',
      token_endpoint: 'https://pass.example.com/oauth/token',
      response_types_supported: [],
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_methods_supported: ['none'],
    });
  });

  it('lies between host and path where the broker has a path, and the endpoint is where it says', async () => {
    const { app } = fakeApp({ url: 'https://example.com/pass' });
    const document = (await (await app.request(`${wellKnown}/pass`)).json()) as Record<string, string>;
    expect(document.issuer).toBe('https://example.com/pass');
    const body = new URLSearchParams(exchangeParameters).toString();
    const init = { method: 'POST', headers: { 'content-type': formType }, body };
    expect((await app.request(new URL(document.token_endpoint ?? '').pathname, init)).status).toBe(200);
    expect((await fakeApp().app.request(`${wellKnown}/pass`)).status).toBe(404);
  });
});

describe('a token exchange with a whole broker behind it', () => {
  const issuer = testIssuer('https://issuer.test', audience);
  const { folder, remove } = temporaryFolder();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const sealTo = publicKey.export({ format: 'jwk' });
  const thumbprint = async () => (await import('jose')).calculateJwkThumbprint(sealTo as never);
  const resource = 'https://api.partner.example/v1';
  let broker: OpenBroker;

  beforeAll(async () => {
    const config = embeddedConfig(folder, issuer, {
      stores: { here: { kind: 'env', prefix: 'HALLPASS_SECRET_' } },
      credentials: {
        'stripe-key': { kind: 'secret', store: 'here', name: 'STRIPE' },
        partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m', resource },
        pinned: { kind: 'jwt', audience: 'https://pinned.example', ttl: '5m' },
        other: { kind: 'jwt', audience: 'https://other.example', ttl: '5m', resource: 'urn:example:other' },
      },
      grants: [
        {
          name: 'once',
          identity: { issuer: 'ci', subject: 'svc:once' },
          may: ['partner', 'stripe-key'],
          ttl: '1m',
          once: true,
        },
        {
          name: 'pinned',
          identity: { issuer: 'ci', subject: 'svc:*' },
          may: ['pinned'],
          ttl: '10m',
          sealTo: await thumbprint(),
        },
        { name: 'all', identity: { issuer: 'ci', subject: 'svc:*' }, may: ['checkout', 'pinned'], ttl: '10m' },
      ],
      roles: { checkout: ['stripe-key', 'partner'] },
    });
    broker = await openBroker(config, folder, { env: { HALLPASS_SECRET_STRIPE: secretValue } });
  });
  afterAll(async () => {
    await broker.deployment.close();
    remove();
  });

  const ask = (changes: Record<string, string | undefined>, subject = 'svc:checkout') => {
    const body = new URLSearchParams(changed({ subject_token: issuer.token({ sub: subject }), ...changes })).toString();
    return broker.send(path, { method: 'POST', headers: { 'content-type': formType }, body });
  };
  const newest = async () => {
    const deadline = { at: Date.now() + 2_000, left: () => 2_000, within: () => deadline };
    const entries = (await broker.deployment.ledger.reader?.list({ limit: 1 }, deadline)) ?? [];
    return JSON.parse(entries[0]?.record ?? '{}') as Record<string, unknown>;
  };

  it('gives a signed token that its published key verifies, recorded like any issuance', async () => {
    const response = await ask({ audience: undefined, resource });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const body = JSON.parse(text);
    const key = (await (await broker.send('/v1/log/key')).text()).trim();
    verifyReceipt(body.hallpass_receipt, key);
    expect(JSON.parse(body.hallpass_receipt.record)).toMatchObject({
      type: 'issuance',
      id: body.hallpass_id,
      credential: 'partner',
      grant: 'all',
    });
    expect(body).toMatchObject({ expires_in: 300, token_type: 'Bearer', issued_token_type: jwt });
    const [header, payload, signature] = body.access_token.split('.');
    const published = await (await broker.send('/workloads/.well-known/jwks.json')).json();
    const jwk = (published as { keys: object[] }).keys[0];
    const verifier = { key: createPublicKey({ key: jwk as never, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const };
    expect(verify('sha256', Buffer.from(`${header}.${payload}`), verifier, Buffer.from(signature, 'base64url'))).toBe(
      true,
    );
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      aud: 'https://api.partner.example',
      jti: body.hallpass_id,
    });
  });

  it.each([
    ['what is not granted', { audience: 'other' }, 'no_grant', 'other'],
    ['what is not granted, by its URI', { audience: 'urn:example:other' }, 'no_grant', 'other'],
    ['what does not exist', { audience: 'nothing' }, 'no_credential', undefined],
    ['a URI nobody mapped', { audience: 'https://nobody.example' }, 'no_credential', undefined],
    ['what is no token', { audience: 'stripe-key' }, 'not_a_token', 'stripe-key'],
    ['what is sealed to a key only', { audience: 'pinned' }, 'seal_key', 'pinned'],
  ])('denies %s, and records it', async (_, changes, reason, credential) => {
    await expectError(await ask(changes), 'invalid_target');
    const record = await newest();
    expect(record).toMatchObject({ type: 'denial', reason });
    expect(record.credential).toBe(credential);
    expect(JSON.stringify(record)).not.toContain('nobody.example');
  });

  it('takes a token once where the grant says so, and spends none on what it denies', async () => {
    const token = issuer.token({ sub: 'svc:once' });
    await expectError(await ask({ subject_token: token, audience: 'stripe-key' }), 'invalid_target');
    expect((await ask({ subject_token: token })).status).toBe(200);
    await expectError(await ask({ subject_token: token }), 'invalid_grant');
    expect(await newest()).toMatchObject({ type: 'denial', reason: 'replayed' });
    const response = await broker.ask('/v1/credentials/partner', token);
    expect([response.status, ((await response.json()) as OAuthAnswer).code]).toEqual([409, 'replayed']);
  });

  it('counts a token that does not verify, and records nothing of it', async () => {
    const before = await newest();
    await expectError(await ask({ subject_token: `${issuer.token().slice(0, -8)}AAAAAAAA` }), 'invalid_request');
    await expectError(await ask({ subject_token: issuer.token({ aud: 'https://other.test' }) }), 'invalid_request');
    expect(await newest()).toEqual(before);
    expect(broker.deployment.metrics.render()).toMatch(/hallpass_token_failures_total\{[^}]*"ci"[^}]*\} [1-9]/);
  });

  it('seals a signed token after it was minted, for the JSON route, where a grant pins the key', async () => {
    const post = (body: object) =>
      broker.send('/v1/credentials/pinned', {
        method: 'POST',
        headers: { authorization: `Bearer ${issuer.token()}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const answer = (await (await post({ sealTo })).json()) as { id: string; sealed: string };
    expect(answer).not.toHaveProperty('data');
    const { plaintext, protectedHeader } = await compactDecrypt(answer.sealed, privateKey);
    const { token } = JSON.parse(new TextDecoder().decode(plaintext));
    expect(JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).jti).toBe(answer.id);
    expect(protectedHeader.kid).toBe(await thumbprint());
    for (const [body, status] of [
      [{}, 403],
      [{ sealTo: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) }, 403],
      [{ sealTo: privateKey.export({ format: 'jwk' }) }, 400],
    ] as const)
      expect((await post(body)).status).toBe(status);
    const explained = await broker.send('/v1/explain/pinned', {
      method: 'POST',
      headers: { authorization: `Bearer ${issuer.token()}` },
    });
    expect(await explained.json()).toEqual({ decision: 'deny', nearest: [{ grant: 'pinned', member: 'sealTo' }] });
  });
});
