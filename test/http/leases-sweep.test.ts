import { expect, test } from 'vitest';
import { bearer, fakeApp, leaseId } from './fake-deployment.ts';

const sweep = (app: ReturnType<typeof fakeApp>['app'], body?: string, who: Parameters<typeof bearer>[0] = 'auditor') =>
  app.request('/v1/leases/sweep', {
    method: 'POST',
    headers: { ...bearer(who), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body }),
  });

test('a sweep is for who may revoke leases: others are denied, whatever they send', async () => {
  const { app } = fakeApp({ deployment: { sweep: () => Promise.reject(new Error('must not be swept')) } });
  for (const body of [undefined, '{"orphans":true}', 'no json'])
    expect((await sweep(app, body, 'workload')).status).toBe(403);
  expect((await app.request('/v1/leases?state=unrevoked', { headers: bearer('workload') })).status).toBe(403);
});

test('a sweep answers its report, and removes orphans only when told', async () => {
  const { app } = fakeApp();
  const removed = async (body?: string) => (await (await sweep(app, body)).json()).orphans[0].removed;
  expect([await removed(), await removed('{}'), await removed('{"orphans":false}')]).toEqual([false, false, false]);
  expect(await removed('{"orphans":true}')).toBe(true);
  const report = await (await sweep(app)).json();
  expect(report).toMatchObject({ undone: 1, unrevoked: 1, failed: [{ id: leaseId, reason: 'unreachable' }] });
});

test.each(['{"orphans":"yes"}', '{"orphan":true}', '[]', '{'])('a sweep refuses the body %s', async (body) => {
  expect((await sweep(fakeApp().app, body)).status).toBe(400);
});

test('the leases that are still to be ended come in pages', async () => {
  const { app } = fakeApp();
  const list = (query: string) => app.request(`/v1/leases${query}`, { headers: bearer('auditor') });
  const first = await (await list('?state=unrevoked')).json();
  expect(first.items).toMatchObject([
    { id: leaseId, reason: 'requested', failed: { reason: 'unreachable', tries: 3 } },
  ]);
  expect(first.next).toBe('41');
  expect(await (await list('?state=unrevoked&cursor=41')).json()).not.toHaveProperty('next');
  for (const query of ['', '?state=open', '?state=unrevoked&cursor=x', '?state=unrevoked&limit=1'])
    expect((await list(query)).status).toBe(400);
});
