import { createServer, type Server } from 'node:https';
import { afterEach, expect, it } from 'vitest';
import { nodeIo } from '../../src/lib/node-io.ts';
import { freePort } from '../http/free-port.ts';
import { makeCertificate } from '../support/certificate.ts';

const servers: Server[] = [];
afterEach(() => {
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
  const fetch = nodeIo('.').fetchTrusting(cert);
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
  const fetch = nodeIo('.').fetchTrusting(cert);
  const form = await fetch(url, { method: 'POST', body: new URLSearchParams({ a: 'ü' }) });
  expect(await form.json()).toEqual(['POST', '8', 'a=%C3%BC']);
  const bytes = await fetch(url, { method: 'POST', body: Buffer.from('ü') });
  expect(await bytes.json()).toEqual(['POST', '2', 'ü']);
  await expect(fetch(url, { method: 'POST', body: new Blob(['x']) })).rejects.toThrow('a body is text or bytes');
});

it('trusts the certificates it was given and no other', async () => {
  const { url, cert } = await startEcho();
  const { fetchTrusting, fetch } = nodeIo('.');
  await expect(fetchTrusting(makeCertificate().cert)(url, {})).rejects.toThrow('fetch failed');
  await expect(fetch(url, {})).rejects.toThrow('fetch failed');
  expect((await fetchTrusting(cert)(url, {})).status).toBe(200);
});
