import { createHash, createHmac } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import * as s from '../../src/lib/schema/index.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import type { SinkEntry } from '../../src/sinks/entry.ts';
import { s3 as s3Sink } from '../../src/sinks/s3.ts';
import type { SinkDeps } from '../../src/sinks/sink.ts';
import { refusal, startS3 } from '../fakes/s3.ts';
import { type FakeAnswer, type FakeServer, startFake } from '../fakes/server.ts';
import { entryOf, everyType } from './entries.ts';
import { handClock, openSink, readFrom, soon, told } from './rig.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(cleanups.splice(0).map((clean) => clean())));

async function fake(answer: FakeAnswer = { status: 200 }): Promise<FakeServer> {
  const server = await startFake(() => answer);
  cleanups.push(server.close);
  return server;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sinks-'));
  cleanups.push(() => rm(path, { recursive: true }));
  return path;
}

const ref = (name: string) => ({ store: 'here', name });
const read = readFrom({ hook: 'hook-secret', hec: 'hec-token', key: 'Bearer abc' });
const issuance = entryOf(everyType.issuance, 0);
const denial = entryOf(
  { ...everyType.denial, record: { ...everyType.denial.record, id: '01jd9m0000000000000000000d' } },
  1,
);
const entries: readonly SinkEntry[] = [issuance, { ...denial, disclosure: null }];
const checkpoint = {
  log: 'pass.example.com/ledger',
  size: 2,
  note: 'pass.example.com/ledger\n2\nAAAA\n\n\u2014 pass.example.com/ledger BBBB\n',
  known: 0,
  prove: async () => [],
};

const another = { fault: 'damaged', facts: { reason: 'other_checkpoint' } };
const besideTwo = `2-${createHash('sha256').update('another').digest('hex').slice(0, 16)}`;

const faultOf = (work: Promise<unknown> | undefined): Promise<UpstreamError> =>
  Promise.resolve(work).then(
    () => expect.unreachable('was delivered'),
    (error) => (error instanceof UpstreamError ? error : expect.unreachable(String(error))),
  );

const lines = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('http', () => {
  const open = (url: string, more: Record<string, unknown> = {}, deps: Partial<SinkDeps> = {}) =>
    openSink({ kind: 'http', url, ...more }, { read, ...deps });

  test('posts native lines, each of which leads back to the record’s own bytes', async () => {
    const server = await fake();
    await (await open(`${server.url}/in`)).deliver?.(entries, soon());
    const [call] = server.calls;
    expect(call?.headers['content-type']).toBe('application/x-ndjson');
    expect(lines(call?.body ?? '')).toMatchObject([
      { log: 'pass.example.com/ledger', index: 0, disclosed: { name: 'shop:checkout/web' } },
      { log: 'pass.example.com/ledger', index: 1 },
    ]);
    expect(JSON.stringify(lines(call?.body ?? '')[0]?.record)).toBe(issuance.record);
    expect(lines(call?.body ?? '')[1]).not.toHaveProperty('disclosure');
  });

  test('signs id, time and body as Standard Webhooks has it', async () => {
    const server = await fake();
    const sink = await open(
      server.url,
      { key: ref('hook'), headers: { Authorization: ref('key') } },
      { now: Date.now },
    );
    await sink.deliver?.(entries, soon());
    const { headers, body } = server.calls[0] as FakeServer['calls'][number];
    const [id, at] = [headers['webhook-id'], headers['webhook-timestamp']];
    const expected = createHmac('sha256', 'hook-secret').update(`${id}.${at}.${body}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${expected}`);
    expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(60);
    expect(headers.authorization).toBe('Bearer abc');
  });

  test('takes a key as Standard Webhooks writes it', async () => {
    const server = await fake();
    const bytes = Buffer.from('a key of twenty-four byte');
    const sink = await open(
      server.url,
      { key: ref('std') },
      { read: readFrom({ std: `whsec_${bytes.toString('base64')}` }) },
    );
    await sink.deliver?.(entries, soon());
    const { headers, body } = server.calls[0] as FakeServer['calls'][number];
    const said = createHmac('sha256', bytes).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
    expect(headers['webhook-signature']).toBe(`v1,${said.digest('base64')}`);
  });

  test('signs nothing with a key that is empty or not what it says', async () => {
    const server = await fake();
    for (const key of ['', 'whsec_', 'whsec_%%%']) {
      const sink = await open(server.url, { key: ref('std') }, { read: readFrom({ std: key }) });
      expect(await faultOf(sink.deliver?.(entries, soon()))).toMatchObject({ fault: 'invalid' });
    }
    expect(server.calls).toEqual([]);
  });

  test('says of what is refused as it is that trying again alone does not help', async () => {
    for (const status of [405, 413, 415]) {
      const server = await fake({ status });
      expect(await faultOf((await open(server.url)).deliver?.(entries, soon()))).toMatchObject({ fault: 'invalid' });
    }
    const server = await fake({ status: 408 });
    expect(await faultOf((await open(server.url)).deliver?.(entries, soon()))).toMatchObject({ fault: 'unreachable' });
  });

  test('gives a call the same id when the same entries are sent again, and no other', async () => {
    const server = await fake();
    const sink = await open(server.url);
    await sink.deliver?.(entries, soon());
    await sink.deliver?.(entries, soon());
    await sink.deliver?.(entries.slice(1), soon());
    const ids = server.calls.map(({ headers }) => headers['webhook-id']);
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test('posts CloudEvents 1.0 as a structured batch', async () => {
    const server = await fake();
    await (await open(server.url, { format: 'cloudevents' })).deliver?.(entries, soon());
    const [call] = server.calls;
    expect(call?.headers['content-type']).toBe('application/cloudevents-batch+json');
    const events = JSON.parse(call?.body ?? '') as Record<string, unknown>[];
    expect(events[0]).toMatchObject({
      specversion: '1.0',
      source: 'pass.example.com/ledger',
      type: 'hallpass.issuance',
      id: '01jd9m0000000000000000000a',
      time: '2026-11-22T12:00:00.123Z',
      datacontenttype: 'application/json',
      data: { index: 0 },
    });
    for (const event of events) {
      // CloudEvents 1.0: attribute names are lower-case letters and digits, and none is empty.
      expect(Object.keys(event).filter((name) => !/^[a-z0-9]{1,20}$/.test(name))).toEqual([]);
      expect(Object.values(event).filter((value) => value === '')).toEqual([]);
    }
  });

  test('posts a checkpoint as its log signed it', async () => {
    const server = await fake();
    await (await open(server.url, { send: 'checkpoints' })).publish?.(checkpoint, soon());
    expect(server.calls[0]).toMatchObject({
      body: checkpoint.note,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
  });

  test('gives another checkpoint of the same size another id: whoever drops what it has had keeps both', async () => {
    const server = await fake();
    const sink = await open(server.url, { send: 'checkpoints' });
    for (const one of [checkpoint, checkpoint, { ...checkpoint, note: 'another' }]) await sink.publish?.(one, soon());
    const [first, again, other] = server.calls.map(({ headers }) => headers['webhook-id']);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test.each([
    [503, 'unreachable'],
    [400, 'invalid'],
    [401, 'denied'],
    [429, 'throttled'],
    [302, 'unreachable'],
  ])('tells an answer of %i as %s', async (status, fault) => {
    const server = await fake({ status, headers: { location: 'http://127.0.0.1:1/', 'retry-after': '7' } });
    const error = await faultOf((await open(server.url)).deliver?.(entries, soon()));
    expect(error.fault).toBe(fault);
    if (status !== 302) expect(error.facts).toMatchObject({ status, retryAfter: 7 });
  });

  test('goes by the status, whatever page comes with it', async () => {
    const body = 'x'.repeat(100_000);
    const taken = await fake({ status: 200, body });
    await (await open(taken.url)).deliver?.(entries, soon());
    const tooMuch = await fake({ status: 413, body });
    expect((await faultOf((await open(tooMuch.url)).deliver?.(entries, soon()))).facts).toMatchObject({ status: 413 });
  });

  test('gives up on a receiver that says nothing', async () => {
    const server = await fake();
    server.instead = () => 'hang';
    expect((await faultOf((await open(server.url)).deliver?.(entries, soon(200)))).fault).toBe('slow');
  });

  test('tells no header value that cannot be sent', async () => {
    const server = await fake();
    const sink = await open(
      server.url,
      { headers: { 'x-key': ref('odd') } },
      { read: readFrom({ odd: 'top\nsecret' }) },
    );
    const error = await faultOf(sink.deliver?.(entries, soon()));
    expect(error.facts.reason).toBe('header_value');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('secret');
  });
});

describe('splunk-hec', () => {
  const ok = { status: 200, body: '{"text":"Success","code":0}' };
  const open = (url: string, more: Record<string, unknown> = {}) =>
    openSink({ kind: 'splunk-hec', url, token: ref('hec'), index: 'audit', ...more }, { read });

  test('posts events at their time, one behind the other, with the token', async () => {
    const server = await fake(ok);
    await (await open(server.url)).deliver?.(entries, soon());
    const [call] = server.calls;
    expect(call?.url.pathname).toBe('/services/collector/event');
    expect(call?.headers.authorization).toBe('Splunk hec-token');
    expect(lines(call?.body ?? '')).toMatchObject([
      {
        time: 1795348800.123,
        host: 'node-1',
        source: 'pass.example.com/ledger',
        sourcetype: 'hallpass:native',
        index: 'audit',
        event: { index: 0 },
      },
      { event: { index: 1 } },
    ]);
  });

  test('posts OCSF under a sourcetype of its own', async () => {
    const server = await fake(ok);
    await (await open(server.url, { format: 'ocsf' })).deliver?.(entries, soon());
    expect(lines(server.calls[0]?.body ?? '')[0]).toMatchObject({
      sourcetype: 'hallpass:ocsf',
      event: { class_uid: 6003 },
    });
  });

  test.each([
    [{ status: 403, body: '{"text":"Invalid token","code":4}' }, 'denied'],
    [{ status: 400, body: '{"text":"Invalid data format","code":6}' }, 'invalid'],
    [{ status: 503, body: '{"text":"Server is busy","code":9}' }, 'unreachable'],
    [{ status: 200, body: '<html>a proxy</html>' }, 'unreachable'],
  ])('takes %j for no success', async (answer, fault) => {
    const server = await fake(answer);
    expect((await faultOf((await open(server.url)).deliver?.(entries, soon()))).fault).toBe(fault);
  });
});

describe('otlp', () => {
  const open = (url: string) => openSink({ kind: 'otlp', url, headers: { 'api-key': ref('hec') } }, { read });

  test('exports log records with their time, trace and attributes', async () => {
    const server = await fake({ status: 200, body: '{}' });
    await (await open(server.url)).deliver?.(entries, soon());
    const [call] = server.calls;
    expect(call?.url.pathname).toBe('/v1/logs');
    expect(call?.headers['api-key']).toBe('hec-token');
    const body = JSON.parse(call?.body ?? '') as {
      resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[];
    };
    const records = body.resourceLogs[0]?.scopeLogs[0]?.logRecords;
    expect(records?.[0]).toMatchObject({
      timeUnixNano: '1795348800123000000',
      severityNumber: 9,
      eventName: 'hallpass.issuance',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      attributes: expect.arrayContaining([{ key: 'hallpass.index', value: { stringValue: '0' } }]),
    });
    expect(records?.[1]).toMatchObject({ severityText: 'WARN' });
  });

  test.each([
    ['a page of what stands in front', '<html>a proxy</html>'],
    ['JSON that is no answer', '"ok"'],
    ['JSON that was cut', '{"partialSuccess":{"rejectedLog'],
    ['records rejected in part, in protobuf', '\x0a\x06\x08\x03\x12\x02no'],
  ])('takes %s for not delivered', async (_, body) => {
    const server = await fake({ status: 200, body });
    await faultOf((await open(server.url)).deliver?.(entries, soon()));
  });

  test.each([
    ['nothing', ''],
    ['all of them taken', '{"partialSuccess":{}}'],
    ['a warning', '{"partialSuccess":{"rejectedLogRecords":0,"errorMessage":"slow down"}}'],
    ['a warning in protobuf', '\x0a\x04\x12\x02no'],
    ['all of them taken, in protobuf', '\x0a\x00'],
  ])('takes %s for delivered', async (_, body) => {
    const server = await fake({ status: 200, body });
    await (await open(server.url)).deliver?.(entries, soon());
  });

  test('takes records rejected in part for not delivered', async () => {
    const server = await fake({
      status: 200,
      body: '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}',
    });
    expect((await faultOf((await open(server.url)).deliver?.(entries, soon()))).facts.reason).toBe('rejected_in_part');
  });
});

describe('file', () => {
  const open = (at: string, more: Record<string, unknown> = {}, deps: Partial<SinkDeps> = {}) =>
    openSink({ kind: 'file', path: 'audit.ndjson', ...more }, { folder: at, ...deps });

  test('appends whole lines to a file that nobody else may read', async () => {
    const at = await folder();
    const sink = await open(at);
    await sink.deliver?.(entries, soon());
    await sink.deliver?.(entries.slice(0, 1), soon());
    expect(lines(await readFile(join(at, 'audit.ndjson'), 'utf8')).map(({ index }) => index)).toEqual([0, 1, 0]);
    expect((await stat(join(at, 'audit.ndjson'))).mode & 0o777).toBe(0o600);
  });

  test('writes the lines of several logs one after the other, however large', async () => {
    const at = await folder();
    const sink = await open(at);
    const large = { ...issuance, record: issuance.record.replace('{', `{"aa":"${'x'.repeat(1_500_000)}",`) };
    await Promise.all(Array.from({ length: 4 }, () => sink.deliver?.([large, large], soon())));
    const text = await readFile(join(at, 'audit.ndjson'), 'utf8');
    expect(lines(text).map(({ index }) => index)).toEqual(Array(8).fill(0));
    expect(text).not.toContain('\n\n');
  });

  test('glues no line to one that a crash cut short', async () => {
    const at = await folder();
    await writeFile(join(at, 'audit.ndjson'), '{"log":"pa');
    await (await open(at)).deliver?.(entries, soon());
    const [torn, ...whole] = (await readFile(join(at, 'audit.ndjson'), 'utf8')).trimEnd().split('\n');
    expect(torn).toBe('{"log":"pa');
    expect(whole.map((line) => JSON.parse(line).index)).toEqual([0, 1]);
  });

  test('puts a full file aside under a name of its own and begins another', async () => {
    const at = await folder();
    await writeFile(join(at, 'audit.ndjson'), `${'x'.repeat(1_048_576)}\n`);
    const sink = await open(at, { rotate: 1_048_576 });
    await sink.deliver?.(entries, soon());
    await sink.deliver?.(entries, soon());
    const files = (await readdir(at)).sort();
    expect(files).toHaveLength(2);
    expect(files[1]).toMatch(/^audit\.ndjson\.\d{4}-\d\d-\d\dT/);
    expect(lines(await readFile(join(at, 'audit.ndjson'), 'utf8'))).toHaveLength(4);
  });

  test('begins another file on another day', async () => {
    const at = await folder();
    const clock = handClock(Date.now());
    const sink = await open(at, { rotate: 'daily' }, { now: clock.now });
    await sink.deliver?.(entries, soon());
    await sink.deliver?.(entries, soon());
    expect(await readdir(at)).toHaveLength(1);
    clock.at += 86_400_000;
    await sink.deliver?.(entries, soon());
    expect(await readdir(at)).toHaveLength(2);
  });

  test('says that the folder is not there, and makes none', async () => {
    const at = await folder();
    const error = await faultOf((await open(at, { path: 'gone/audit.ndjson' })).deliver?.(entries, soon()));
    expect(error.facts.reason).toBe('no_folder');
  });

  test('keeps each checkpoint in a file of its own, whatever the origin', async () => {
    const at = await folder();
    const sink = await open(at, { path: 'checkpoints', send: 'checkpoints' });
    for (const one of [checkpoint, checkpoint, { ...checkpoint, log: '..', size: 3 }])
      await sink.publish?.(one, soon());
    expect((await readdir(join(at, 'checkpoints'))).sort()).toEqual(['%2E.', 'pass.example.com%2Fledger']);
    expect(await readdir(join(at, 'checkpoints', 'pass.example.com%2Fledger'))).toEqual(['2']);
  });

  test('says that it had another checkpoint of that size, and keeps both', async () => {
    const at = await folder();
    const sink = await open(at, { path: 'checkpoints', send: 'checkpoints' });
    await sink.publish?.(checkpoint, soon());
    const other = { ...checkpoint, note: 'another' };
    for (let time = 0; time < 2; time++) expect(await faultOf(sink.publish?.(other, soon()))).toMatchObject(another);
    const kept = join(at, 'checkpoints', 'pass.example.com%2Fledger');
    expect((await readdir(kept)).sort()).toEqual(['2', besideTwo]);
    expect(await readFile(join(kept, '2'), 'utf8')).toBe(checkpoint.note);
    expect(await readFile(join(kept, besideTwo), 'utf8')).toBe('another');
  });
});

describe('s3', () => {
  const rig = async (more: Record<string, unknown> = {}, now: () => number = Date.now) => {
    const s3 = await startS3();
    const heard = told();
    cleanups.push(s3.server.close);
    const entry = { kind: 's3', bucket: 'audit', region: 'eu-west-1', endpoint: s3.server.url, ...more };
    return { s3, lines: heard.lines, sink: await openSink(entry, { env: s3.env, now, log: heard.log }) };
  };

  test('puts one object for each hour and log, whose name says what is in it', async () => {
    const { s3, sink } = await rig({ prefix: 'hallpass/' });
    const later = { ...issuance, leaf: 2, index: 2, record: issuance.record.replace('T12:00', 'T13:00') };
    const next = { ...later, leaf: 0, index: 3, log: 'pass.example.com/ledger~2' };
    await sink.deliver?.([...entries, later, next], soon());
    const hour = 'audit/hallpass/2026/11/22';
    expect([...s3.objects.keys()]).toEqual([
      `${hour}/12/pass.example.com/ledger-000000000000-000000000001.ndjson`,
      `${hour}/13/pass.example.com/ledger-000000000002-000000000002.ndjson`,
      `${hour}/13/pass.example.com/ledger~2-000000000000-000000000000.ndjson`,
    ]);
    expect(lines([...s3.objects.values()][0]?.body ?? '').map(({ index }) => index)).toEqual([0, 1]);
  });

  test('waits a minute for more where nothing else is said', () => {
    const entry = { kind: 's3', bucket: 'audit', region: 'eu-west-1' };
    expect(s.parse(s3Sink.schema, entry)).toMatchObject({ every: '1m' });
  });

  test('takes an object that is there for one that it put itself', async () => {
    const { s3, sink } = await rig();
    let first = true;
    // It is put, and the answer is lost.
    s3.server.instead = (call) => {
      if (!first) return undefined;
      first = false;
      (s3.objects as Map<string, typeof call>).set(decodeURIComponent(call.url.pathname.slice(1)), call);
      return 'reset';
    };
    await faultOf(sink.deliver?.(entries, soon()));
    await sink.deliver?.(entries, soon());
    expect(s3.objects.size).toBe(1);
  });

  test('locks each object for as long as the config says', async () => {
    const at = Date.parse('2026-11-22T12:30:00Z');
    const { s3, sink } = await rig({ lock: { mode: 'compliance', days: 400 } }, () => Math.max(at, Date.now()));
    await sink.deliver?.(entries, soon());
    const { headers } = [...s3.objects.values()][0] as { headers: Record<string, string> };
    expect(headers['x-amz-object-lock-mode']).toBe('COMPLIANCE');
    const until = Date.parse(headers['x-amz-object-lock-retain-until-date'] as string);
    expect(Math.abs(until - Math.max(at, Date.now()) - 400 * 86_400_000)).toBeLessThan(60_000);
    // Object lock takes no PUT without a checksum.
    expect(headers['x-amz-checksum-crc32']).toMatch(/^[A-Za-z0-9+/]{6}==$/);
  });

  test('puts a checkpoint under its origin and size', async () => {
    const { s3, sink } = await rig({ send: 'checkpoints', prefix: 'heads/' });
    await sink.publish?.(checkpoint, soon());
    expect([...s3.objects].map(([key, { body }]) => [key, body])).toEqual([
      ['audit/heads/pass.example.com/ledger/2', checkpoint.note],
    ]);
  });

  test('says that it had another checkpoint of that size, and keeps both', async () => {
    const { s3, sink } = await rig({ send: 'checkpoints' });
    const other = { ...checkpoint, note: 'another' };
    await sink.publish?.(checkpoint, soon());
    await sink.publish?.(checkpoint, soon());
    for (let time = 0; time < 2; time++) expect(await faultOf(sink.publish?.(other, soon()))).toMatchObject(another);
    expect([...s3.objects].map(([key, { body }]) => [key, body])).toEqual([
      ['audit/pass.example.com/ledger/2', checkpoint.note],
      [`audit/pass.example.com/ledger/${besideTwo}`, 'another'],
    ]);
  });

  describe.each([true, false])('where it may read what is there: %s', (mayRead) => {
    test('puts entries beside others of the same places, so that none is lost, and says so once where it knows', async () => {
      const { s3, sink, lines: said } = await rig();
      s3.server.instead = ({ method }) => (method === 'GET' && !mayRead ? refusal(403, 'AccessDenied') : undefined);
      await sink.deliver?.(entries, soon());
      const others = entries.map((entry) => ({ ...entry, record: entry.record.replace('T12:00:00', 'T12:00:01') }));
      for (let time = 0; time < 2; time++) await sink.deliver?.(others, soon());
      const bodies = [...s3.objects.values()].map(({ body }) => lines(body).map(({ record }) => record));
      expect(bodies).toHaveLength(2);
      expect(bodies[0]).not.toEqual(bodies[1]);
      const [first, second] = [...s3.objects.keys()] as [string, string];
      expect(second).toMatch(new RegExp(`^${first.slice(0, -'.ndjson'.length)}-[0-9a-f]{16}\\.ndjson$`));
      const told = { sink: 'here', log: issuance.log, index: 0, path: first.slice('audit/'.length) };
      expect(said).toEqual(mayRead ? [{ level: 'warn', event: 'sink_other_entries', facts: told }] : []);
    });
  });

  test.each<[string, FakeAnswer]>([
    ['larger than any of its own', { status: 200, body: Buffer.alloc(17 * 1024 * 1024) }],
    ['that is not given out any more', refusal(403, 'InvalidObjectState')],
    ['under a key that it has not', refusal(400, 'InvalidRequest')],
  ])('puts entries beside an object %s, and does not wait for it for ever', async (_, answer) => {
    const { s3, sink } = await rig();
    await sink.deliver?.(entries, soon());
    const others = entries.map((entry) => ({ ...entry, record: entry.record.replace('T12:00:00', 'T12:00:01') }));
    s3.server.instead = ({ method }) => (method === 'GET' ? answer : undefined);
    await sink.deliver?.(others, soon());
    expect(s3.objects.size).toBe(2);
  });

  test('tells what the bucket refuses', async () => {
    const { s3, sink } = await rig();
    s3.server.instead = () => refusal(403, 'AccessDenied');
    expect(await faultOf(sink.deliver?.(entries, soon()))).toMatchObject({
      fault: 'denied',
      facts: { code: 'AccessDenied' },
    });
  });
});

describe('stdout', () => {
  test('heaps nothing upon what nobody reads', async () => {
    const sink = await openSink({ kind: 'stdout' });
    const { stdout } = process;
    Object.defineProperty(stdout, 'writableLength', { configurable: true, value: 1 });
    try {
      expect(await faultOf(sink.deliver?.(entries, soon()))).toMatchObject({ fault: 'slow' });
    } finally {
      Reflect.deleteProperty(stdout, 'writableLength');
    }
  });

  test('writes lines that the platform takes as they are', async () => {
    const sink = await openSink({ kind: 'stdout' }, { runtime: 'workerd' });
    const said: string[] = [];
    const { log } = console;
    console.log = (line: string) => void said.push(line);
    try {
      await sink.deliver?.(entries, soon());
    } finally {
      console.log = log;
    }
    expect(said.map((line) => JSON.parse(line).index)).toEqual([0, 1]);
  });
});
