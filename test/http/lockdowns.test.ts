import { describe, expect, it } from 'vitest';
import { bearer, fakeApp, leaseId } from './fake-deployment.ts';

type App = ReturnType<typeof fakeApp>['app'];

const call = (app: App, method: string, path: string, body?: unknown, who: Parameters<typeof bearer>[0] = 'auditor') =>
  app.request(path, {
    method,
    headers: { ...bearer(who), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });

const reason = 'a drill';

describe('POST /v1/lockdowns', () => {
  it('answers 201 with the lockdown and its index, and 200 to a dry run', async () => {
    const { app, seen } = fakeApp();
    const made = await call(app, 'POST', '/v1/lockdowns', { match: { issuer: 'ci' }, reason, for: '2h', since: '7d' });
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({ lockdown: { match: { issuer: 'ci' }, reason }, index: 41, epoch: 1 });
    const dry = await call(app, 'POST', '/v1/lockdowns', { everything: true, reason, dryRun: true });
    expect([dry.status, await dry.json()]).toEqual([200, { dryRun: true }]);
    expect(seen.lockdowns).toEqual([
      { match: { issuer: 'ci' }, reason, for: 7200, since: 604_800 },
      { match: {}, reason, dryRun: true },
    ]);
  });

  it.each([
    ['nothing', undefined],
    ['no reason', { match: { issuer: 'ci' } }],
    ['an empty reason', { match: { issuer: 'ci' }, reason: '' }],
    ['a reason too long', { match: { issuer: 'ci' }, reason: 'x'.repeat(257) }],
    ['nothing to stop', { reason }],
    ['an empty match', { match: {}, reason }],
    ['everything and something', { match: { issuer: 'ci' }, everything: true, reason }],
    ['everything: false', { everything: false, reason }],
    ['an unknown member', { match: { isuer: 'ci' }, reason }],
    ['a number', { match: { issuer: 1 }, reason }],
    ['a star inside a segment', { match: { identity: 'ci:acme/sh*' }, reason }],
    ['two ends', { match: { issuer: 'ci' }, reason, until: '2027-01-01T00:00:00Z', for: '2h' }],
    ['an end without a zone', { match: { issuer: 'ci' }, reason, until: '2027-01-01' }],
    ['no duration', { match: { issuer: 'ci' }, reason, for: '2 hours' }],
    ['no JSON', '{'],
  ])('refuses %s, and locks nothing', async (_, body) => {
    const { app, seen } = fakeApp();
    expect((await call(app, 'POST', '/v1/lockdowns', body)).status).toBe(400);
    expect(seen.lockdowns).toEqual([]);
  });

  it.each(['2s', 'abc', '10'])('a duration of %j is refused with what is taken', async (life) => {
    const { app } = fakeApp();
    const answer = await call(app, 'POST', '/v1/lockdowns', { everything: true, reason: 'drill', for: life });
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { detail: 'The member for is not valid.', hint: 'a duration such as 15m or 2h, of at least 30s' },
    ]);
  });

  it('takes the name of an identity however long it is', async () => {
    const { app, seen } = fakeApp();
    const match = { identity: `mesh:${'a'.repeat(2_100)}` };
    expect((await call(app, 'POST', '/v1/lockdowns', { match, reason: 'drill' })).status).toBe(201);
    expect(seen.lockdowns).toMatchObject([{ match }]);
  });

  it('takes * for a whole segment of an identity, the first too', async () => {
    const { app } = fakeApp();
    for (const identity of ['ci:acme/*', '*:acme/shop', 'ci:*:x'])
      expect((await call(app, 'POST', '/v1/lockdowns', { match: { identity }, reason })).status).toBe(201);
  });

  it('is denied before anything of the body is read', async () => {
    const { app } = fakeApp();
    for (const body of ['{', { match: { issuer: 'ci' }, reason }])
      expect((await call(app, 'POST', '/v1/lockdowns', body, 'workload')).status).toBe(403);
  });
});

it('lists those in force, and with all=true every one', async () => {
  const { app } = fakeApp();
  const count = async (query = '') => {
    const { items } = (await (await call(app, 'GET', `/v1/lockdowns${query}`)).json()) as { items: unknown[] };
    return items.length;
  };
  expect([await count(), await count('?all=true')]).toEqual([1, 2]);
  expect((await call(app, 'GET', '/v1/lockdowns?all=yes')).status).toBe(400);
});

it('lifts one, with or without a reason', async () => {
  const { app, seen } = fakeApp();
  for (const body of [undefined, {}, { reason: 'over' }]) {
    const lifted = await call(app, 'DELETE', `/v1/lockdowns/${leaseId}`, body);
    expect(await lifted.json()).toMatchObject({ lockdown: { state: 'lifted' }, index: 42, epoch: 2 });
  }
  expect(seen.lifted).toEqual([{}, {}, { reason: 'over' }]);
  expect((await call(app, 'DELETE', `/v1/lockdowns/${leaseId}`, { why: 'x' })).status).toBe(400);
  expect((await call(app, 'DELETE', '/v1/lockdowns/nonsense')).status).toBe(404);
});

it('revokes in parts, and goes on by the cursor', async () => {
  const { app } = fakeApp();
  const path = `/v1/lockdowns/${leaseId}/revoke`;
  expect(await (await call(app, 'POST', path)).json()).toMatchObject({ items: [{ outcome: 'done' }], next: '0.7' });
  const last = await (await call(app, 'POST', path, { cursor: '0.7', since: '1m' })).json();
  expect(last).toMatchObject({ items: [{ outcome: 'lives_on' }] });
  expect(last).not.toHaveProperty('next');
  for (const body of [{ cursor: 'x' }, { since: 'x' }, { all: true }])
    expect((await call(app, 'POST', path, body)).status).toBe(400);
});

it('elsewhere: 404 with the ledger in the hint', async () => {
  const { app } = fakeApp({ ledger: { elsewhere: 'https://ledger.example.com' } });
  for (const [method, path] of [
    ['POST', '/v1/lockdowns'],
    ['GET', '/v1/lockdowns'],
    ['DELETE', `/v1/lockdowns/${leaseId}`],
    ['POST', `/v1/lockdowns/${leaseId}/revoke`],
  ] as const) {
    const response = await call(app, method, path, method === 'POST' ? { everything: true, reason } : undefined);
    expect([response.status, ((await response.json()) as { hint: string }).hint]).toEqual([
      404,
      'Ask the ledger: https://ledger.example.com',
    ]);
  }
});
