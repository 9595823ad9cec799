import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/lib/refusal.ts';
import { bearer, fakeApp, fakeEntry, leaseId } from './fake-deployment.ts';

interface Page {
  readonly items: {
    log: string;
    index: number;
    record: object;
    disclosure?: string;
    disclosed?: object;
    proof?: string;
  }[];
  readonly next?: string;
}

const elsewhere = { elsewhere: 'https://ledger.example.com', reader: undefined, accept: undefined };

const get = (app: ReturnType<typeof fakeApp>['app'], path: string, who: Parameters<typeof bearer>[0] = 'auditor') =>
  app.request(path, { headers: bearer(who) });

const page = async (app: ReturnType<typeof fakeApp>['app'], query: string) =>
  (await (await get(app, `/v1/issuances${query}`)).json()) as Page;

describe('GET /v1/issuances', () => {
  test('lists newest first, with the disclosed members unless they were erased', async () => {
    const { app } = fakeApp();
    const { items, next } = await page(app, '');
    expect(items.map((item) => item.index)).toEqual([4, 3, 2, 1, 0]);
    expect(next).toBeUndefined();
    expect(items[0]).toEqual({
      log: 'pass.example.com/ledger',
      index: 4,
      record: JSON.parse(fakeEntry(4).record),
      disclosure: fakeEntry(4).disclosure,
      disclosed: { name: 'ci:workload' },
    });
    expect(Object.keys(items[1] as object)).toEqual(['log', 'index', 'record']);
  });

  test('pages meet without gap or overlap, and all of them are one read record', async () => {
    const { app, seen } = fakeApp();
    const indices: number[] = [];
    let query = '?limit=2';
    for (;;) {
      const { items, next } = await page(app, query);
      indices.push(...items.map((item) => item.index));
      if (next === undefined) break;
      query = `?limit=2&cursor=${next}`;
    }
    expect(indices).toEqual([4, 3, 2, 1, 0]);
    expect(seen.reads).toEqual([{ query: { type: 'issuance', limit: 2 }, items: 2 }]);
  });

  test("refuses another query's cursor", async () => {
    const { app } = fakeApp();
    const { next } = await page(app, '?limit=2');
    expect((await get(app, `/v1/issuances?type=denial&cursor=${next}`)).status).toBe(400);
    expect((await get(app, `/v1/issuances?cursor=${next?.slice(0, -1)}`)).status).toBe(400);
  });

  test('a page whose cursor proves no recorded query is a read record of its own', async () => {
    const { app, seen, platform } = fakeApp();
    const { next } = await page(app, '?limit=2');
    expect(seen.reads).toHaveLength(1);

    // Forged: another place in the log, and a proof made up.
    const [, since, digest, proof] = Buffer.from(`${next}`, 'base64url').toString().split('.');
    const forged = Buffer.from(['5', since, digest, proof].join('.')).toString('base64url');
    expect((await page(app, `?limit=5&cursor=${forged}`)).items).toHaveLength(5);
    expect(seen.reads[1]).toEqual({ query: { type: 'issuance', limit: 5, before: 5 }, items: 5 });

    // Another instance's key, and another auditor's cursor.
    const others = fakeApp({ deployment: { cursorKey: async () => new Uint8Array(32).fill(1) } });
    await page(others.app, `?cursor=${next}`);
    expect(others.seen.reads).toHaveLength(1);
    const stranger = { ...fakeApp().deployment.broker };
    const colleague = fakeApp({
      broker: {
        permit: async (call, permission) => {
          const permitted = await stranger.permit(call, permission);
          return { ...permitted, identity: { ...permitted.identity, subject: 'colleague' } };
        },
      },
    });
    await page(colleague.app, `?cursor=${next}`);
    expect(colleague.seen.reads).toHaveLength(1);

    // An hour later the same cursor begins a query anew; its own next page belongs to that one.
    const now = platform.now();
    platform.now = () => now + 3_601_000;
    const later = await page(app, `?limit=1&cursor=${next}`);
    expect(seen.reads).toHaveLength(3);
    await page(app, `?limit=1&cursor=${later.next}`);
    expect(seen.reads).toHaveLength(3);
  });

  test('a limit of any size is clamped', async () => {
    const { app } = fakeApp();
    expect((await page(app, `?limit=${'9'.repeat(30)}`)).items).toHaveLength(5);
  });

  test('a ledger that does not answer is given its own time, not the whole of the request', async () => {
    const left: number[] = [];
    const deadline =
      (at: number) =>
      async (...given: unknown[]) => {
        left.push((given[at] as { left(): number }).left());
        return [] as never;
      };
    const reader = { list: deadline(1), story: deadline(1), tile: deadline(3), checkpoint: deadline(0) };
    const { app } = fakeApp({ ledger: { reader: reader as never, pending: deadline(1) } });
    for (const path of [
      '/v1/issuances',
      `/v1/issuances/${leaseId}`,
      ...['checkpoint', 'tile/0/000'].map((tile) => `/v1/log/${tile}`),
    ])
      await get(app, path);
    await get(app, '/v1/log/issuances?state=open', 'writer');
    expect(left).toHaveLength(5);
    // A question may read its index on first, for as long again.
    const [question = 0, ...others] = left;
    expect(question).toBeLessThanOrEqual(4_000);
    expect(Math.max(...others)).toBeLessThanOrEqual(2_000);
  });

  test('asks for issuances unless told a type, and for everything with a star', async () => {
    const asked: object[] = [];
    const reader = {
      ...fakeApp().deployment.ledger.reader,
      list: async (filter: object) => {
        asked.push(filter);
        return [];
      },
    };
    const { app } = fakeApp({ ledger: { reader: reader as never } });
    for (const query of ['', '?type=denial', '?type=*', '?limit=1000000']) await page(app, query);
    // One more than a page has, to know whether there is another.
    expect(asked).toEqual([
      { type: 'issuance', limit: 101 },
      { type: 'denial', limit: 101 },
      { limit: 101 },
      { type: 'issuance', limit: 1001 },
    ]);
  });

  test('gives no answer when the read cannot be recorded', async () => {
    const { app } = fakeApp({
      broker: { recordRead: () => Promise.reject(new Refusal('ledger_unavailable', 'down')) },
    });
    for (const path of ['/v1/issuances', `/v1/issuances/${leaseId}`]) {
      const response = await get(app, path);
      expect(response.status).toBe(503);
      expect(await response.text()).not.toContain('issuance"');
    }
  });

  test('shows a spoilt disclosure as it is', async () => {
    const reader = {
      ...fakeApp().deployment.ledger.reader,
      list: async () => [{ ...fakeEntry(1), disclosure: 'not"base64' }],
    };
    const { items } = await page(fakeApp({ ledger: { reader: reader as never } }).app, '');
    expect(items).toEqual([
      { log: 'pass.example.com/ledger', index: 1, record: expect.anything(), disclosure: 'not"base64' },
    ]);
  });

  test('one issuance comes with its proofs; an unknown one is a read record and 404', async () => {
    const { app, seen } = fakeApp();
    const { items } = (await (await get(app, `/v1/issuances/${leaseId}`)).json()) as Page;
    expect(items).toMatchObject([{ index: 2, proof: expect.stringContaining('tlog-proof') }]);
    const unknown = `${leaseId.slice(0, -1)}1`;
    expect((await get(app, `/v1/issuances/${unknown}`)).status).toBe(404);
    expect(seen.reads).toEqual([
      { query: { issuance: leaseId }, items: 1 },
      { query: { issuance: unknown }, items: 0 },
    ]);
  });
});

describe('the log', () => {
  const tiles = ['/v1/log/checkpoint', '/v1/log/tile/0/000.p/5'];

  test('checkpoint and hash tiles need audit: read unless the log is public; bundles always do', async () => {
    for (const publicLog of [true, false]) {
      const { app } = fakeApp({ deployment: { publicLog } });
      for (const path of tiles) expect((await app.request(path)).status).toBe(publicLog ? 200 : 401);
      for (const path of tiles) expect((await get(app, path, 'workload')).status).toBe(publicLog ? 200 : 403);
      for (const path of tiles) expect((await get(app, path)).status).toBe(200);
      expect((await app.request('/v1/log/tile/entries/000.p/5')).status).toBe(401);
      expect((await get(app, '/v1/log/tile/entries/000.p/5')).status).toBe(200);
    }
  });

  test('reads of the log are not recorded', async () => {
    const { app, seen } = fakeApp();
    for (const path of tiles) await get(app, path);
    expect(seen.reads).toEqual([]);
  });

  test.each([
    '0/001',
    '0/000',
    '0/000.p/6',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/05',
    '0/0',
    '0/x000/000',
    '64/000',
    '00/000',
    '0/000/',
    'entries/../0/000',
    'data/000',
    '0',
    '',
  ])('has no tile %s', async (tile) => {
    const { app } = fakeApp();
    expect((await get(app, `/v1/log/tile/${tile}`)).status).toBe(404);
  });

  test('a tile beyond the first thousand is addressed by its digits', async () => {
    const asked: unknown[] = [];
    const reader = {
      ...fakeApp().deployment.ledger.reader,
      tile: async (...args: unknown[]) => void asked.push(args.slice(0, 3)),
    };
    await get(fakeApp({ ledger: { reader: reader as never } }).app, '/v1/log/tile/1/x001/x234/067');
    expect(asked).toEqual([[1, 1_234_067, 256]]);
  });

  test('the key is public text', async () => {
    const response = await fakeApp().app.request('/v1/log/key');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(await response.text()).toBe('pass.example.com/ledger+00000000+AAAA\n');
  });

  const entries = { records: ['{}'], disclosures: [null], epoch: 0, policy: 'sha256:fake' };
  const append = (
    app: ReturnType<typeof fakeApp>['app'],
    body: unknown,
    who: Parameters<typeof bearer>[0] = 'writer',
  ) =>
    app.request('/v1/log/entries', {
      method: 'POST',
      headers: { ...bearer(who), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  test('takes entries of a writer under its verified name and with its rights only', async () => {
    const { app, seen } = fakeApp();
    const response = await append(app, entries);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      receipts: [{ log: expect.any(String), index: 0, proof: expect.any(String) }],
      minted: [null],
    });
    expect(seen.appends[0]?.writer).toMatchObject({ name: 'https://writer.example.com', mint: ['partner'] });
    expect(seen.appends[0]?.writer.types.has('lockdown')).toBe(false);
    expect((await append(app, entries, 'auditor')).status).toBe(403);
    expect((await append(app, { ...entries, writer: 'x' })).status).toBe(400);
    expect((await append(app, { ...entries, records: ['x'.repeat(1024 * 1024)] })).status).toBe(413);
    expect(seen.appends).toHaveLength(1);
  });

  test('asks again whether the writer may, where it has heard of a lockdown that this instance has not', async () => {
    const known: (number | undefined)[] = [];
    const permit = async (_: unknown, permission: string, epoch?: number) => {
      known.push(epoch);
      if (epoch !== undefined) throw new Refusal('denied', 'lockdown');
      const role = { name: 'r', credentials: [], permissions: [permission], mint: [] };
      const identity = { issuer: 'ci', iss: 'https://writer.example.com' };
      return { identity, decision: { allow: true, grant: 'g', role, terms: {} } };
    };
    const { app, seen } = fakeApp({ broker: { permit, epoch: 3 } as never });
    expect((await append(app, { ...entries, epoch: 3 })).status).toBe(200);
    expect((await append(app, { ...entries, epoch: 4 })).status).toBe(403);
    expect(known).toEqual([undefined, undefined, 4]);
    expect(seen.appends).toHaveLength(1);
  });

  test('tells a stale writer the epoch and the lockdowns', async () => {
    const members = { epoch: 7, lockdowns: [], status: 200 };
    const { app } = fakeApp({ ledger: { accept: () => Promise.reject(new Refusal('stale', 'stale', { members })) } });
    const response = await append(app, entries);
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ code: 'stale', status: 409, epoch: 7, lockdowns: [] });
  });

  test('gives a writer its own issuances for undoing', async () => {
    const { app } = fakeApp();
    for (const path of [`/v1/log/issuances/${leaseId}`, '/v1/log/issuances?state=open']) {
      expect(await (await get(app, path, 'writer')).json()).toMatchObject({ items: [{ record: expect.any(String) }] });
      expect((await get(app, path)).status).toBe(403);
    }
    for (const query of ['', '?state=all'])
      expect((await get(app, `/v1/log/issuances${query}`, 'writer')).status).toBe(400);
  });

  test('holds a writer who reads its own against the newest lockdowns', async () => {
    const known: unknown[] = [];
    const permit = async (_: unknown, __: string, epoch?: number | 'newest') => {
      known.push(epoch);
      throw new Refusal('denied', 'lockdown');
    };
    const { app } = fakeApp({ broker: { permit } as never });
    for (const path of [`/v1/log/issuances/${leaseId}`, '/v1/log/issuances?state=open'])
      expect((await get(app, path, 'writer')).status).toBe(403);
    expect(known).toEqual(['newest', 'newest']);
  });

  test('elsewhere: 404 with the ledger in the hint, but for the pinned key', async () => {
    const { app } = fakeApp({ ledger: elsewhere });
    const absent = [
      '/v1/issuances',
      `/v1/issuances/${leaseId}`,
      ...tiles,
      '/v1/log/issuances?state=open',
      `/v1/log/issuances/${leaseId}`,
      '/v1/issuances?nothing=known',
      '/v1/log/checkpoint?nothing=known',
      '/v1/log/~1/checkpoint',
      '/v1/log/follow',
      '/v1/log/succession?after=x',
      '/v1/lockdowns?nothing=known',
    ];
    for (const path of [...absent, '/workloads/.well-known/jwks.json', '/workloads/.well-known/openid-configuration']) {
      const response = await get(app, path);
      expect(response.status).toBe(404);
      expect(((await response.json()) as { hint: string }).hint).toContain('https://ledger.example.com');
    }
    expect((await append(app, entries)).status).toBe(404);
    expect((await app.request('/v1/log/key')).status).toBe(200);
    expect((await app.request('/.well-known/jwks.json')).status).toBe(200);
  });
});

describe('the issuers', () => {
  test.each([
    ['', 'a'],
    ['/workloads', 'w'],
  ])('{broker.url}%s publishes discovery and keys of its own', async (path, kid) => {
    const { app } = fakeApp();
    const discovery = (await (await app.request(`${path}/.well-known/openid-configuration`)).json()) as {
      issuer: string;
      jwks_uri: string;
    };
    expect(discovery).toMatchObject({
      issuer: `https://pass.example.com${path}`,
      id_token_signing_alg_values_supported: ['ES256'],
    });
    const jwks = (await (await app.request(new URL(discovery.jwks_uri).pathname)).json()) as {
      keys: { kid: string }[];
    };
    expect(jwks.keys.map((key) => key.kid)).toEqual([kid]);
  });
});

describe('operating', () => {
  test('health needs nothing; readiness needs ledger and keys', async () => {
    const { app } = fakeApp({ deployment: { ready: () => Promise.reject(new Error('down')) } });
    expect((await app.request('/healthz')).status).toBe(200);
    const response = await app.request('/readyz');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'ledger_unavailable' });
  });

  test('metrics are for loopback and auditors, not for what a local proxy forwards', async () => {
    const { app } = fakeApp();
    const from = (remoteAddress: string, headers = {}) =>
      app.request('/metrics', { headers }, { incoming: { socket: { remoteAddress } } });
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) expect((await from(address)).status).toBe(200);
    for (const address of ['198.51.100.7', '::ffff:198.51.100.7', '127.0.0.1.example'])
      expect((await from(address)).status).toBe(401);
    expect((await from('127.0.0.1', { 'x-forwarded-for': '127.0.0.1' })).status).toBe(401);
    expect((await app.request('/metrics', { headers: { 'x-forwarded-for': '127.0.0.1' } })).status).toBe(401);
    expect((await from('198.51.100.7', bearer('workload'))).status).toBe(403);
    expect((await from('198.51.100.7', bearer('auditor'))).status).toBe(200);
  });

  test('counts requests by route and refusals by reason', async () => {
    const { app, metrics } = fakeApp();
    await app.request('/v1/credentials/orders-db', { method: 'POST', headers: { authorization: 'Bearer garbage' } });
    await app.request('/some/raw/path');
    expect(metrics.render()).toContain('hallpass_http_requests_total{route="/v1/credentials/{name}",status="401"} 1\n');
    expect(metrics.render()).toContain('hallpass_refusals_total{code="token_invalid",reason="bad_signature"} 1\n');
    expect(metrics.render()).not.toContain('raw');
  });
});
