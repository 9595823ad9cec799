import middy from '@middy/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hallpass } from '../../examples/clients/middy.mjs';
import { type RunningBroker, startBroker } from './broker.ts';

describe('the middy example', () => {
  let broker: RunningBroker;
  const event = {};
  const context = () => ({ getRemainingTimeInMillis: () => 3000 });
  const counts = async () => [await broker.count('issuance'), await broker.count('revocation')];

  beforeAll(async () => {
    broker = await startBroker();
    vi.stubEnv('HALLPASS_URL', broker.url);
    vi.stubEnv('HALLPASS_TOKEN', broker.token());
    vi.stubEnv('HALLPASS_LEDGER_KEY', broker.key);
  });
  afterAll(async () => {
    await broker.end();
    vi.unstubAllEnvs();
  });

  interface Context {
    credentials: Record<string, { data: Record<string, string> }>;
  }
  const invoke = (handler: (event: object, context: Context) => unknown, options: object) =>
    middy(handler as never).use(hallpass({ credentials: { api: 'partner' }, ...options }) as never) as unknown as (
      event: object,
      context: object,
    ) => Promise<unknown>;

  it('gives the handler its credentials by the names it has for them, the same in each warm invocation', async () => {
    const handler = invoke((_, { credentials }) => credentials.api?.data.token, {});
    const first = await handler(event, context());
    expect(first).toMatch(/^ey/);
    expect(await handler(event, context())).toBe(first);
    expect(await counts()).toEqual([1, 0]);
  });

  it('with `revoke` gives each invocation its own, which end with it, however it ends', async () => {
    const before = await counts();
    const seen: unknown[] = [];
    const handler = invoke(
      (_, { credentials }) => {
        seen.push(credentials.api?.data.token);
        if (seen.length === 2) throw new Error('mine');
        return 'done';
      },
      { credentials: { api: 'partner', key: 'stripe-key' }, revoke: true },
    );
    expect(await handler(event, context())).toBe('done');
    await expect(handler(event, context())).rejects.toThrow('mine');
    expect(new Set(seen).size).toBe(2);
    expect((await counts()).map((count, at) => count - (before[at] as number))).toEqual([4, 4]);
  });

  it('gives back what it got when another credential is refused, and the handler does not run', async () => {
    const before = await counts();
    const ran = vi.fn();
    const handler = invoke(ran, { credentials: { api: 'partner', other: 'no-such' }, revoke: true });
    await expect(handler(event, context())).rejects.toMatchObject({ name: 'HallpassError', code: 'denied' });
    expect(ran).not.toHaveBeenCalled();
    expect((await counts()).map((count, at) => count - (before[at] as number))).toEqual([1, 1]);
  });
});
