import { describe, expect, test } from 'vitest';
import { bindRequest } from '../../src/http/bound.ts';
import type { Confirmations } from '../../src/ledger/following.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { bearer, canary, fakeApp, leaseId, tokens } from './fake-deployment.ts';

const json = { 'content-type': 'application/json' };
const issuePath = '/v1/credentials/orders-db';

async function problem(response: Response, status: number, code: string) {
  const body = (await response.json()) as Record<string, unknown>;
  expect({ status: response.status, code: body.code }).toEqual({ status, code });
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(response.headers.get('cache-control')).toBe('no-store');
  expect(body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  expect(body.type).toMatch(new RegExp(`[:/]${code}$`));
  expect(body.requestId).toBe(response.headers.get('x-request-id'));
  return body;
}

const post = (
  app: ReturnType<typeof fakeApp>['app'],
  body?: BodyInit,
  headers: Record<string, string> = {},
  path = issuePath,
) =>
  app.request(path, {
    method: 'POST',
    headers: { ...bearer('workload'), ...(body !== undefined && json), ...headers },
    body,
  });

describe('issuing', () => {
  test('answers with what the broker released, never to be cached', async () => {
    const { app, seen } = fakeApp();
    const response = await post(
      app,
      '{"ttl":"10m","reason":"nightly export","invocation":{"id":"run-42","deadline":"2026-11-22T12:00:30Z"}}',
    );
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({ id: leaseId, data: { value: canary } });
    expect(seen.issues[0]?.got).toEqual({
      ttl: 600,
      reason: 'nightly export',
      invocation: { id: 'run-42', deadline: '2026-11-22T12:00:30Z' },
    });
  });

  test('takes no body, an empty one and an empty object alike', async () => {
    const { app, seen } = fakeApp();
    for (const body of [undefined, '', '{}']) expect((await post(app, body)).status).toBe(200);
    expect(seen.issues.map((call) => call.got)).toEqual([{}, {}, {}]);
  });

  test('takes the scheme in any case and JSON in UTF-8', async () => {
    const { app } = fakeApp();
    for (const scheme of ['bearer', 'BEARER', 'Bearer']) {
      expect((await post(app, undefined, { authorization: `${scheme} ${tokens.workload}` })).status).toBe(200);
    }
    expect((await post(app, '{}', { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(200);
  });

  test('reads nothing of the body before the decision', async () => {
    const { app } = fakeApp();
    let pulled = false;
    const body = new ReadableStream(
      {
        pull() {
          pulled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const request = new Request('http://localhost/v1/credentials/other', {
      method: 'POST',
      headers: { ...bearer('workload'), 'content-type': 'text/plain', 'content-length': '99999999' },
      body,
      duplex: 'half',
    } as RequestInit);
    await problem(await app.request(request), 403, 'denied');
    expect(pulled).toBe(false);
  });

  test('hands the broker ids, trace, address and a deadline', async () => {
    const { app, seen } = fakeApp();
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = {
      ...bearer('workload'),
      traceparent: `00-${trace}-00f067aa0ba902b7-01`,
      'x-forwarded-for': '203.0.113.9',
    };
    const response = await app.request(
      issuePath,
      { method: 'POST', headers },
      { incoming: { socket: { remoteAddress: '198.51.100.7' } } },
    );
    const call = seen.issues[0];
    expect(call).toMatchObject({
      token: tokens.workload,
      trace,
      address: '198.51.100.7',
      request: response.headers.get('x-request-id'),
    });
    expect(call?.deadline.left()).toBeGreaterThan(10_000);
  });

  test('ignores a request id, an address and an invalid traceparent from outside', async () => {
    const { app, seen } = fakeApp();
    for (const traceparent of [
      '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
      'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      'x',
    ]) {
      const response = await post(app, undefined, {
        traceparent,
        'x-request-id': 'mine',
        'x-forwarded-for': '203.0.113.9',
        'cf-connecting-ip': '203.0.113.9',
      });
      expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-hjkmnp-tv-z]{26}$/);
    }
    for (const call of seen.issues) expect([call.trace, call.address]).toEqual([undefined, undefined]);
  });

  test('believes no address of a Worker that comes by a binding', async () => {
    const { app } = fakeApp({ runtime: 'workerd' });
    const headers = { 'cf-connecting-ip': '127.0.0.1' };
    const bound = (path: string, method: string) =>
      app.fetch(bindRequest(new Request(`https://pass.test${path}`, { method, headers }), { worker: 'shop' }));
    // A Worker that is bound to the entrypoint of the internet writes it as it likes.
    expect((await app.fetch(new Request('https://pass.test/metrics', { headers }))).status).toBe(401);
    expect((await bound('/metrics', 'GET')).status).toBe(401);
  });

  test('takes nobody for the operator on Lambda, whatever address an event has', async () => {
    const { app } = fakeApp({ runtime: 'lambda' });
    const env = { requestContext: { http: { sourceIp: '127.0.0.1' } } };
    expect((await app.request('/metrics', {}, env)).status).toBe(401);
  });

  test.each(['workerd', 'lambda'] as const)('takes the address from the platform on %s', async (runtime) => {
    const { app, seen } = fakeApp({ runtime });
    const env = {
      requestContext: { http: { sourceIp: '198.51.100.7' } },
      lambdaContext: { getRemainingTimeInMillis: () => 4_000 },
    };
    await app.request(
      issuePath,
      { method: 'POST', headers: { ...bearer('workload'), 'cf-connecting-ip': '198.51.100.7' } },
      env,
    );
    expect(seen.issues[0]?.address).toBe('198.51.100.7');
    const left = seen.issues[0]?.deadline.left() as number;
    expect(left > 4_000).toBe(runtime === 'workerd');
  });
});

describe('bad input gets its code', () => {
  const oversized = JSON.stringify({ reason: 'x'.repeat(1_048_576) });
  const deep = `{"invocation":${'['.repeat(100_000)}${']'.repeat(100_000)}}`.slice(0, 16_000);
  const bodies: [string, BodyInit, number, string][] = [
    ['1 MB', oversized, 413, 'too_large'],
    ['16 KiB and one byte', `{"reason":"${'x'.repeat(16_373)}"}`, 413, 'too_large'],
    ['deep JSON', deep, 400, 'invalid_request'],
    ['not JSON', '{"ttl":', 400, 'invalid_request'],
    ['an array', '[]', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['duplicate members', '{"ttl":"10m","ttl":"1h"}', 400, 'invalid_request'],
    ['duplicate members, one escaped', '{"ttl":"10m","\\u0074tl":"1h"}', 400, 'invalid_request'],
    ['NUL in a string', '{"reason":"a\\u0000b"}', 400, 'invalid_request'],
    ['a raw NUL', '{"reason":"a\0b"}', 400, 'invalid_request'],
    ['a line break in the reason', '{"reason":"a\\nb"}', 400, 'invalid_request'],
    ['a line separator in the reason', '{"reason":"a\\u2028b"}', 400, 'invalid_request'],
    ['a lone surrogate', '{"reason":"\\ud800"}', 400, 'invalid_request'],
    ['a byte order mark', '\ufeff{}', 400, 'invalid_request'],
    ['invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'invalid_request'],
    ['an unknown member', '{"tll":"10m"}', 400, 'invalid_request'],
    ['an unknown member of the invocation', '{"invocation":{"ID":"x"}}', 400, 'invalid_request'],
    ['__proto__', '{"__proto__":{"ttl":"10m"}}', 400, 'invalid_request'],
    ['constructor', '{"constructor":1}', 400, 'invalid_request'],
    ['a number as ttl', '{"ttl":600}', 400, 'invalid_request'],
    ['a null ttl', '{"ttl":null}', 400, 'invalid_request'],
    ['a ttl without unit', '{"ttl":"600"}', 400, 'invalid_request'],
    ['a ttl of zero', '{"ttl":"0s"}', 400, 'invalid_request'],
    ['a ttl below 30 s', '{"ttl":"29s"}', 400, 'invalid_request'],
    ['an array as reason', '{"reason":["a"]}', 400, 'invalid_request'],
    ['a reason of 257 characters', `{"reason":"${'x'.repeat(257)}"}`, 400, 'invalid_request'],
    ['a string as invocation', '{"invocation":"run"}', 400, 'invalid_request'],
    ['a deadline that is no instant', '{"invocation":{"deadline":"tomorrow"}}', 400, 'invalid_request'],
    ['a deadline in February 31st', '{"invocation":{"deadline":"2026-02-31T00:00:00Z"}}', 400, 'invalid_request'],
    ['a batch', '{"names":["orders-db"]}', 400, 'invalid_request'],
  ];
  test.each(bodies)('a body with %s', async (_, body, status, code) => {
    const { app, seen } = fakeApp();
    await problem(await post(app, body), status, code);
    expect(seen.issues).toEqual([]);
  });

  const requests: [string, string, RequestInit, number, string][] = [
    ['an unknown path', '/v1/nothing', { method: 'POST' }, 404, 'not_found'],
    ['the root', '/', {}, 404, 'not_found'],
    ['a path too long', '/v1/credentials/a/b', { method: 'POST' }, 404, 'not_found'],
    ['a wrong method', issuePath, { method: 'GET' }, 405, 'method_not_allowed'],
    ['a wrong method', '/v1/issuances', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['OPTIONS', issuePath, { method: 'OPTIONS' }, 405, 'method_not_allowed'],
    [
      'an Accept without JSON',
      issuePath,
      { method: 'POST', headers: { ...bearer('workload'), accept: 'text/html' } },
      406,
      'not_acceptable',
    ],
    [
      'an Accept with JSON ruled out',
      issuePath,
      { method: 'POST', headers: { accept: 'application/json;q=0' } },
      406,
      'not_acceptable',
    ],
    ['no token', issuePath, { method: 'POST' }, 401, 'token_missing'],
    ['another scheme', issuePath, { method: 'POST', headers: { authorization: 'Basic eDp5' } }, 401, 'token_missing'],
    ['an empty Bearer', issuePath, { method: 'POST', headers: { authorization: 'Bearer ' } }, 401, 'token_missing'],
    [
      'a token in a cookie only',
      issuePath,
      { method: 'POST', headers: { cookie: `token=${tokens.workload}` } },
      401,
      'token_missing',
    ],
    ['a bad token', issuePath, { method: 'POST', headers: { authorization: 'Bearer garbage' } }, 401, 'token_invalid'],
    [
      'Bearer twice',
      issuePath,
      { method: 'POST', headers: { authorization: `Bearer Bearer ${tokens.workload}` } },
      400,
      'invalid_request',
    ],
    [
      'a tab after Bearer',
      issuePath,
      { method: 'POST', headers: { authorization: `Bearer\t${tokens.workload}` } },
      400,
      'invalid_request',
    ],
    [
      'a tab after Bearer and a space',
      issuePath,
      { method: 'POST', headers: { authorization: `Bearer \t${tokens.workload}` } },
      400,
      'invalid_request',
    ],
    [
      'two Authorization headers',
      issuePath,
      {
        method: 'POST',
        headers: [
          ['authorization', `Bearer ${tokens.workload}`],
          ['authorization', `Bearer ${tokens.workload}`],
        ],
      },
      400,
      'invalid_request',
    ],
    [
      'a token in the query',
      `${issuePath}?access_token=x`,
      { method: 'POST', headers: bearer('workload') },
      400,
      'invalid_request',
    ],
    ['any query', `${issuePath}?ttl=10m`, { method: 'POST', headers: bearer('workload') }, 400, 'invalid_request'],
    ['a token in the query of a public document', '/healthz?access_token=x', {}, 400, 'invalid_request'],
    ['a JWT in the query of a public document', '/openapi.json?x=eyJh.eyJi.c', {}, 400, 'invalid_request'],
    [
      'a JWT in the path',
      '/v1/credentials/eyJh.eyJi.c',
      { method: 'POST', headers: bearer('workload') },
      400,
      'invalid_request',
    ],
    [
      'NUL in the name',
      '/v1/credentials/a%00b',
      { method: 'POST', headers: bearer('workload') },
      400,
      'invalid_request',
    ],
    ['NUL in the name, and no token', '/v1/credentials/a%00b', { method: 'POST', headers: {} }, 401, 'token_missing'],
    [
      'a slash in the name',
      '/v1/credentials/a%2fb',
      { method: 'POST', headers: bearer('workload') },
      400,
      'invalid_request',
    ],
    [
      'a name of 129 characters',
      `/v1/credentials/${'a'.repeat(129)}`,
      { method: 'POST', headers: bearer('workload') },
      400,
      'invalid_request',
    ],
    [
      'a body of another type',
      issuePath,
      { method: 'POST', headers: { ...bearer('workload'), 'content-type': 'text/plain' }, body: '{}' },
      415,
      'unsupported_media_type',
    ],
    [
      'a form',
      issuePath,
      { method: 'POST', headers: bearer('workload'), body: new URLSearchParams({ ttl: '10m' }) },
      415,
      'unsupported_media_type',
    ],
    [
      'a body of another charset',
      issuePath,
      {
        method: 'POST',
        headers: { ...bearer('workload'), 'content-type': 'application/json; charset=utf-16' },
        body: '{}',
      },
      415,
      'unsupported_media_type',
    ],
    [
      'a compressed body',
      issuePath,
      { method: 'POST', headers: { ...bearer('workload'), ...json, 'content-encoding': 'gzip' }, body: '{}' },
      415,
      'unsupported_media_type',
    ],
    [
      'an unknown query parameter',
      '/v1/issuances?typ=issuance',
      { headers: bearer('auditor') },
      400,
      'invalid_request',
    ],
    [
      'a query parameter twice',
      '/v1/issuances?limit=1&limit=2',
      { headers: bearer('auditor') },
      400,
      'invalid_request',
    ],
    ['a limit that is no number', '/v1/issuances?limit=1e3', { headers: bearer('auditor') }, 400, 'invalid_request'],
    ['an unknown type', '/v1/issuances?type=secret', { headers: bearer('auditor') }, 400, 'invalid_request'],
    ['a cursor of nobody', '/v1/issuances?cursor=MQ', { headers: bearer('auditor') }, 400, 'invalid_request'],
  ];
  test.each(requests)('%s: %s', async (_, path, init, status, code) => {
    const { app, seen } = fakeApp();
    await problem(await app.request(path, init), status, code);
    expect(seen.issues).toEqual([]);
  });

  test('405 says what is allowed', async () => {
    const { app } = fakeApp();
    expect((await app.request(issuePath)).headers.get('allow')).toBe('POST');
    expect((await app.request('/healthz', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD');
  });

  test('401 says Bearer and why', async () => {
    const { app } = fakeApp();
    for (const authorization of [undefined, 'Bearer garbage']) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const response = await app.request(issuePath, { method: 'POST', headers });
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
    }
  });

  test('denied and absent credentials get the same answer, without the reason', async () => {
    const { app } = fakeApp();
    const one = await problem(await post(app, undefined, {}, '/v1/credentials/other'), 403, 'denied');
    const two = await problem(await post(app, undefined, bearer('nobody')), 403, 'denied');
    expect({ ...one, requestId: '' }).toEqual({ ...two, requestId: '' });
    expect(JSON.stringify(one)).not.toContain('must not be seen');
  });
});

describe('failing', () => {
  test('an uncaught error is 500 with a request id and nothing else', async () => {
    const broker = { issue: () => Promise.reject(new TypeError(`cannot parse ${canary}`)) };
    const { app, lines } = fakeApp({ broker });
    const body = await problem(await post(app), 500, 'internal');
    expect(JSON.stringify(body)).not.toContain(canary);
    const line = lines.find((text) => text.includes(body.requestId as string)) as string;
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      code: 'internal',
      error: expect.stringContaining('TypeError'),
    });
    expect(line).not.toContain(canary);
  });

  test('where nobody knows whether a record stands, none is said to be absent', async () => {
    const issue = () => Promise.reject(new Refusal('ledger_unavailable', 'unconfirmed'));
    const { app } = fakeApp({ broker: { issue } });
    const body = await problem(await post(app), 503, 'ledger_unavailable');
    expect(body.detail).toBe('It could not be recorded for certain, so nothing was released.');
  });

  test.each([
    ['ledger_unavailable', 503],
    ['issuer_unavailable', 503],
    ['overloaded', 503],
    ['rate_limited', 429],
  ] as const)('%s says when to come again', async (code, status) => {
    const { app } = fakeApp({ broker: { issue: () => Promise.reject(new Refusal(code, 'why')) } });
    const response = await post(app);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    await problem(response, status, code);
  });

  test('more open requests than allowed are refused, but health is told', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { app } = fakeApp({ limits: { openRequests: 1 }, deployment: { ready: () => held } });
    const first = app.request('/readyz');
    await problem(await post(app), 503, 'overloaded');
    expect((await app.request('/healthz')).status).toBe(200);
    release();
    expect((await first).status).toBe(200);
    expect((await post(app)).status).toBe(200);
  });

  // Asked of no more than whether anybody waits for it.
  const waitedFor = { confirming: { waits: true } as Confirmations };
  const follow = (instance: ReturnType<typeof fakeApp>['app']) =>
    instance.request('/v1/log/follow?after=0&name=frankfurt', { headers: bearer('writer') });

  test('a standby that nothing waits for is one of all that are open', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { app } = fakeApp({ limits: { openRequests: 1 }, deployment: { ready: () => held } });
    const first = app.request('/readyz');
    await problem(await follow(app), 503, 'overloaded');
    release();
    await first;
    expect((await follow(app)).status).not.toBe(503);
  });

  test('a standby that answers wait for is answered however many others are open, and keeps nobody else away by waiting', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const waiting = { ready: () => held };
    const { app } = fakeApp({ limits: { openRequests: 1 }, deployment: waiting, ledger: waitedFor });
    const free = (await follow(app)).status;
    const first = app.request('/readyz');
    await problem(await post(app), 503, 'overloaded');
    expect(free).not.toBe(503);
    expect((await follow(app)).status).toBe(free);
    release();
    await first;

    let letGo = () => {};
    const permitted = new Promise<never>((_, reject) => {
      letGo = () => reject(new Refusal('denied', 'over'));
    });
    const other = fakeApp({ limits: { openRequests: 1 }, broker: { permit: () => permitted }, ledger: waitedFor }).app;
    const follows = Array.from({ length: 100 }, () => follow(other));
    expect((await post(other)).status).toBe(200);
    letGo();
    const statuses = (await Promise.all(follows)).map(({ status }) => status);
    // It has room for as many as are under way, and not for any number.
    expect([
      statuses.filter((status) => status === 403).length,
      statuses.filter((status) => status === 503).length,
    ]).toEqual([64, 36]);
  });

  test('a body that does not come ends with the request deadline', async () => {
    const { app } = fakeApp({ limits: { requestMs: 50 } });
    const request = new Request(`http://localhost${issuePath}`, {
      method: 'POST',
      headers: { ...bearer('workload'), ...json },
      body: new ReadableStream(),
      duplex: 'half',
    } as RequestInit);
    await problem(await app.request(request), 400, 'invalid_request');
  });
});

describe('leases and explanations', () => {
  test('a revoked lease is 204, a recorded revocation 202, another identity 404', async () => {
    const { app } = fakeApp();
    const revoke = (instance: typeof app, id: string) =>
      instance.request(`/v1/leases/${id}`, { method: 'DELETE', headers: bearer('workload') });
    expect((await revoke(app, leaseId)).status).toBe(204);
    expect((await revoke(fakeApp({ broker: { revoke: async () => 'recorded' } }).app, leaseId)).status).toBe(202);
    await problem(await revoke(app, `${leaseId.slice(0, -1)}1`), 404, 'not_found');
    await problem(await revoke(app, 'not-an-id'), 404, 'not_found');
  });

  test('explain names the near miss, takes no members, and is absent when off', async () => {
    const { app } = fakeApp();
    const ask = (instance: typeof app, body?: string) => post(instance, body, {}, '/v1/explain/orders-db');
    expect(await (await ask(app)).json()).toEqual({
      decision: 'deny',
      nearest: [{ grant: 'near', member: 'namespace' }],
    });
    await problem(await ask(app, '{"ttl":"10m"}'), 400, 'invalid_request');
    const asked: unknown[] = [];
    const explain = async ({ values }: { values?: boolean }) => {
      asked.push(values);
      return { decision: 'deny' as const, nearest: [] };
    };
    for (const how of ['names', 'values'] as const)
      await ask(fakeApp({ broker: { explain }, deployment: { explain: how } }).app);
    expect(asked).toEqual([false, true]);
    await problem(await ask(fakeApp({ deployment: { explain: 'off' } }).app), 404, 'not_found');
  });
});

describe('every answer', () => {
  test('carries the security headers', async () => {
    const { app } = fakeApp();
    for (const response of [await app.request('/healthz'), await app.request('/nowhere'), await post(app)]) {
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(response.headers.get('referrer-policy')).toBe('no-referrer');
      expect(response.headers.get('strict-transport-security')).toContain('max-age=');
    }
  });

  test('claims no transport security over plain http', async () => {
    const { app } = fakeApp({ url: 'http://127.0.0.1:8787' });
    expect((await app.request('/healthz')).headers.has('strict-transport-security')).toBe(false);
  });

  test('is there under the path of the broker URL too', async () => {
    const { app } = fakeApp({ url: 'https://example.com/pass' });
    for (const path of ['/healthz', '/pass/healthz', '/pass/.well-known/jwks.json', '/.well-known/jwks.json']) {
      expect((await app.request(path)).status).toBe(200);
    }
    expect((await post(app, undefined, {}, `/pass${issuePath}`)).status).toBe(200);
    await problem(await app.request('/other/healthz'), 404, 'not_found');
  });

  test('keeps the keys of its two issuers apart, even where the path of the broker URL is /workloads', async () => {
    const { app } = fakeApp({ url: 'https://example.com/workloads' });
    const kid = async (path: string) =>
      ((await (await app.request(`${path}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }).keys[0]?.kid;
    expect([await kid('/workloads'), await kid('/workloads/workloads')]).toEqual(['a', 'w']);
  });

  test('is one log line with the route and never the path, the query, the token or the secret', async () => {
    const { app, lines } = fakeApp();
    await post(app, `{"reason":"${canary}"}`);
    await app.request(`/${canary}?x=${canary}`, {
      headers: { authorization: `Bearer ${canary}`, 'user-agent': canary },
    });
    await post(app, `{"${canary}":1}`, { authorization: `Bearer ${canary}` }, `/v1/credentials/${canary}`);
    await post(app, `{"${canary}":1}`);
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).not.toContain(canary);
    expect(JSON.parse(lines[0] as string)).toMatchObject({
      event: 'request',
      route: '/v1/credentials/{name}',
      status: 200,
      issuance: leaseId,
    });
    expect(JSON.parse(lines[1] as string)).toMatchObject({ route: 'none', status: 404, code: 'not_found' });
    expect(JSON.parse(lines[2] as string)).toMatchObject({
      code: 'token_invalid',
      reason: 'bad_signature',
      issuer: 'ci',
    });
    for (const line of lines.join('').split('fake-')) expect(line.startsWith('workload')).toBe(false);
  });

  test('HEAD is GET without the body', async () => {
    const { app } = fakeApp();
    const response = await app.request('/healthz', { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});
