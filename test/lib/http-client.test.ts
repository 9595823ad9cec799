import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { callHttp, HttpError } from '../../src/lib/http-client.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const call = (url: string, { ms = 5000, maxBytes = 1000, init = {} as RequestInit } = {}) =>
  callHttp(fetch, url, init, { deadline: deadlineIn(ms, Date.now), maxBytes });

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no fault',
    (error) => (error instanceof HttpError ? error.fault : String(error)),
  );

describe('callHttp', () => {
  it('gives status, headers and the whole body of an answer', async () => {
    const url = await serve((request, response) => response.writeHead(201, { 'x-seen': request.method }).end('made'));
    const answer = await call(url, { init: { method: 'POST', body: 'x' } });
    expect([answer.status, answer.headers.get('x-seen'), Buffer.from(answer.body).toString()]).toEqual([
      201,
      'POST',
      'made',
    ]);
  });

  it('takes an error status for an answer', async () => {
    const url = await serve((_, response) => response.writeHead(503).end());
    expect((await call(url)).status).toBe(503);
  });

  it('takes a body of exactly the limit and refuses one byte more', async () => {
    const url = await serve((request, response) => response.end('x'.repeat(Number(request.url?.slice(1)))));
    expect((await call(`${url}/1000`)).body.byteLength).toBe(1000);
    expect(await faultOf(call(`${url}/1001`))).toBe('too_large');
  });

  it('leaves the rest of a body unread where it is to be cut, and gives the status', async () => {
    const url = await serve((_, response) => response.writeHead(202).end('x'.repeat(10_000_000)));
    const limits = { deadline: deadlineIn(5000, Date.now), maxBytes: 1000, cut: true } as const;
    const { status, body } = await callHttp(fetch, url, {}, limits);
    expect([status, body.byteLength]).toEqual([202, 1000]);
  });

  it('counts the decoded bytes, so a compressed body cannot grow past the limit', async () => {
    const { gzipSync } = await import('node:zlib');
    const bomb = gzipSync(Buffer.alloc(1_000_000));
    const url = await serve((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    expect(await faultOf(call(url, { maxBytes: 10_000 }))).toBe('too_large');
  });

  it.each([301, 302, 303, 307, 308])('follows no %i: the target never hears of it', async (status) => {
    let reached = 0;
    const target = await serve((_, response) => {
      reached++;
      response.end();
    });
    const url = await serve((_, response) => response.writeHead(status, { location: target }).end());
    expect(await faultOf(call(url))).toBe('redirect');
    expect(reached).toBe(0);
  });

  it('ends by the deadline when headers never come', async () => {
    const url = await serve(() => {});
    expect(await faultOf(call(url, { ms: 100 }))).toBe('timeout');
  });

  it('ends by the deadline when the body drips for ever', async () => {
    const url = await serve((_, response) => {
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    });
    expect(await faultOf(call(url, { ms: 200 }))).toBe('timeout');
  });

  it('does not call at all once the deadline has passed', async () => {
    let calls = 0;
    const never = async () => {
      calls++;
      return new Response();
    };
    const deadline = deadlineIn(0, () => 1000);
    expect(await faultOf(callHttp(never, 'https://a.example', {}, { deadline, maxBytes: 1 }))).toBe('timeout');
    expect(calls).toBe(0);
  });

  it('says unreachable when nobody listens', async () => {
    const url = await serve(() => {});
    for (const close of closers.splice(0)) close();
    expect(await faultOf(call(url))).toBe('unreachable');
  });

  it('says truncated when the connection breaks inside the body', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    expect(await faultOf(call(url))).toBe('truncated');
  });

  it("repeats nothing of the other side's words", async () => {
    const failing = async () => {
      throw new Error('connect to 10.0.0.1 refused, password was hunter2');
    };
    const deadline = deadlineIn(1000, Date.now);
    const error = await callHttp(failing, 'https://a.example', {}, { deadline, maxBytes: 1 }).catch((e) => e);
    expect(error.message).toBe('unreachable');
  });
});
