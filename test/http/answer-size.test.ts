import { expect, test } from 'vitest';
import { makeCursor } from '../../src/http/cursor.ts';
import { type LambdaAnswer, serveLambda } from '../../src/http/lambda.ts';
import type { LogReader, PlacedEntry } from '../../src/ledger/ledger.ts';
import { canonicalJson } from '../../src/lib/canonical-json.ts';
import { fakeApp, fakeEntry, leaseId, tokens } from './fake-deployment.ts';

const size = 120;
/** Of what an invocation may answer with. */
const most = 6 * 1024 * 1024;

/** As large as a writer may send one, and of what JSON writes in two bytes. */
const disclosure = Buffer.from(JSON.stringify(['c2FsdA', { name: 'ci:workload', why: '\\"'.repeat(11_000) }])).toString(
  'base64url',
);
const writer = { name: 'https://pass.example.com', instance: 'test', version: '0' };
const record = canonicalJson({ ...JSON.parse(fakeEntry(0).record), writer });
const largeEntry = (index: number): PlacedEntry => ({ ...fakeEntry(index), record, disclosure });

function large() {
  const { deployment } = fakeApp();
  const reader: LogReader = {
    ...(deployment.ledger.reader as LogReader),
    head: async () => ({ ...(await (deployment.ledger.reader as LogReader).head(undefined as never)), size }),
    entries: async (from, to) =>
      Array.from({ length: Math.max(0, Math.min(to, size) - from) }, (_, at) => largeEntry(from + at)),
    list: async ({ before = size, limit }) =>
      Array.from({ length: Math.min(before, limit) }, (_, at) => largeEntry(before - 1 - at)),
    story: async () =>
      Array.from({ length: size }, (_, at) => ({ ...largeEntry(at), proof: 'c2sp.org/tlog-proof@v1' })),
    copy: async (from, limit) => ({
      generation: 1,
      base: 0,
      from,
      entries: Array.from({ length: Math.min(limit, size - from) }, (_, at) => largeEntry(from + at)),
      checkpoints: [],
    }),
  };
  const fake = fakeApp({ runtime: 'lambda', ledger: { reader } });
  const handler = serveLambda(fake.app, fake.platform);
  async function ask(method: string, path: string, token: string, body?: string): Promise<LambdaAnswer> {
    const [rawPath = '', rawQueryString = ''] = path.split('?');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const requestContext = { http: { method } };
    const answer = await handler({ rawPath, rawQueryString, headers, requestContext, ...(body && { body }) });
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(most);
    return answer;
  }
  async function get(path: string, token: string = tokens.auditor): Promise<LambdaAnswer> {
    const answer = await ask('GET', path, token);
    expect(answer.statusCode).toBe(200);
    return answer;
  }
  return { ask, get, seen: fake.seen };
}

const newestFirst = Array.from({ length: size }, (_, at) => size - 1 - at);
const indexOf = ({ index }: { readonly index: number }) => index;

test('a page of large records is no larger than an invocation may answer with, and goes on where it ended', async () => {
  const { get, seen } = large();
  const found: number[] = [];
  let cursor = '';
  for (let pages = 0; pages < 20; pages++) {
    const { items, next } = JSON.parse((await get(`/v1/issuances?limit=1000${cursor}`)).body);
    found.push(...items.map(indexOf));
    if (pages === 0) expect(seen.reads).toMatchObject([{ items: items.length }]);
    if (next === undefined) break;
    cursor = `&cursor=${next}`;
  }
  expect(found).toEqual(newestFirst);
  expect(seen.reads).toHaveLength(1);
});

test.each(['ndjson', 'csv', 'ocsf'])('an export of large records as %s too', async (format) => {
  const { get } = large();
  let lines = '';
  let cursor = '';
  for (let pages = 0; pages < 20; pages++) {
    const { body, headers } = await get(`/v1/issuances?format=${format}${cursor}`);
    lines += body;
    if (headers['hallpass-next'] === undefined) break;
    cursor = `&cursor=${headers['hallpass-next']}`;
  }
  expect(lines.trimEnd().split(/\r?\n/)).toHaveLength(format === 'csv' ? size + 1 : size);
});

test('and what came since', async () => {
  const { get } = large();
  const of = { query: { type: 'issuance' }, who: ['ci', 'https://auditor.example.com', 'auditor'] };
  const since = Math.floor(Date.now() / 1000);
  let cursor = makeCursor(new Uint8Array(32), of, { at: [0], since, newer: true });
  const found: number[] = [];
  for (let pages = 0; found.length < size && pages < 20; pages++) {
    const { items, newer } = JSON.parse((await get(`/v1/issuances?cursor=${cursor}`)).body);
    found.push(...items.map(indexOf).reverse());
    cursor = newer;
  }
  expect(found.reverse()).toEqual(newestFirst);
});

test('and what a standby gets', async () => {
  const { get } = large();
  const { copied } = JSON.parse((await get('/v1/log/follow?after=0&name=frankfurt', tokens.writer)).body);
  expect(copied.entries.length).toBeGreaterThan(8);
});

test('and what a trace finds, which says that there is more', async () => {
  const { ask, seen } = large();
  const answer = await ask('POST', '/v1/trace', tokens.auditor, JSON.stringify({ value: leaseId }));
  const { items, more, matched } = JSON.parse(answer.body);
  expect([answer.statusCode, matched, more]).toEqual([200, 'id', true]);
  expect(items.map(indexOf)).toEqual(newestFirst.slice(0, items.length));
  expect(items.length).toBeGreaterThan(8);
  expect(seen.reads).toMatchObject([{ items: items.length }]);
});

test('an issuance of more than that is refused, and not recorded as read', async () => {
  const { ask, seen } = large();
  const { statusCode, body } = await ask('GET', `/v1/issuances/${leaseId}`, tokens.auditor);
  expect([statusCode, JSON.parse(body).code, seen.reads]).toEqual([413, 'too_large', []]);
});
