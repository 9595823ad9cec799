import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { csvCell } from '../../src/http/items.ts';
import type { LogReader } from '../../src/ledger/ledger.ts';
import type { QueryIndex } from '../../src/ledger/query-index.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { clockAt, scribe, soon } from '../ledger/fixtures.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { filesBelow } from '../support/bytes-on-disk.ts';
import { audience, embeddedConfig, secretValue } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { fakeApp, tokens } from './fake-deployment.ts';

const issuer = testIssuer('https://issuer.test', audience);
/** As an identity's name has it, in a query. */
const checkout = encodeURIComponent(`ci:${encodeURIComponent('svc:checkout')}`);
const who = (subject: string) => ({ identity: { issuer: 'ci', subject } });
const policy = {
  credentials: {
    'stripe-key': { kind: 'secret', store: 'vars', name: 'stripe' },
    partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
  },
  roles: {
    checkout: ['stripe-key', 'partner'],
    auditor: { audit: 'read' },
    tracer: { audit: 'trace' },
  },
  grants: [
    { name: 'checkout', ...who('svc:checkout'), may: ['checkout'], ttl: '10m' },
    { name: 'reports', ...who('svc:reports'), may: ['checkout'], ttl: '10m' },
    { name: 'audit', ...who('svc:auditor'), may: ['auditor'] },
    { name: 'trace', ...who('svc:tracer'), may: ['tracer'] },
    { name: 'tracers', ...who('svc:busy'), may: ['tracer'] },
  ],
  stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
};

let place: ReturnType<typeof temporaryFolder>;
let broker: OpenBroker;
let lines = '';
const issued: { id: string; token?: string; receipt: { record: string } }[] = [];

beforeAll(async () => {
  place = temporaryFolder();
  const log = (...line: unknown[]) => {
    lines += `${JSON.stringify(line)}\n`;
  };
  broker = await openBroker(embeddedConfig(place.folder, issuer, policy), place.folder, {
    env: { TEST_SECRET_stripe: secretValue },
    log,
  });
  const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
  const issue = async (credential: string, sub: string, headers = {}) => {
    const answer = await send('POST', `/v1/credentials/${credential}`, sub, undefined, headers);
    expect(answer.status).toBe(200);
    const { id, data, receipt } = await answer.json();
    issued.push({ id, token: data.token, receipt });
  };
  await issue('stripe-key', 'svc:checkout');
  await issue('partner', 'svc:checkout', trace);
  await issue('stripe-key', 'svc:reports');
  await issue('partner', 'svc:reports');
  for (let n = 0; n < 8; n++) await issue('partner', n % 2 === 0 ? 'svc:checkout' : 'svc:reports');
  expect((await send('POST', '/v1/credentials/nothing', 'svc:reports')).status).toBe(403);
});
afterAll(async () => {
  await broker.deployment.close();
  place.remove();
});

const send = (method: string, path: string, sub: string, body?: object, headers = {}) =>
  broker.send(path, {
    method,
    headers: {
      authorization: `Bearer ${issuer.token({ sub })}`,
      ...headers,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const get = (query: string, headers = {}, sub = 'svc:auditor') =>
  send('GET', `/v1/issuances${query}`, sub, undefined, headers);

interface Item extends JsonObject {
  log: string;
  index: number;
  record: JsonObject & { id: string; type: string };
}
interface Answer {
  readonly items: Item[];
  readonly next?: string;
  readonly newer?: string;
  readonly cut?: Record<string, number>;
  readonly indexed?: Record<string, number>;
}
const list = async (query = ''): Promise<Answer> => {
  const answer = await get(query);
  expect(answer.status).toBe(200);
  return answer.json();
};
const all = (items: readonly Item[], member: string) => [...new Set(items.map(({ record }) => record[member]))];
const text = async (query: string, headers = {}) => {
  const answer = await get(query, headers);
  expect(answer.status).toBe(200);
  const header = (name: string) => answer.headers.get(name);
  return { type: header('content-type'), missing: header('hallpass-missing'), body: await answer.text() };
};
const reads = async () =>
  (await broker.deployment.ledger.reader?.list({ type: 'read', limit: 1_000 }, soon()))?.map((entry) => ({
    items: JSON.parse(entry.record).items,
    query: (JSON.parse(Buffer.from(entry.disclosure ?? '', 'base64url').toString()) as [string, JsonObject])[1].query,
  })) ?? [];
const readsOf = async (work: () => Promise<unknown>) => {
  const { length } = await reads();
  await work();
  const after = await reads();
  return after.slice(0, after.length - length).reverse();
};

describe('GET /v1/issuances', () => {
  test('takes every filter, alone and together', async () => {
    const { items: everything } = await list('?type=*&limit=1000');
    const mine = issued[1] as (typeof issued)[number];
    const [one] = (await list(`?trace=${'a'.repeat(32)}`)).items as [Item];
    expect(one.record.id).toBe(mine.id);
    const disclosed = one.disclosed as JsonObject;
    for (const [query, ids] of Object.entries<string[]>({
      [`token=${disclosed.token}`]: [mine.id],
      [`credential=partner&identity=${checkout}&trace=${'a'.repeat(32)}`]: [mine.id],
      [`account=${mine.id}`]: [],
    }))
      expect(
        (await list(`?${query}`)).items.map(({ record }) => record.id),
        query,
      ).toEqual(ids);

    expect(all((await list('?credential=stripe-key')).items, 'credential')).toEqual(['stripe-key']);
    expect((await list('?kind=secret')).items).toHaveLength(2);
    expect((await list('?store=vars')).items).toHaveLength(2);
    expect((await list('?kind=secret&grant=reports')).items).toHaveLength(1);
    expect((await list('?identity=ci:*')).items).toHaveLength(12);
    expect((await list('?identity=ci:svc%253Arep*')).items).toHaveLength(6);
    expect((await list('?issuer=ci&type=denial&reason=no_credential')).items).toHaveLength(1);
    expect((await list('?issuer=self&type=*')).items.length).toBe(0);
    const [secret] = (await list('?kind=secret')).items as [Item];
    const { items: printed } = await list(`?fingerprint=${secret.record.fingerprint}`);
    expect(printed).toHaveLength(2);

    const times = everything.map(({ record }) => record.time as string);
    const middle = times[4] as string;
    const { items: later } = await list(`?type=*&from=${middle}&limit=1000`);
    expect(later.every(({ record }) => (record.time as string) >= middle)).toBe(true);
    const earlier = (await list(`?type=*&to=${middle}&limit=1000`)).items;
    expect(earlier.every(({ record }) => (record.time as string) < middle)).toBe(true);
    const after = middle.replace('Z', '000001Z');
    const { items: still } = await list(`?type=*&to=${after}&limit=1000`);
    expect(all(still, 'time')).toContain(middle);
    expect(all((await list(`?type=*&from=${after}&limit=1000`)).items, 'time')).not.toContain(middle);
    expect((await list(`?type=issuance&from=2026-01-01T00:00:00Z&to=2999-01-01T00:00:00Z`)).items).toHaveLength(12);
  });

  test('says how far its index has seen, and pages without gap or overlap while others append', async () => {
    const found: string[] = [];
    let query = '?limit=5&credential=partner';
    const recorded = await readsOf(async () => {
      for (let pages = 0; pages < 5; pages++) {
        const { items, next, indexed } = await list(query);
        found.push(...items.map(({ record }) => record.id));
        expect(indexed === undefined).toBe(pages > 0);
        if (pages === 0) await send('POST', '/v1/credentials/partner', 'svc:reports');
        if (next === undefined) break;
        query = `?limit=5&credential=partner&cursor=${next}`;
      }
    });
    const partners = issued.filter(({ token }) => token !== undefined).map(({ id }) => id);
    expect(found).toEqual(partners.reverse());
    expect(recorded).toEqual([{ items: 5, query: { type: 'issuance', credential: 'partner', limit: 5 } }]);
  });

  test('leaves out what is disclosed where told, and such a cursor shows no more than that', async () => {
    const { items, next } = await list('?disclosures=false&limit=3');
    for (const item of items) expect(Object.keys(item)).toEqual(['log', 'index', 'record']);
    expect((await get(`?limit=3&cursor=${next}`)).status).toBe(400);
    expect(Object.keys((await list(`?disclosures=false&limit=3&cursor=${next}`)).items[0] as Item)).not.toContain(
      'disclosed',
    );
  });

  test('goes on with what came since, as one query', async () => {
    const recorded = await readsOf(async () => {
      let { newer } = await list(`?identity=${checkout}&limit=1`);
      for (let round = 0; round < 3; round++) {
        const { id } = await (await send('POST', '/v1/credentials/partner', 'svc:checkout')).json();
        await send('POST', '/v1/credentials/partner', 'svc:reports');
        const since = await list(`?identity=${checkout}&cursor=${newer}`);
        expect(since.items.map(({ record }) => record.id)).toEqual([id]);
        expect(Object.keys(since)).toEqual(['items', 'newer']);
        newer = since.newer;
      }
    });
    expect(recorded).toHaveLength(1);
  });

  test('goes on where a log ended that was restored to fewer entries than a cursor came to, and says so', async () => {
    const reader = broker.deployment.ledger.reader as LogReader;
    const { newer } = await list('?type=*&limit=1');
    const head = await reader.head(soon());
    const { base, size, generation } = head;
    const kept = base + size - 2;
    const restored = (more: number) => ({
      generation: generation + 1,
      base: kept,
      ended: [...head.ended, { generation, base, size: size - 2 }],
      size: more,
    });
    // Longer by now than the cursor came, as long, and shorter with nothing that says why.
    for (const [log, items] of [
      [restored(2), 2],
      [restored(1), 1],
      [{ size: size - 2 }, 0],
    ] as const) {
      const spy = vi.spyOn(reader, 'head').mockResolvedValue({ ...head, ...log });
      const first = await list(`?type=*&cursor=${newer}`);
      const again = await list(`?type=*&cursor=${first.newer}`);
      spy.mockRestore();
      expect([first.items.length, first.cut]).toEqual([items, { [broker.deployment.ledger.origin]: kept }]);
      expect([again.items.length, again.cut]).toEqual([0, undefined]);
    }
    const same = await list(`?type=*&cursor=${newer}`);
    // The question before it is a record too.
    expect([all(same.items, 'type'), same.cut]).toEqual([['read'], undefined]);
  });

  test('is no way into an export that is not recorded, by its cursors', async () => {
    const { next, newer } = await list('?limit=1');
    for (const cursor of [next, newer]) {
      const recorded = await readsOf(async () => {
        const answer = await get(`?format=ndjson&cursor=${cursor}`);
        expect(answer.status).toBe(400);
        expect((await answer.json()).detail).toBe('The cursor is not one of this query.');
      });
      expect(recorded).toEqual([]);
    }
  });

  test.each([
    ['type=issuanse', 'type', 'issuance'],
    ['from=yesterday', 'from', '2026-11-22T12:00:00Z'],
    ['limit=0', 'limit', 'a number from 1 on'],
    ['format=xml', 'format', 'json, ndjson, csv, ocsf'],
    ['trace=xyz', 'trace', '32 hexadecimal digits in lower case'],
    ['fingerprint=x', 'fingerprint', 'hmac-sha256:'],
    ['disclosures=no', 'disclosures', 'true, false'],
    ['subject=x', 'parameter', 'identity, issuer'],
    ['identity=100%', 'query', 'percent-encoded UTF-8'],
    ['identity=%ff', 'query', 'percent-encoded UTF-8'],
  ])('says of ?%s what it takes instead', async (query, name, words) => {
    const answer = await get(`?${query}`);
    expect(answer.status).toBe(400);
    const { detail, hint } = await answer.json();
    expect(detail).toContain(name);
    expect(`${detail} ${hint}`).toContain(words);
    expect(`${detail} ${hint}`).not.toContain('xml');
  });

  test('finds an identity by its name, however long that is', async () => {
    const sub = ':'.repeat(255);
    expect((await send('POST', '/v1/credentials/nothing', sub)).status).toBe(403);
    const name = `ci:${encodeURIComponent(sub)}`;
    expect((await list(`?type=denial&identity=${encodeURIComponent(name)}`)).items).toHaveLength(1);
  });

  test('takes the digest of a token, and never a token', async () => {
    expect((await get(`?token=${'x'.repeat(43)}`)).status).toBe(200);
    for (const token of ['x'.repeat(42), 'secret-token', issuer.token()]) {
      const answer = await get(`?token=${token}`);
      expect(answer.status).toBe(400);
      expect((await answer.json()).detail).toContain('does not belong into a URL');
    }
    expect((await broker.send(`/v1/credentials/partner?token=${'x'.repeat(43)}`, { method: 'POST' })).status).toBe(400);
  });
});

describe('an export', () => {
  test('is all that fits, as NDJSON, newest first, and one read record with how many', async () => {
    const recorded = await readsOf(async () => {
      const { type, body } = await text('?credential=stripe-key', { accept: 'application/x-ndjson' });
      expect(type).toBe('application/x-ndjson');
      const items = body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Item);
      expect(items).toEqual((await list('?credential=stripe-key')).items);
    });
    expect(recorded[0]).toEqual({
      items: 2,
      query: { type: 'issuance', credential: 'stripe-key', format: 'ndjson' },
    });
    expect(recorded).toHaveLength(2);
  });

  test('has what the index could not read in the time of a question', async () => {
    const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '0' });
    const entries = Array.from({ length: 100 }, () => write.issuance(write.id(), { credential: 'late' }));
    const { ledger } = broker.deployment;
    await ledger.append({ entries, epoch: 0, policy: `sha256:${'p'.repeat(43)}` }, soon());
    const index = ledger.index as { -readonly [member in keyof QueryIndex]: QueryIndex[member] };
    const { add, batch, read } = index;
    Object.assign(index, { batch: 20, read: undefined });
    index.add = async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      return add(...given);
    };
    try {
      const { items } = await list('?credential=late');
      expect(items.length).toBeLessThan(100);
      const { body, missing } = await text('?credential=late&format=ndjson');
      expect(body.trimEnd().split('\n')).toHaveLength(100);
      expect(missing).toBeNull();
    } finally {
      Object.assign(index, { add, batch, read });
    }
  });

  test('says how many entries its index has not seen', async () => {
    const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '0' });
    const entries = Array.from({ length: 7 }, () => write.issuance(write.id(), { credential: 'unseen' }));
    const { ledger } = broker.deployment;
    await text('?format=ndjson');
    await ledger.append({ entries, epoch: 0, policy: `sha256:${'p'.repeat(43)}` }, soon());
    const index = ledger.index as { -readonly [member in keyof QueryIndex]: QueryIndex[member] };
    const { add, read } = index;
    Object.assign(index, { read: undefined, add: () => Promise.reject(new Error('broken')) });
    try {
      const { body, missing } = await text('?credential=unseen&format=ndjson');
      // These, and the record of the export before.
      expect([body, missing]).toEqual(['', '8']);
      // And the record of this one; then that of the list.
      expect(await list('?credential=unseen')).toMatchObject({ items: [], missing: 9 });
      const traced = await send('POST', '/v1/trace', 'svc:tracer', { value: 'a-value-that-nobody-was-given' });
      expect(await traced.json()).toMatchObject({ items: [], missing: 10 });
    } finally {
      Object.assign(index, { add, read });
    }
    expect((await text('?credential=unseen&format=ndjson')).body.trimEnd().split('\n')).toHaveLength(7);
  });

  test('can be proved without its disclosures', async () => {
    const { body } = await text('?format=ndjson&disclosures=false&credential=stripe-key');
    expect(body).not.toContain('"disclosed"');
    expect(body).not.toContain('"disclosure"');
    const key = await broker.deployment.ledger.key(soon());
    const { items } = await (await send('GET', `/v1/issuances/${issued[0]?.id}`, 'svc:auditor')).json();
    const { log, index, record, proof } = items.at(-1);
    expect(body).toContain(JSON.stringify(record));
    verifyReceipt({ log, index, record: issued[0]?.receipt.record as string, proof }, key);
  });

  test('as CSV has a head and no cell that a spreadsheet would run', async () => {
    const { type, body } = await text('?type=*&limit=1000', { accept: 'text/csv' });
    expect(type).toBe('text/csv; charset=utf-8');
    const [head, ...rows] = body.trimEnd().split('\r\n');
    expect(head?.split(',').slice(0, 4)).toEqual(['log', 'index', 'time', 'type']);
    expect(rows).toHaveLength(Number((await list('?type=*&limit=1')).items[0]?.index));
    expect(rows.every((row) => row.split(',').length === head?.split(',').length)).toBe(true);
    for (const row of rows) expect(row).not.toMatch(/(^|,)"?[=+@-]/);
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', ' =1+1', '\u00a0=1', '\t=1', '\uff1d1+1', '|calc'])(
    'as CSV makes text of %j',
    (cell) => {
      expect(csvCell(cell)).toMatch(/^"?'/);
      expect(csvCell(`a${cell}`)).not.toContain("'");
    },
  );

  test('as OCSF is one event a line', async () => {
    const { body } = await text('?format=ocsf&limit=3');
    const events = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events).toHaveLength(3);
    for (const event of events) expect(event).toMatchObject({ class_uid: 6003, metadata: expect.any(Object) });
    expect((await text('?format=ocsf&limit=3&disclosures=false')).body).not.toContain('svc:');
  });

  test('takes no more than a limit, of any size, and more pages than one', async () => {
    const lines = async (query: string) => (await text(query)).body.split('\n').length - 1;
    expect(await lines('?format=ndjson&limit=7')).toBe(7);
    expect(await lines(`?format=ndjson&type=*&limit=${'9'.repeat(20)}`)).toBeGreaterThan(20);
  });

  test('prefers what Accept names first', async () => {
    expect((await text('', { accept: 'text/csv, application/json' })).type).toContain('text/csv');
    expect((await text('', { accept: 'application/json, text/csv' })).type).toBe('application/json');
    expect((await text('', { accept: 'text/csv;q=0, */*' })).type).toBe('application/json');
    expect((await text('', { accept: 'application/json;q=0.5, text/csv' })).type).toContain('text/csv');
    expect((await text('?format=csv', { accept: 'application/json' })).type).toContain('text/csv');
    expect((await get('', { accept: 'text/html' })).status).toBe(406);
  });

  test('answers a range in a type of it that it can write', async () => {
    for (const [accept, type] of [
      ['text/*', 'text/csv; charset=utf-8'],
      ['*/*', 'application/json'],
      ['application/*', 'application/json'],
      ['text/html, text/*;q=0.8', 'text/csv; charset=utf-8'],
      ['text/*, application/json;q=0.5', 'text/csv; charset=utf-8'],
      ['application/json;q=0, application/*', 'application/x-ndjson'],
      ['text/*;q=0.1, */*;q=0.2', 'application/json'],
    ] as const)
      expect([accept, (await text('', { accept })).type]).toEqual([accept, type]);
    expect((await get('', { accept: 'image/*' })).status).toBe(406);
    expect((await get('', { accept: '*/*;q=0' })).status).toBe(406);
  });

  test('gives nothing to who may not read, and is refused before a byte where it cannot be recorded', async () => {
    expect((await get('?format=csv', {}, 'svc:reports')).status).toBe(403);
    const { ledger } = broker.deployment;
    const { append } = ledger;
    (ledger as { append: unknown }).append = () => Promise.reject(new Error('down'));
    try {
      expect((await get('?format=csv')).status).toBe(500);
    } finally {
      (ledger as { append: unknown }).append = append;
    }
  });
});

describe('POST /v1/trace', () => {
  const trace = async (value: string, sub = 'svc:tracer') => {
    const answer = await send('POST', '/v1/trace', sub, { value });
    return {
      status: answer.status,
      ...((await answer.json()) as { items: Item[]; matched?: string; notComparable?: number }),
    };
  };
  const mine = () => issued[1] as (typeof issued)[number];

  test('leads from a leaked value, an id, an account, a token and a digest to the issuance', async () => {
    const leaked = await trace(secretValue);
    expect(leaked).toMatchObject({ status: 200, matched: 'fingerprint' });
    expect(leaked.items.map(({ record }) => record.id).sort()).toEqual([issued[0]?.id, issued[2]?.id].sort());
    expect((await trace(`postgres://app:${encodeURIComponent(secretValue)}@db.test/orders`)).matched).toBe(
      'fingerprint',
    );
    expect((await trace(`${secretValue}\n`)).matched).toBe('fingerprint');
    const [item] = (await list(`?trace=${'a'.repeat(32)}`)).items as [Item];
    const { token } = item.disclosed as { token: string };
    for (const [value, matched] of [
      [mine().id, 'id'],
      [mine().id.toUpperCase(), 'id'],
      [`hp_${mine().id}`, 'id'],
      [mine().token as string, 'id'],
      [token, 'token'],
    ] as const) {
      const found = await trace(value);
      expect([found.matched, found.items.map(({ record }) => record.id)], value).toEqual([matched, [mine().id]]);
    }
  });

  test('a miss is a record too, and neither it nor a log nor a file has the value', async () => {
    const canary = 'fake-canary-value-that-leaked-4711';
    const recorded = await readsOf(async () => {
      expect(await trace(canary)).toEqual({ status: 200, items: [], indexed: expect.anything() });
      expect((await trace(mine().id)).matched).toBe('id');
    });
    expect(recorded).toEqual([
      { items: 0, query: { trace: 'nothing' } },
      { items: 1, query: { trace: 'id', issuance: mine().id } },
    ]);
    expect(lines).not.toContain(canary);
    expect(lines).not.toContain(secretValue);
    for (const file of filesBelow(place.folder)) {
      const bytes = readFileSync(file);
      for (const value of [canary, secretValue]) expect(bytes.includes(value), file).toBe(false);
    }
  });

  test('is for audit: trace alone', async () => {
    expect((await trace('x', 'svc:auditor')).status).toBe(403);
    expect((await trace('x', 'svc:checkout')).status).toBe(403);
    expect((await get('', {}, 'svc:tracer')).status).toBe(403);
  });

  test('is limited for each identity, and says when to come back', async () => {
    const answers = [];
    for (let n = 0; n < 32; n++) answers.push(await send('POST', '/v1/trace', 'svc:busy', { value: 'x' }));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(30);
    expect((await trace(mine().id)).status).toBe(200);
  });

  test.each<[string, object | undefined]>([
    ['no body', undefined],
    ['no value', {}],
    ['an empty value', { value: '' }],
    ['another member', { value: 'x', more: 1 }],
    ['a number', { value: 5 }],
  ])('refuses %s', async (_, body) => {
    expect((await send('POST', '/v1/trace', 'svc:tracer', body)).status).toBe(400);
  });

  test('says how many records it could not compare, after the keys were given up', async () => {
    const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '0' });
    const print = { fingerprint: `hmac-sha256:${'z'.repeat(43)}`, fingerprintKey: 'gone-key' };
    const entry = write.issuance(write.id(), { ...print, kind: 'secret' });
    const asked = { entries: [entry], epoch: 0, policy: `sha256:${'p'.repeat(43)}` };
    await broker.deployment.ledger.append(asked, soon());
    const found = await trace('another value that nobody has');
    expect(found).toMatchObject({ items: [], notComparable: 1 });
  });
});

test('the index lies beside the ledger', () => {
  expect(readFileSync(join(place.folder, 'ledger.db.index')).subarray(0, 15).toString()).toBe('SQLite format 3');
});

describe('an export where an answer is sent as a whole', () => {
  test('is cut to a page, with the cursor of the rest in a header, all of it one read record', async () => {
    const { app, seen } = fakeApp({ runtime: 'lambda' });
    const found: string[] = [];
    let cursor = '';
    for (let pages = 0; pages < 4; pages++) {
      const path = `/v1/issuances?format=csv&limit=2${cursor}`;
      const answer = await app.request(path, { headers: { authorization: `Bearer ${tokens.auditor}` } });
      expect(answer.status).toBe(200);
      found.push(...(await answer.text()).trimEnd().split('\r\n'));
      const next = answer.headers.get('hallpass-next');
      if (next === null) break;
      cursor = `&cursor=${next}`;
    }
    expect(found.map((line) => line.split(',')[1])).toEqual(['index', '4', '3', '2', '1', '0']);
    expect(seen.reads).toEqual([{ query: { type: 'issuance', format: 'csv', limit: 2 }, items: 2 }]);
  });
});
