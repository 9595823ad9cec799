import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NodeServer, serveNode } from '../../src/http/node.ts';
import { routes } from '../../src/http/routes.ts';
import { freePort } from '../support/free-port.ts';
import { canary, exchangeParameters, fakeApp, leaseId, tokens } from './fake-deployment.ts';

const total = Number(process.env.HALLPASS_FUZZ_REQUESTS ?? 5_000);
const overSockets = Math.floor(total / 5);
const inProcess = total - overSockets;
const patience = 60_000 + total * 20;
const seed = Number(process.env.HALLPASS_FUZZ_SEED ?? Date.now() % 2 ** 31);

/** mulberry32: small, and the same requests again for the same seed. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomFrom(seed);
const below = (n: number) => Math.floor(random() * n);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
const maybe = (chance: number) => random() < chance;

const junk = [
  '',
  '\0',
  '%00',
  '%',
  '%ff',
  '../',
  '..%2f',
  '"',
  '{',
  '\ud800',
  '\u202e',
  '€',
  'eyJh.eyJi.c',
  '__proto__',
  ' ',
  '\t',
  ';',
  ',',
  'A'.repeat(300),
];
const paths = Object.values(routes).map((route) =>
  route.path.replace('{name}', 'orders-db').replace('{id}', leaseId).replace('{tile}', '0/000.p/5'),
);
const methods = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'PROPFIND'];
const form = new URLSearchParams(exchangeParameters).toString();
const forms = [
  form,
  form,
  `${form}&scope=a+b&requested_token_type=urn:ietf:params:oauth:token-type:access_token`,
  form.replace('audience=partner', 'resource=https://api.partner.example/v1'),
  form.replace('audience=partner', 'resource=urn:example:not-granted'),
  form.replace('audience=partner', 'audience=orders-db'),
  `${form}&actor_token=${tokens.auditor}`,
  `${form}&audience=other`,
  form.replace(tokens.workload, tokens.nobody),
  form.replaceAll('&', ';'),
  '%',
  'a=%ff&%00',
];
const bodies = [
  '',
  '{}',
  '{"ttl":"10m"}',
  '{"reason":"x","invocation":{"id":"y"}}',
  '{"records":["{}"],"disclosures":[null],"epoch":0,"policy":"p"}',
  '[]',
  'null',
  '{"ttl":{"a":[1e999]}}',
];
const queries = [
  '',
  '',
  '',
  '?limit=1',
  '?limit=99999',
  '?type=*',
  '?state=open',
  '?cursor=AAAA',
  '?access_token=x',
  '?a=1&a=2',
];

function mutate(text: string): string {
  let result = text;
  for (let times = below(3); times > 0; times--) {
    const at = below(result.length + 1);
    result = result.slice(0, at) + pick(junk) + result.slice(at + below(3));
  }
  return result;
}

const headerText = (text: string) => text.replace(/[^\x20-\x7e\t]/g, '');

interface Shot {
  readonly method: string;
  readonly path: string;
  readonly headers: [string, string][];
  readonly body: string | undefined;
}

/** The route of the form has few paths and much to say: it gets its share. */
function formShot(): Shot {
  const type = 'application/x-www-form-urlencoded';
  const headers: [string, string][] = [
    ['content-type', maybe(0.9) ? type : headerText(mutate(`${type};charset=utf-8`))],
  ];
  if (maybe(0.05)) headers.push(['authorization', headerText(mutate(`Bearer ${tokens.workload}`))]);
  if (maybe(0.1)) headers.push(['accept', headerText(mutate('application/json, */*;q=0.5'))]);
  const query = maybe(0.9) ? '' : pick(queries);
  const body = maybe(0.3) ? pick(forms) : maybe(0.8) ? mutate(pick(forms)) : pick(bodies);
  return { method: 'POST', path: `/oauth/token${query}`, headers, body };
}

function shot(): Shot {
  if (maybe(0.15)) return formShot();
  const headers: [string, string][] = [];
  if (maybe(0.9))
    headers.push([
      'authorization',
      maybe(0.7) ? `Bearer ${pick(Object.values(tokens))}` : headerText(mutate(`Bearer ${tokens.workload}`)),
    ]);
  if (maybe(0.1)) headers.push(['authorization', `Bearer ${tokens.auditor}`]);
  if (maybe(0.7))
    headers.push(['content-type', maybe(0.8) ? 'application/json' : headerText(mutate('application/json'))]);
  if (maybe(0.2)) headers.push(['accept', headerText(mutate('application/json, */*;q=0.5'))]);
  if (maybe(0.2))
    headers.push(['traceparent', headerText(mutate('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'))]);
  if (maybe(0.1)) headers.push([pick(['content-encoding', 'expect', 'via', 'x-http-method-override', 'upgrade']), 'x']);
  const path = maybe(0.6) ? pick(paths) : mutate(pick(paths));
  const query = maybe(0.7) ? pick(queries) : mutate(pick(queries));
  const method = maybe(0.3) ? pick(methods) : pick(['GET', 'POST']);
  const body = method === 'GET' || method === 'HEAD' ? undefined : maybe(0.5) ? pick(bodies) : mutate(pick(bodies));
  return { method, path: path.startsWith('/') ? path + query : `/${path}${query}`, headers, body };
}

const fake = fakeApp();
const uncaught: unknown[] = [];
const catching = (error: unknown) => void uncaught.push(error);
let server: NodeServer;

beforeAll(async () => {
  process.on('uncaughtException', catching);
  process.on('unhandledRejection', catching);
  server = await serveNode(fake.app, fake.platform, { host: '127.0.0.1', port: await freePort() });
});

afterAll(async () => {
  process.off('uncaughtException', catching);
  process.off('unhandledRejection', catching);
  await server.close();
});

/** A problem document, or a success; never a 500, a stack trace or the secret where it does not belong. */
function judge(status: number, type: string | null, body: string, what: unknown): void {
  const said = `seed ${seed}: ${JSON.stringify(what)}`;
  expect(status, said).not.toBe(500);
  if (status >= 400) {
    expect(body, said).not.toMatch(/ {4}at |node:internal|canary/);
    if (type === 'application/json') {
      // What RFC 6749 section 5.2 lets a description be.
      const description = expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
      const shape = { error: expect.any(String), error_description: description, request_id: expect.any(String) };
      if (body !== '') expect(JSON.parse(body), said).toEqual(shape);
      return;
    }
    expect(type, said).toBe('application/problem+json');
    if (body !== '')
      expect(JSON.parse(body), said).toMatchObject({ status, code: expect.any(String), requestId: expect.any(String) });
  } else expect([200, 202, 204], said).toContain(status);
}

test(
  `${inProcess} mutated requests each get a problem or a success from the app`,
  async () => {
    const seen = new Map<number, number>();
    const exchanged = new Map<string, number>();
    for (let at = 0; at < inProcess; at++) {
      const { method, path, headers, body } = shot();
      const request = new Request(`http://localhost${path}`, { method, headers, body });
      const response = await fake.app.fetch(request);
      const text = await response.text();
      judge(response.status, response.headers.get('content-type'), text, {
        method,
        path,
        headers,
        body,
      });
      seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
      const error = path === '/oauth/token' ? (JSON.parse(text || '{}').error ?? 'none') : undefined;
      if (error !== undefined) exchanged.set(error, (exchanged.get(error) ?? 0) + 1);
    }
    // The generator is worth something only while it reaches both what works and what does not.
    for (const status of [200, 400, 401, 403, 404, 405]) expect(seen.get(status) ?? 0).toBeGreaterThan(0);
    for (const error of ['none', 'invalid_request', 'invalid_target']) expect(exchanged.get(error)).toBeGreaterThan(0);
  },
  patience,
);

/** One connection, one message, whatever its bytes; the whole answer, or nothing when the server hung up. */
function fire(bytes: Buffer, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket: Socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    const end = () => {
      clearTimeout(late);
      resolve(Buffer.concat(parts).toString('latin1'));
    };
    const late = setTimeout(() => reject(new Error(`no answer; seed ${seed}: ${bytes.toString('latin1')}`)), 10_000);
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => {});
    socket.on('close', end);
  });
}

/** A mutated length leaves bytes over, which are then a message of their own: each answer is judged. */
function answersIn(text: string): { status: number; type: string | null; body: string }[] {
  const answers = [];
  for (let rest = text; rest !== ''; ) {
    const head = rest.slice(0, rest.indexOf('\r\n\r\n') + 4);
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
    const type = /^content-type: (.*)\r$/im.exec(head)?.[1] ?? null;
    const body =
      head.includes('\r\n\r\n') && /^HTTP\/1\.1 \d{3} /.test(head)
        ? rest.slice(head.length, head.length + length)
        : undefined;
    if (body === undefined) throw new Error(`not HTTP; seed ${seed}: ${rest.slice(0, 200)}`);
    answers.push({ status: Number(head.slice(9, 12)), type, body });
    rest = rest.slice(head.length + length);
  }
  return answers;
}

function message(): Buffer {
  const { method, path, headers, body = '' } = shot();
  const length = maybe(0.9)
    ? [['content-length', String(Buffer.byteLength(body))]]
    : [['transfer-encoding', 'chunked']];
  const lines = [['host', 'localhost'], ['connection', 'close'], ...headers, ...length].map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  for (let times = maybe(0.5) ? below(4) : 0; times > 0; times--) bytes[below(bytes.length)] = below(256);
  return maybe(0.1) ? bytes.subarray(0, below(bytes.length)) : bytes;
}

test(
  `${overSockets} mutated messages over sockets leave the server well`,
  async () => {
    const port = Number(new URL(server.url).port);
    let answered = 0;
    const one = async (left: { n: number }) => {
      while (left.n-- > 0) {
        const bytes = message();
        const answer = await fire(bytes, port);
        if (answer === '') continue;
        answered++;
        for (const { status, type, body } of answersIn(answer)) judge(status, type, body, bytes.toString('latin1'));
      }
    };
    const left = { n: overSockets };
    await Promise.all(Array.from({ length: 8 }, () => one(left)));
    expect(answered).toBeGreaterThan(overSockets / 2);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  },
  patience,
);

test('nothing was uncaught, and no line of the log holds a token or a secret', () => {
  expect(uncaught).toEqual([]);
  const secrets = new RegExp([canary, ...Object.values(tokens)].join('|'));
  for (const line of fake.lines) {
    expect(line).not.toMatch(secrets);
    expect(JSON.parse(line).code).not.toBe('internal');
  }
});
