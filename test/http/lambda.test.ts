import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type LambdaEvent, serveLambda } from '../../src/http/lambda.ts';
import { fakeApp, leaseId, tokens } from './fake-deployment.ts';

const path = '/v1/credentials/orders-db';
const context = { getRemainingTimeInMillis: () => 3_000 };

const eventOf = (method: string, rawPath: string, headers: Record<string, string>, more: object = {}): LambdaEvent => ({
  rawPath,
  rawQueryString: '',
  headers: { host: 'x', authorization: `Bearer ${tokens.workload}`, 'x-forwarded-for': '203.0.113.9', ...headers },
  requestContext: { http: { method, sourceIp: '198.51.100.7' } },
  isBase64Encoded: false,
  body: null,
  ...more,
});

/** What API Gateway v2 and function URLs send: headers joined with a comma, the body as text. */
function invoke(headers: Record<string, string>, body?: string, more: object = {}) {
  return ask(eventOf('POST', path, headers, { body, ...more }));
}

function ask(event: LambdaEvent) {
  const fake = fakeApp({ runtime: 'lambda' });
  return { fake, answer: serveLambda(fake.app, fake.platform)(event, context) };
}

test('takes body, address and remaining time from the event', async () => {
  const { fake, answer } = invoke({ 'content-type': 'application/json' }, '{"ttl":"10m"}');
  expect((await answer).statusCode).toBe(200);
  expect(fake.seen.issues[0]).toMatchObject({ got: { ttl: 600 }, address: '198.51.100.7' });
  expect(fake.seen.issues[0]?.deadline.left()).toBeLessThanOrEqual(3_000);
});

test('refuses several Authorization headers, which the gateway joined', async () => {
  const { fake, answer } = invoke({ authorization: `Bearer ${tokens.workload},Bearer ${tokens.workload}` });
  expect((await answer).statusCode).toBe(400);
  expect(fake.seen.issues).toEqual([]);
});

test('refuses a body of 1 MB', async () => {
  const { answer } = invoke({ 'content-type': 'application/json' }, JSON.stringify({ reason: 'x'.repeat(1_048_576) }));
  expect((await answer).statusCode).toBe(413);
});

test('takes a body in base64', async () => {
  const body = Buffer.from('{"ttl":"10m"}').toString('base64');
  const { fake, answer } = invoke({ 'content-type': 'application/json' }, body, { isBase64Encoded: true });
  expect((await answer).statusCode).toBe(200);
  expect(fake.seen.issues[0]).toMatchObject({ got: { ttl: 600 } });
});

test('gives tiles in base64, text as text, and nothing for 204', async () => {
  const auditor = { authorization: `Bearer ${tokens.auditor}` };
  const tile = await ask(eventOf('GET', '/v1/log/tile/0/000.p/5', auditor)).answer;
  expect([tile.statusCode, tile.isBase64Encoded, Buffer.from(tile.body, 'base64').length]).toEqual([200, true, 160]);
  const key = await ask(eventOf('GET', '/v1/log/key', {})).answer;
  expect([key.isBase64Encoded, key.body]).toEqual([false, 'pass.example.com/ledger+00000000+AAAA\n']);
  const gone = await ask(eventOf('DELETE', `/v1/leases/${leaseId}`, {})).answer;
  expect([gone.statusCode, gone.isBase64Encoded, gone.body]).toEqual([204, false, '']);
});

test('is due before the invocation ends, as what is handed over with its end reaches nobody', async () => {
  const { fake, answer } = invoke({});
  expect((await answer).statusCode).toBe(200);
  expect(fake.seen.issues[0]?.deadline.left()).toBeLessThanOrEqual(2_800);
});

test('answers GET and HEAD though a body came with them', async () => {
  const answers = ['GET', 'HEAD'].map((method) => ask(eventOf(method, '/healthz', {}, { body: '{}' })).answer);
  expect((await Promise.all(answers)).map(({ statusCode, body }) => [statusCode, body])).toEqual([
    [200, '{"status":"ok"}'],
    [200, ''],
  ]);
});

test('a header beyond ASCII costs nobody the answer', async () => {
  expect((await invoke({ 'user-agent': 'caf\u00e9 \ud800 \u2603' }).answer).statusCode).toBe(200);
});

test('a tab in a header is the one that other runtimes see', async () => {
  const healthz = (accept: string) => ask(eventOf('GET', '/healthz', { accept })).answer;
  expect((await healthz('text/html,\tapplication/json')).statusCode).toBe(200);
  const { statusCode, body } = await invoke({ authorization: `Bearer ${tokens.workload}\tx` }).answer;
  expect([statusCode, JSON.parse(body).code]).toEqual([400, 'invalid_request']);
});

test('a path the gateway decoded begins no query', async () => {
  expect((await ask(eventOf('GET', '/healthz?x', {})).answer).statusCode).toBe(404);
});

test.each([
  ['another service', { Records: [] }],
  ['a method that is none', eventOf('TRACE', path, {})],
  ['a header that is none', eventOf('GET', '/healthz', { 'a b': 'c' })],
  ['no path', { ...eventOf('GET', '', {}) }],
])('an event of %s is a 400 problem, and nothing of it is logged', async (_, event) => {
  const { fake, answer } = ask(event as LambdaEvent);
  const { statusCode, headers, body } = await answer;
  expect(statusCode).toBe(400);
  expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  expect(JSON.parse(body)).toMatchObject({ code: 'invalid_request', requestId: headers['x-request-id'] });
  expect(fake.lines.join('')).not.toContain(tokens.workload);
});

test.each([
  ['REST API, or payload format 1.0', { version: '1.0', httpMethod: 'GET', path: '/healthz', requestContext: {} }],
  ['load balancer', { httpMethod: 'GET', path: '/healthz', requestContext: { elb: {} } }],
])('an event of a %s is a 400, and the log says which format is wanted', async (_, event) => {
  const { fake, answer } = ask(event as unknown as LambdaEvent);
  expect((await answer).statusCode).toBe(400);
  expect(fake.lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ level: 'error', event: 'other_event_format' }),
  );
});

test('a connection that the other side ended while the instance was frozen is not asked again', async () => {
  const sockets = new Set<Socket>();
  const server = createServer((_, answer) => void answer.end('ok')).on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const app = { fetch: async () => new Response(await (await fetch(url)).text()) };
  const handler = serveLambda(app, fakeApp({ runtime: 'lambda' }).platform);
  try {
    for (let times = 0; times < 5; times++) {
      expect((await handler(eventOf('GET', '/healthz', {}), context)).statusCode).toBe(200);
      // It is thawed by the next event, and has heard nothing yet of what was said before.
      for (const socket of sockets) socket.destroy();
      sockets.clear();
      expect((await handler(eventOf('GET', '/healthz', {}), context)).statusCode).toBe(200);
    }
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
