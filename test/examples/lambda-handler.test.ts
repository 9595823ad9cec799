import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Peer, type RunningBroker, startBroker, startPeer } from './broker.ts';

interface Answer {
  readonly statusCode: number;
  readonly body: string;
}

describe('the Lambda example', () => {
  let broker: RunningBroker;
  let partner: Peer;
  let invoke: () => Promise<Answer>;
  const ttlSeconds = 300;
  const later = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

  beforeAll(async () => {
    // The clock alone: sockets and deadlines go on as they do.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    [broker, partner] = await Promise.all([startBroker(), startPeer()]);
    vi.stubEnv('HALLPASS_URL', broker.url);
    vi.stubEnv('HALLPASS_LEDGER_KEY', broker.key);
    vi.stubEnv('PARTNER_URL', partner.url);
    const { handler } = await import('../../examples/clients/lambda-handler.mjs');
    let tokenAt = 0;
    invoke = () => {
      // As a platform renews it: a token of 600 s is never older than 300.
      if (Date.now() - tokenAt > 300_000) {
        tokenAt = Date.now();
        vi.stubEnv('HALLPASS_TOKEN', broker.token());
      }
      return handler({ order: '7' });
    };
  });
  afterAll(async () => {
    partner.server.close();
    await broker.end();
    vi.unstubAllEnvs();
    vi.useRealTimers();
  });

  it('makes at most one issuance in two thirds of a TTL over 1,000 warm invocations', async () => {
    const began = Date.now();
    for (let done = 0; done < 1000; done++) {
      expect(await invoke()).toEqual({ statusCode: 200, body: 'answer to /orders/7' });
      later(3);
    }
    const seconds = (Date.now() - began) / 1000;
    const issuances = await broker.count('issuance');
    console.log(`1,000 warm invocations in ${seconds} s of its clock, TTL ${ttlSeconds} s: ${issuances} issuances`);
    expect(issuances).toBeLessThanOrEqual(Math.ceil(seconds / (ttlSeconds * (2 / 3))));
    expect(new Set(partner.shown).size).toBe(issuances);
  }, 60_000);

  it('serves from what it has while Hallpass is down, until that dies; then the error says what to do; then all is well again', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    // A new credential, so that its death is known.
    later(ttlSeconds);
    await invoke();
    const before = await broker.count('issuance');
    await broker.stop();
    for (let age = 0; age < ttlSeconds; age += 20) {
      expect((await invoke()).statusCode).toBe(200);
      later(20);
    }
    const error = await invoke().catch((thrown) => thrown);
    expect(error).toMatchObject({ name: 'HallpassError', code: 'unreachable', passing: true });
    expect(error.message).toMatch(
      /^cannot get partner \(the one at hand died at 20[0-9T:.-]+Z\), http:\/\/127\.0\.0\.1:\d+ does not answer: /,
    );
    expect(error.message).toContain(`wait until ${broker.url}/readyz answers`);
    await broker.start();
    expect((await invoke()).statusCode).toBe(200);
    expect(await broker.count('issuance')).toBe(before + 1);
  });

  it('asks once for all invocations that come at the same moment', async () => {
    later(ttlSeconds);
    const before = await broker.count('issuance');
    await Promise.all(Array.from({ length: 20 }, invoke));
    expect(await broker.count('issuance')).toBe(before + 1);
  });
});
