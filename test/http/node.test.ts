import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NodeServer, serveNode } from '../../src/http/node.ts';
import { freePort } from '../support/free-port.ts';
import { canary, type FakeOptions, fakeApp, leaseId, tokens } from './fake-deployment.ts';

const authorization = `Authorization: Bearer ${tokens.workload}`;
const head = (path: string, ...headers: string[]) =>
  `POST ${path} HTTP/1.1\r\n${['Host: localhost', ...headers].map((line) => `${line}\r\n`).join('')}\r\n`;
const issuePath = '/v1/credentials/orders-db';

let server: NodeServer;
let fake: ReturnType<typeof fakeApp>;

async function start(options?: FakeOptions) {
  const made = fakeApp(options);
  return {
    fake: made,
    server: await serveNode(made.app, made.platform, { host: '127.0.0.1', port: await freePort() }),
  };
}

beforeAll(async () => {
  ({ server, fake } = await start());
});

afterAll(() => server.close());

/** Sends bytes as they are, and gives back all that comes until the connection ends or falls silent. */
function raw(bytes: string | Buffer, { url = server.url, quietMs = 250 } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
    let got = '';
    let quiet: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      clearTimeout(quiet);
      socket.destroy();
      resolve(got);
    };
    socket.on('data', (data) => {
      got += data.toString('latin1');
      clearTimeout(quiet);
      quiet = setTimeout(end, quietMs);
    });
    socket.on('close', end);
    socket.on('error', (error) => (got === '' ? reject(error) : end()));
    socket.setTimeout(8_000, () => reject(new Error('no answer')));
  });
}

function expectProblem(answer: string, status: number, code: string): void {
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
  expect(answer).toContain(`"code":"${code}"`);
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
}

test('issues over a socket', async () => {
  const answer = await raw(head(issuePath, authorization));
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(answer).toContain(leaseId);
  const body = '{"ttl":"10m"}';
  const withBody = `${head(issuePath, authorization, 'Content-Type: application/json', `Content-Length: ${body.length}`)}${body}`;
  expect(await raw(withBody)).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(fake.seen.issues.at(-1)).toMatchObject({ got: { ttl: 600 }, address: '127.0.0.1' });
});

test('reads a chunked body', async () => {
  const chunks = 'd\r\n{"ttl":"10m"}\r\n0\r\n\r\n';
  const answer = await raw(
    `${head(issuePath, authorization, 'Content-Type: application/json', 'Transfer-Encoding: chunked')}${chunks}`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  expect(fake.seen.issues.at(-1)?.got).toEqual({ ttl: 600 });
});

describe('bad bytes get a problem and nothing else', () => {
  const json = 'Content-Type: application/json';
  const mega = 'x'.repeat(1_048_576);
  const many = Array.from({ length: 1_100 }, () => 'X:');
  const cases: [string, string | Buffer, number, string][] = [
    ['two Authorization headers', head(issuePath, authorization, authorization), 400, 'invalid_request'],
    [
      'two Authorization headers, the second of another',
      head(issuePath, authorization, 'Authorization: Bearer other'),
      400,
      'invalid_request',
    ],
    ['NUL in a header', head(issuePath, `${authorization}\0`), 400, 'invalid_request'],
    ['NUL in the path', head('/v1/credentials/a\0b', authorization), 400, 'invalid_request'],
    ['a bare line feed in a header', head(issuePath, `X: a\n${authorization}`), 400, 'invalid_request'],
    ['a header without a name', head(issuePath, ': x'), 400, 'invalid_request'],
    ['a space before the colon', head(issuePath, `Authorization : Bearer ${tokens.workload}`), 400, 'invalid_request'],
    [
      'a folded header',
      head(issuePath, `X: a\r\n ${authorization}`, authorization, authorization),
      400,
      'invalid_request',
    ],
    [
      'two Authorization headers far apart',
      head(issuePath, authorization, ...many, authorization),
      400,
      'invalid_request',
    ],
    ['two Hosts far apart', head(issuePath, authorization, ...many, 'Host: other'), 400, 'invalid_request'],
    ['more headers than are looked at', head('/healthz', ...many).replace('POST', 'GET'), 400, 'invalid_request'],
    ['no Host', `POST ${issuePath} HTTP/1.1\r\n${authorization}\r\n\r\n`, 400, 'invalid_request'],
    ['two Hosts', head(issuePath, 'Host: other', authorization), 400, 'invalid_request'],
    [
      'a Host that is none',
      `POST ${issuePath} HTTP/1.1\r\nHost: a@b/c\r\n${authorization}\r\n\r\n`,
      400,
      'invalid_request',
    ],
    ['not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'invalid_request'],
    ['HTTP/3.0', `GET / HTTP/3.0\r\nHost: x\r\n\r\n`, 400, 'invalid_request'],
    ['an unknown method', 'STEAL / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'invalid_request'],
    ['a backslash in the path', head('/v1\\credentials', authorization), 400, 'invalid_request'],
    ['a wrong method', `GET ${issuePath} HTTP/1.1\r\nHost: x\r\n\r\n`, 405, 'method_not_allowed'],
    ['TRACE', 'TRACE /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['40 KB of headers', head(issuePath, `X: ${'x'.repeat(40_960)}`), 400, 'invalid_request'],
    [
      'a 1 MB body',
      `${head(issuePath, authorization, json, `Content-Length: ${mega.length}`)}${mega}`,
      413,
      'too_large',
    ],
    [
      'a 1 MB chunk',
      `${head(issuePath, authorization, json, 'Transfer-Encoding: chunked')}100000\r\n${mega}\r\n0\r\n\r\n`,
      413,
      'too_large',
    ],
    ['a negative length', head(issuePath, authorization, json, 'Content-Length: -1'), 400, 'invalid_request'],
    [
      'two lengths',
      head(issuePath, authorization, json, 'Content-Length: 2', 'Content-Length: 20'),
      400,
      'invalid_request',
    ],
    [
      'a length and chunks',
      `${head(issuePath, authorization, json, 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      400,
      'invalid_request',
    ],
    [
      'an unknown transfer coding',
      `${head(issuePath, authorization, json, 'Transfer-Encoding: xchunked')}0\r\n\r\n`,
      400,
      'invalid_request',
    ],
    [
      'chunked twice',
      `${head(issuePath, authorization, json, 'Transfer-Encoding: chunked, identity')}0\r\n\r\n`,
      400,
      'invalid_request',
    ],
    [
      'chunks in HTTP/1.0, which has none',
      `${head(issuePath, authorization, json, 'Connection: keep-alive', 'Transfer-Encoding: chunked').replace('1.1', '1.0')}0\r\n\r\n`,
      400,
      'invalid_request',
    ],
    [
      'a chunk size that overflows',
      `${head(issuePath, authorization, json, 'Transfer-Encoding: chunked')}fffffffffffffffff\r\n`,
      400,
      'invalid_request',
    ],
  ];
  test.each(cases)('%s', async (_, bytes, status, code) => {
    const before = fake.seen.issues.length;
    expectProblem(await raw(bytes), status, code);
    expect(fake.seen.issues.length).toBe(before);
  });

  test('garbage in the chunks is never a credential', async () => {
    const answer = await raw(`${head(issuePath, authorization, json, 'Transfer-Encoding: chunked')}zz\r\ngarbage\r\n`);
    expect(answer).not.toContain(canary);
  });

  test('a smuggled second request is not answered', async () => {
    const inner = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`;
    const answer = await raw(`${head('/v1/nothing', 'Content-Length: 0', `Content-Length: ${inner.length}`)}${inner}`);
    expectProblem(answer, 400, 'invalid_request');
  });

  test('a refused body does not become the next request', async () => {
    const inner = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`;
    expectProblem(await raw(`${head(issuePath, `Content-Length: ${inner.length}`)}${inner}`), 401, 'token_missing');
  });

  test('a body cut short is dropped without a credential', async () => {
    const before = fake.seen.issues.length;
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(`${head(issuePath, authorization, json, 'Content-Length: 13')}{"ttl"`, () =>
      setTimeout(() => socket.destroy(), 50),
    );
    await new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(fake.seen.issues.length).toBe(before);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });
});

test('a thousand headers are all looked at', async () => {
  const answer = await raw(head('/healthz', ...Array.from({ length: 999 }, () => 'X:')).replace('POST', 'GET'));
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});

test('what a proxy wrote behind a thousand headers is seen: its callers are not on loopback', async () => {
  const { server: seen } = await start();
  for (const count of [10, 990]) {
    const forwarded = [...Array.from({ length: count }, () => 'A:'), 'X-Forwarded-For: 203.0.113.9'];
    const answer = await raw(head('/metrics', ...forwarded).replace('POST', 'GET'), { url: seen.url });
    expectProblem(answer, 401, 'token_missing');
  }
  const many = head('/metrics', ...Array.from({ length: 1_100 }, () => 'A:'), 'X-Forwarded-For: 203.0.113.9');
  expectProblem(await raw(many.replace('POST', 'GET'), { url: seen.url }), 400, 'invalid_request');
  await seen.close();
});

test('carries a token of 20 KB to the verifier', async () => {
  const answer = await raw(head(issuePath, `Authorization: Bearer ${'x'.repeat(20_480)}`));
  expectProblem(answer, 401, 'token_invalid');
});

test('carries a token as long as the limits allow', async () => {
  const made = fakeApp();
  const listen = { host: '127.0.0.1', port: await freePort(), tokenBytes: 65_536 };
  const wide = await serveNode(made.app, made.platform, listen);
  const answer = await raw(head(issuePath, `Authorization: Bearer ${'x'.repeat(65_536)}`), { url: wide.url });
  expectProblem(answer, 401, 'token_invalid');
  await wide.close();
});

test('answers bad bytes behind a request in flight by hanging up', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { server: slow } = await start({ deployment: { ready: () => held } });
  const answer = raw(`GET /readyz HTTP/1.1\r\nHost: x\r\n\r\nBAD\0BYTES\r\n\r\n`, { url: slow.url });
  expect(await answer.catch(() => '')).toBe('');
  release();
  await slow.close();
});

test('logs nothing of what was sent, and nothing of a bad connection', async () => {
  await raw(head(`/${canary}\0`, authorization));
  await raw(head(`/${canary}?${canary}`, `X-${canary}: ${canary}`, `Authorization: Bearer ${canary}`));
  for (const line of fake.lines) expect(line).not.toMatch(new RegExp(`${canary}|${tokens.workload}`));
});

test('hangs up on nobody whose answer may take as long as the config says', async () => {
  type Env = { incoming: { socket: { timeout: number } } };
  const app = { fetch: (_: Request, env: object) => new Response(String((env as Env).incoming.socket.timeout)) };
  const silence = async (requestMs?: number) => {
    const listen = { host: '127.0.0.1', port: await freePort(), ...(requestMs !== undefined && { requestMs }) };
    const one = await serveNode(app, fake.platform, listen);
    const text = await (await fetch(one.url)).text();
    await one.close();
    return Number(text);
  };
  expect(await silence()).toBe(60_000);
  expect(await silence(15_000)).toBe(60_000);
  expect(await silence(120_000)).toBeGreaterThan(120_000);
});

test('answers ahead of the app where told to', async () => {
  const made = fakeApp();
  const ahead = (request: Request) => (request.url.endsWith('/dev/x') ? new Response('dev') : undefined);
  const other = await serveNode(made.app, made.platform, { host: '127.0.0.1', port: await freePort(), ahead });
  expect(await (await fetch(`${other.url}/dev/x`)).text()).toBe('dev');
  expect((await fetch(`${other.url}/healthz`)).status).toBe(200);
  await other.close();
});

test('rejects when the address is taken', async () => {
  const port = Number(new URL(server.url).port);
  await expect(serveNode(fake.app, fake.platform, { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});

test('closing ends idle connections at once, and waits for an answer under way, which says that it is the last', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { server: other } = await start({ deployment: { ready: () => held } });
  const port = Number(new URL(other.url).port);
  const idle = connect(port, '127.0.0.1');
  idle.on('error', () => {});
  await new Promise((resolve) => idle.once('connect', resolve));
  const idleClosed = new Promise((resolve) => idle.once('close', resolve));
  const underway = raw('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n', { url: other.url, quietMs: 5_000 });
  await new Promise((resolve) => setTimeout(resolve, 100));

  let closed = false;
  const closing = other.close().then(() => {
    closed = true;
  });
  await idleClosed;
  expect(closed).toBe(false);
  await expect(fetch(`${other.url}/healthz`)).rejects.toThrow();
  release();
  expect(await underway).toMatch(/^HTTP\/1.1 200 OK\r\n(?:.*\r\n)*connection: close\r\n/i);
  await closing;
});
