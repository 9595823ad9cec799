import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { secretValue } from '../support/config.ts';
import { freePort } from '../support/free-port.ts';
import { type Peer, type RunningBroker, startBroker, startPeer } from './broker.ts';

describe('the Node service example', () => {
  let broker: RunningBroker;
  let payments: Peer;
  let status = 200;
  let ask: () => Promise<Response>;
  let close: () => void;

  beforeAll(async () => {
    [broker, payments] = await Promise.all([startBroker(), startPeer(() => status)]);
    vi.stubEnv('HALLPASS_URL', broker.url);
    vi.stubEnv('HALLPASS_TOKEN', broker.token());
    vi.stubEnv('PAYMENTS_URL', payments.url);
    const { service } = await import('../../examples/clients/service.mjs');
    const port = await freePort();
    await new Promise<void>((done) => service.listen(port, '127.0.0.1', done));
    close = () => service.close();
    ask = () => fetch(`http://127.0.0.1:${port}/`);
  });
  afterAll(async () => {
    close();
    payments.server.close();
    await broker.end();
    vi.unstubAllEnvs();
  });

  it('pays with the stored key, asked for once', async () => {
    for (const _ of [1, 2, 3]) expect((await ask()).status).toBe(204);
    expect(new Set(payments.shown)).toEqual(new Set([`Bearer ${secretValue}`]));
    expect(await broker.count('issuance')).toBe(1);
  });

  it('asks for the key again when the other side takes it no more, and tries once', async () => {
    status = 401;
    const before = payments.shown.length;
    expect((await ask()).status).toBe(502);
    expect(payments.shown.length).toBe(before + 2);
    expect(await broker.count('issuance')).toBe(2);
    status = 200;
  });

  it('says when to come again while it has no key and Hallpass refuses nothing', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => {});
    vi.stubEnv('HALLPASS_URL', 'http://127.0.0.1:1');
    const answer = await ask();
    expect({ status: answer.status, later: answer.headers.get('retry-after') }).toEqual({ status: 503, later: '5' });
    expect(said.mock.calls[0]?.[0]).toContain('does not answer');
    expect(JSON.stringify(said.mock.calls)).not.toContain(secretValue);
  });
});
