import { createServer, type Server } from 'node:https';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterEach, expect, it, vi } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { callHttp } from '../../src/lib/http-client.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { fetchTrusting } from '../../src/lib/pinned-fetch.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';

const servers: Server[] = [];
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A server over TLS that says what it was sent, and over how many connections. */
async function startEcho(): Promise<{ url: string; cert: string; connections: () => number }> {
  const { cert, key } = makeCertificate();
  let connections = 0;
  const server = createServer({ cert, key }, async (request, response) => {
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part as Uint8Array);
    const { 'content-length': length = 'none' } = request.headers;
    response.end(JSON.stringify([request.method, length, Buffer.concat(parts).toString()]));
  });
  server.on('secureConnection', () => connections++);
  servers.push(server);
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `https://127.0.0.1:${port}/`, cert, connections: () => connections };
}

it('says how long a body is, whatever the method: nothing of it becomes the next request', async () => {
  const { url, cert, connections } = await startEcho();
  const fetch = fetchTrusting(cert);
  const smuggled = 'GET /admin HTTP/1.1\r\nhost: x\r\n\r\n';
  for (const method of ['DELETE', 'PATCH', 'POST', 'PUT']) {
    const answer = await fetch(url, { method, body: smuggled });
    expect(await answer.json()).toEqual([method, String(smuggled.length), smuggled]);
  }
  expect(await (await fetch(url, {})).json()).toEqual(['GET', 'none', '']);
  expect(connections()).toBe(1);
});

it('sends a form and bytes as they are, and nothing else', async () => {
  const { url, cert } = await startEcho();
  const fetch = fetchTrusting(cert);
  const form = await fetch(url, { method: 'POST', body: new URLSearchParams({ a: 'ü' }) });
  expect(await form.json()).toEqual(['POST', '8', 'a=%C3%BC']);
  const bytes = await fetch(url, { method: 'POST', body: Buffer.from('ü') });
  expect(await bytes.json()).toEqual(['POST', '2', 'ü']);
  await expect(fetch(url, { method: 'POST', body: new Blob(['x']) })).rejects.toThrow('a body is text or bytes');
});

it('trusts the certificates it was given and no other', async () => {
  const { url, cert } = await startEcho();
  const { fetch } = nodeIo('.');
  await expect(fetchTrusting(makeCertificate().cert)(url, {})).rejects.toThrow('fetch failed');
  await expect(fetch(url, {})).rejects.toThrow('fetch failed');
  expect((await fetchTrusting(cert)(url, {})).status).toBe(200);
});

/** A server over TLS that answers each connection with these bytes and keeps it open. */
async function startRaw(answer: string): Promise<{ url: string; cert: string; open: () => number }> {
  const { cert, key } = makeCertificate();
  const sockets = new Set<TLSSocket>();
  const server = createTlsServer({ cert, key }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', () => socket.write(answer));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `https://127.0.0.1:${port}/`, cert, open: () => sockets.size };
}

it.each([
  ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  ['a status that is none', 'HTTP/1.1 700 Odd\r\ncontent-length: 5\r\n\r\nab'],
  ['no HTTP', 'hello\r\n\r\n'],
])('takes %s for no answer at once, and leaves no connection behind', async (_, answer) => {
  const { url, cert, open } = await startRaw(answer);
  const fetch = fetchTrusting(cert);
  const signal = AbortSignal.timeout(4_000);
  await expect(fetch(url, { signal })).rejects.toThrow('fetch failed');
  expect(signal.aborted).toBe(false);
  await expect.poll(open).toBe(0);
});

it('gives up a connection of which the caller wanted no more, and one that is idle for long', {
  timeout: 20_000,
}, async () => {
  const { url, cert, open } = await startRaw('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nab');
  const fetch = fetchTrusting(cert);
  const answer = await fetch(url, {});
  await answer.body?.cancel();
  await expect.poll(open).toBe(0);
  const idle = await startRaw('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab');
  const again = fetchTrusting(idle.cert);
  expect(await (await again(idle.url, {})).text()).toBe('ab');
  await expect.poll(idle.open, { timeout: 10_000 }).toBe(0);
});

it('trusts no other certificate where the environment turns all checks off', async () => {
  const { url } = await startEcho();
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  try {
    await expect(fetchTrusting(makeCertificate().cert)(url, {})).rejects.toThrow('fetch failed');
  } finally {
    vi.unstubAllEnvs();
  }
});

it('trusts nobody by certificates that are none, and says that it is about TLS', async () => {
  const { url } = await startEcho();
  const broken = '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n';
  const limits = { deadline: deadlineIn(5_000, Date.now), maxBytes: 10 };
  const call = callHttp(fetchTrusting(broken), url, {}, limits);
  await expect(call).rejects.toMatchObject({ fault: 'unreachable', reason: 'tls' });
});
