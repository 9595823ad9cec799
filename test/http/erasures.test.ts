import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildDeployment } from '../../src/config/build.ts';
import type { Deployment } from '../../src/config/deployment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createApp } from '../../src/http/app.ts';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import { disclosedIn } from '../../src/ledger/questions/index-row.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { clockAt, scribe, soon } from '../ledger/fixtures.ts';
import { filesWith } from '../support/bytes-on-disk.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { bearer, fakeApp } from './fake-deployment.ts';

const issuer = testIssuer('https://issuer.test', audience);
const person = 'erika-marker-4711';
const name = `ci:${person}`;
const roles = {
  workload: ['partner'],
  auditor: { audit: 'read' },
  eraser: { audit: ['erase', 'read'] },
};
const may = (name: string, subject: string, role: string, more = {}) => ({
  name,
  identity: { issuer: 'ci', subject },
  may: [role],
  ...more,
});
const grants = [
  may('first', person, 'workload', { ttl: '5m' }),
  may('other', 'other', 'workload', { ttl: '5m' }),
  may('audit', 'auditor', 'auditor'),
  may('erase', 'eraser', 'eraser'),
  may('erase-too', 'second-eraser', 'eraser'),
];

let place: ReturnType<typeof temporaryFolder>;
let deployment: Deployment;
let app: ReturnType<typeof createApp>;

async function open(ledger: object = {}, more: object = {}): Promise<void> {
  const { folder } = place;
  const platform: Platform = {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => randomBytes(bytes),
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'test',
  };
  const config = embeddedConfig(folder, issuer, {
    roles,
    grants,
    ledger: { kind: 'sqlite', path: 'ledger.db', ...ledger },
    // A machine that does much besides is slow, and that is not what is asked here.
    limits: { ledger: '20s', request: '60s' },
    ...more,
  });
  const loaded = await loadConfig(JSON.stringify(config), { file: 'test', runtime: 'node', env: {}, folder });
  deployment = await buildDeployment(loaded.config, platform);
  app = createApp(deployment, platform);
}

beforeEach(async () => {
  place = temporaryFolder();
  await open();
});
afterEach(async () => {
  await deployment.close();
  place.remove();
});

const as = (sub: string, claims = {}) => ({ authorization: `Bearer ${issuer.token({ sub, ...claims })}` });
const send = (method: string, path: string, sub: string, body?: object) =>
  app.request(path, {
    method,
    headers: { ...as(sub), ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const issue = async (sub: string) => {
  const answer = await send('POST', '/v1/credentials/partner', sub, { reason: `why-of-${sub}` });
  expect(answer.status).toBe(200);
  return (await answer.json()).receipt;
};
const erase = async (body: object = {}, sub = 'eraser') => {
  const answer = await send('POST', '/v1/erasures', sub, { identity: name, reason: 'request 17 of 2026', ...body });
  return { status: answer.status, body: await answer.json() };
};
const records = async () =>
  (await deployment.ledger.reader?.entries(0, 10_000, soon()))?.map(({ record, disclosure }) => ({
    ...parseRecord(record),
    disclosed: disclosedIn(disclosure),
  })) ?? [];
const none = { hold: 0, min: 0, live: 0, lockdown: 0, own: 0 };
const deny = (sub: string) => send('POST', '/v1/credentials/stripe-key', sub);

describe('POST /v1/erasures', () => {
  test('erases what is disclosed of one person, leaves a record of it, and no proof breaks', async () => {
    const receipts = [await issue(person), await issue('other'), await issue(person)];
    await deny(person);
    expect(filesWith(place.folder, [person]).length).toBeGreaterThan(0);
    expect(await erase()).toEqual({ status: 200, body: { erased: 3, kept: none, seen: 7, size: 8 } });
    const key = await deployment.ledger.key(soon());
    for (const { disclosure: _, ...receipt } of receipts) verifyReceipt(receipt, key);
    const all = await records();
    expect(all.filter(({ disclosed }) => disclosed.name === name)).toEqual([]);
    expect(all.filter(({ disclosed }) => disclosed.name === 'ci:other')).toHaveLength(1);
    expect(all.at(-1)).toMatchObject({
      type: 'erasure',
      count: 3,
      grant: 'erase',
      identity: { issuer: 'ci' },
      disclosed: { name: 'ci:eraser', subject: 'eraser', why: 'request 17 of 2026' },
    });
    expect(filesWith(place.folder, [person])).toEqual([]);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, place.folder);
    expect((await verifyLog(source, { needIntent: new Set() })).findings).toEqual([]);
    await close();
  });

  test('finds nothing the second time, and says in the log that it was asked', async () => {
    await issue(person);
    await erase();
    expect((await erase()).body.erased).toBe(0);
    expect((await records()).map(({ type, items }) => [type, items]).slice(-2)).toEqual([
      ['erasure', undefined],
      ['read', 0],
    ]);
  });

  test('is for identities with audit: erase alone', async () => {
    await issue(person);
    expect((await erase({}, 'auditor')).status).toBe(403);
    expect((await erase({}, person)).status).toBe(403);
    expect(await records()).toContainEqual(expect.objectContaining({ disclosed: expect.objectContaining({ name }) }));
  });

  test('counts in a dry run, which erases nothing and names nobody in its record', async () => {
    await issue(person);
    await issue(person);
    expect((await erase({ dryRun: true })).body).toEqual({ erased: 2, kept: none, seen: 5, size: 6, dryRun: true });
    expect((await records()).filter(({ disclosed }) => disclosed.name === name)).toHaveLength(2);
    const last = (await records()).at(-1);
    expect(last).toMatchObject({ type: 'read', items: 2, disclosed: { name: 'ci:eraser' } });
    expect(JSON.stringify(last)).not.toContain(person);
  });

  test("leaves the eraser's own records to another person", async () => {
    await deny('eraser');
    await deny('eraser');
    expect((await erase({ identity: 'ci:eraser' })).body).toMatchObject({ erased: 0, kept: { ...none, own: 1 } });
    const other = (await erase({ identity: 'ci:eraser' }, 'second-eraser')).body;
    expect(other.erased).toBeGreaterThan(0);
    expect(other.kept).toEqual(none);
  });

  test("leaves the eraser's own records also where the config calls its issuer by another name now", async () => {
    await deny('eraser');
    await deployment.close();
    const renamed = (one: ReturnType<typeof may>) => ({ ...one, identity: { ...one.identity, issuer: 'hub' } });
    await open({}, { issuers: { hub: { issuer: issuer.url, jwks: issuer.jwks } }, grants: grants.map(renamed) });
    expect((await erase({ identity: 'ci:eraser' })).body).toMatchObject({ erased: 0, kept: { ...none, own: 1 } });
    expect((await erase({ identity: 'ci:eraser' }, 'second-eraser')).body).toMatchObject({ erased: 1, kept: none });
  });

  test('says again what an eraser had erased whose own records go', async () => {
    await issue(person);
    const at = (await records()).findIndex(({ type }) => type === 'issuance');
    expect((await erase()).body).toMatchObject({ erased: 1 });
    expect((await erase({ identity: 'ci:eraser' }, 'second-eraser')).body).toMatchObject({ erased: 1, kept: none });
    const said = (await records()).filter(({ type }) => type === 'erasure');
    expect(said.filter(({ disclosed }) => disclosed.name === 'ci:eraser')).toEqual([]);
    expect(said.flatMap(({ disclosed }) => (disclosed.query as { positions?: number[] })?.positions ?? [])).toContain(
      at,
    );
  });

  test('keeps also who asked for or locked down by name whom a legal hold names', async () => {
    await deployment.close();
    await open({ hold: [{ name: 'case-7', reason: 'a lawsuit', identity: 'ci:erika-*' }] });
    await issue(person);
    expect((await send('GET', `/v1/issuances?identity=${encodeURIComponent(name)}`, 'auditor')).status).toBe(200);
    expect((await send('GET', '/v1/issuances?identity=ci:other', 'auditor')).status).toBe(200);
    expect((await erase()).body).toMatchObject({ erased: 0, kept: { ...none, hold: 2 } });
    expect((await erase({ identity: 'ci:other' })).body).toMatchObject({ erased: 1, kept: none });
  });

  test('takes the name of an identity however long it is, and so does a hold', async () => {
    const identity = `ci:${'a'.repeat(2_100)}`;
    expect(await erase({ identity, dryRun: true })).toMatchObject({ status: 200, body: { erased: 0 } });
    await deployment.close();
    await open({ hold: [{ name: 'case-7', reason: 'a lawsuit', identity }] });
  });

  test('takes * for one segment, an issuer, and a time before which', async () => {
    await issue(person);
    await issue('other');
    expect((await erase({ identity: 'ci:*', dryRun: true })).body.erased).toBe(2);
    expect((await erase({ identity: 'ci:*', issuer: 'nobody', dryRun: true })).body.erased).toBe(0);
    const before = '2026-01-01T00:00:00Z';
    expect((await erase({ before, dryRun: true })).body.erased).toBe(0);
  });

  test('erases also who asked for this person by name, and not who asked for others', async () => {
    await issue(person);
    const ask = (identity: string) => send('GET', `/v1/issuances?identity=${encodeURIComponent(identity)}`, 'auditor');
    expect((await ask(name)).status).toBe(200);
    expect((await ask('ci:other')).status).toBe(200);
    expect((await erase()).body.erased).toBe(2);
    expect(filesWith(place.folder, [person])).toEqual([]);
    const reads = (await records()).filter(({ type }) => type === 'read');
    expect(reads.map(({ disclosed }) => (disclosed.query as { identity: string } | undefined)?.identity)).toEqual([
      undefined,
      'ci:other',
    ]);
  });

  test('keeps what is held, and what is younger than min, and says so', async () => {
    await deployment.close();
    const hold = [{ name: 'case-7', reason: 'a lawsuit', identity: name, type: 'denial' }];
    await open({ hold, retain: { issuance: { min: '1d' } } });
    await issue(person);
    await deny(person);
    expect((await erase()).body).toMatchObject({ erased: 0, kept: { ...none, hold: 1, min: 1 } });
    await deployment.close();
    await open({ hold });
    expect((await erase()).body).toMatchObject({ erased: 1, kept: { ...none, hold: 1 } });
    expect((await records()).at(-1)?.disclosed).toMatchObject({ query: { kept: { hold: 1 }, holds: ['case-7'] } });
  });

  test('goes on over several calls, each with its record, where the cursor says', async () => {
    const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '0.1.0' });
    const about = { name, iss: 'https://issuer.test', subject: person };
    for (let batch = 0; batch < 3; batch++) {
      const entries = Array.from({ length: 100 }, () =>
        write.issuance(write.id(), { kind: 'secret', policy: undefined }, about),
      );
      await deployment.ledger.append({ entries, epoch: 0 }, soon());
    }
    const first = (await erase()).body;
    expect(first).toMatchObject({ erased: 256, kept: none });
    expect((await erase({ cursor: first.next, identity: 'ci:other' })).status).toBe(400);
    expect((await erase({ cursor: first.next }, 'second-eraser')).status).toBe(400);
    const second = (await erase({ cursor: first.next })).body;
    expect(second).toMatchObject({ erased: 44, kept: none });
    expect(second.next).toBeUndefined();
    const erasures = (await records()).filter(({ type }) => type === 'erasure');
    expect(erasures.map(({ count }) => count)).toEqual([256, 44]);
    expect(filesWith(place.folder, [person])).toEqual([]);
  });

  test('forgets a person in the index as well', async () => {
    await issue(person);
    const found = async () =>
      (await (await send('GET', `/v1/issuances?identity=${encodeURIComponent(name)}`, 'auditor')).json()).items.length;
    expect(await found()).toBe(1);
    await erase();
    expect(await found()).toBe(0);
  });

  test.each<[string, object]>([
    ['no reason', { reason: undefined }],
    ['no identity', { identity: undefined }],
    ['everybody', { identity: '*' }],
    ['everybody of any issuer', { identity: '*:shop' }],
    ['a date that is none', { before: 'yesterday' }],
    ['a member of another route', { limit: 5 }],
    ['a cursor of nobody', { cursor: 'AAAA' }],
  ])('refuses %s, and erases nothing', async (_, body) => {
    await issue(person);
    expect((await erase(body)).status).toBe(400);
    expect((await records()).filter(({ disclosed }) => disclosed.name === name)).toHaveLength(1);
  });
});

test('beside a ledger that is elsewhere, erasing is that ledger’s', async () => {
  const { app: broker, seen } = fakeApp({ ledger: { elsewhere: 'https://ledger.example.com' } });
  const answer = await broker.request('/v1/erasures', { method: 'POST', headers: bearer('auditor') });
  expect(answer.status).toBe(404);
  expect((await answer.json()).hint).toContain('https://ledger.example.com');
  expect(seen.erasures).toEqual([]);
});
