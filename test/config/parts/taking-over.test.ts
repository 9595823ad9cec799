import { describe, expect, it } from 'vitest';
import { followAll } from '../../../src/config/parts/follower.ts';
import {
  failed,
  isOfTheLiving,
  isUnanswered,
  openPulse,
  takeOverIfSilent,
} from '../../../src/config/parts/taking-over.ts';
import { PromoteError } from '../../../src/ledger/going-on/promote.ts';
import type { Standby } from '../../../src/ledger/going-on/standby.ts';
import { HttpError } from '../../../src/lib/http-client.ts';
import { Refusal } from '../../../src/lib/refusal.ts';

describe('the pulse of a first', () => {
  const most = 2_500;

  it('is silent once so long has gone by since a question that it left unanswered, and that was not the only one', () => {
    let at = 0;
    const pulse = openPulse(() => at, most);
    at = 60_000;
    expect(pulse.silent(5_000)).toBe(false);
    at += most;
    pulse.missed(60_000);
    expect(pulse.silent(most)).toBe(false);
    at += most;
    pulse.missed(at - most);
    expect(pulse.silent(2 * most)).toBe(true);
    expect(pulse.silent(2 * most + 1)).toBe(false);
    pulse.answered();
    pulse.missed(at);
    pulse.missed(at);
    expect(pulse.silent(5_000)).toBe(false);
    at += 5_000;
    expect(pulse.silent(5_000)).toBe(true);
  });

  it('is not silent because this process stood still in the midst of a question, or between two', () => {
    let at = 0;
    const pulse = openPulse(() => at, most);
    at = 60_000;
    pulse.missed(0);
    pulse.missed(at);
    expect(pulse.silent(5_000)).toBe(false);
    at += 60_000;
    pulse.missed(at);
    pulse.missed(at);
    expect(pulse.silent(5_000)).toBe(false);
  });
});

it('a first is silent after as long as ever where the clock was set back meanwhile', () => {
  let at = 36_000_000;
  const pulse = openPulse(() => at, 2_500);
  pulse.missed(at);
  at += 500;
  pulse.missed(at);
  at -= 3_600_000;
  expect(pulse.silent(5_000)).toBe(false);
  at += 4_999;
  pulse.missed(at);
  expect(pulse.silent(5_000)).toBe(false);
  at += 1;
  expect(pulse.silent(5_000)).toBe(true);
});

describe('an answer', () => {
  const problem = (code: string) => Buffer.from(JSON.stringify({ type: `urn:hallpass:problem:${code}`, code }));

  it('of whatever kind shows that the first is alive, and what a proxy says for it does not', () => {
    for (const code of ['overloaded', 'ledger_unavailable', 'issuer_unavailable'])
      expect(isOfTheLiving({ status: 503, body: problem(code) })).toBe(true);
    expect(isOfTheLiving({ status: 500, body: problem('internal') })).toBe(true);
    for (const status of [200, 401, 403, 429]) expect(isOfTheLiving({ status, body: Buffer.from('') })).toBe(true);
    for (const status of [500, 502, 503, 504, 522]) {
      expect(isOfTheLiving({ status, body: Buffer.from('<html>no upstream</html>') })).toBe(false);
      expect(isOfTheLiving({ status, body: Buffer.from('{"message":"no healthy upstream"}') })).toBe(false);
    }
  });

  it('is missing where nothing came of a question, not where what came could not be taken', () => {
    const failed = (code: string) => new HttpError('unreachable', { cause: Object.assign(new Error('x'), { code }) });
    for (const code of ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND']) expect(isUnanswered(failed(code))).toBe(true);
    expect(isUnanswered(new HttpError('timeout'))).toBe(true);
    for (const error of [new HttpError('redirect'), new HttpError('too_large'), failed('CERT_HAS_EXPIRED')])
      expect(isUnanswered(error)).toBe(false);
  });
});

it('a question that had less than its time says nothing where that ran out; whatever else comes of it counts', () => {
  const pulse = openPulse(() => 60_000, 2_500);
  const twice = (error: HttpError, hadTime: boolean) => {
    for (const at of [0, 60_000]) failed(pulse, error, at, hadTime);
    return pulse.silent(0);
  };
  expect(twice(new HttpError('timeout'), false)).toBe(false);
  expect(twice(new HttpError('timeout'), true)).toBe(true);
  // Not taken for an answer either.
  expect(twice(new HttpError('timeout'), false)).toBe(true);
  expect(twice(new HttpError('too_large'), false)).toBe(false);
  expect(twice(new HttpError('unreachable'), false)).toBe(true);
});

describe('a standby', () => {
  const standbyThat = (takeOver: Standby['takeOver']) => ({ takeOver }) as unknown as Standby;

  it('takes over where the first is silent, and says once why it may not', async () => {
    const said: string[] = [];
    const facts: unknown[] = [];
    const log = (_: string, event: string, more?: object) => {
      said.push(event);
      facts.push(more);
    };
    const platform = { now: Date.now, log };
    const pulse = openPulse(() => 0, 1_000);
    let tried = 0;
    const refusing = standbyThat(async () => {
      tried++;
      throw new Refusal('ledger_unavailable', 'not_covered');
    });
    const told = {};
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    expect(tried).toBe(0);
    pulse.missed(0);
    pulse.missed(0);
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    expect([tried, said]).toEqual([2, ['not_promoted']]);
    const begun = standbyThat(async () => Promise.reject(new PromoteError('the other had gone on in another log')));
    await takeOverIfSilent(begun, pulse, 0, platform, told);
    expect(told).toEqual({ reason: 'begun' });
    said.pop();
    await takeOverIfSilent(
      standbyThat(async () => ({ generation: 3 })),
      pulse,
      0,
      platform,
      told,
    );
    expect(said).toEqual(['not_promoted', 'promoted_itself']);
    expect(facts.at(-1)).toEqual({ ms: 0, generation: 3 });
  });

  it('says again why it may not where the first had answered meanwhile', async () => {
    const said: string[] = [];
    const platform = { now: Date.now, log: (_: string, event: string) => void said.push(event) };
    const pulse = openPulse(() => 0, 1_000);
    const refusing = standbyThat(async () => Promise.reject(new Refusal('ledger_unavailable', 'not_covered')));
    const told = {};
    for (let outage = 0; outage < 2; outage++) {
      for (let time = 0; time < 3; time++) {
        pulse.missed(0);
        await takeOverIfSilent(refusing, pulse, 0, platform, told);
      }
      pulse.answered();
      await takeOverIfSilent(refusing, pulse, 0, platform, told);
    }
    expect(said).toEqual(['not_promoted', 'not_promoted']);
  });

  it('says once for each reason why it does not follow, with what the other answered, and when it does again', async () => {
    const said: unknown[] = [];
    const log = (_: string, event: string, more: object = {}) => said.push({ event, ...more });
    const refused = (status: number, code: string) =>
      new Refusal('ledger_unavailable', `status_${status}`, { facts: { status, code } });
    let fails: Refusal | undefined;
    let promoted = false;
    const standby = {
      follow: async () => {
        if (fails !== undefined) throw fails;
        return 0;
      },
      promoted: async () => promoted,
    } as unknown as Standby;
    const told = {};
    const pass = async (next?: Refusal) => {
      fails = next;
      await followAll(standby, { now: Date.now, log }, told);
    };
    await pass();
    const [missing, invalid] = [refused(401, 'token_missing'), refused(401, 'token_invalid')];
    for (const one of [missing, missing, invalid, undefined, undefined]) await pass(one);
    const failed = { event: 'follow_failed', reason: 'status_401', status: 401 };
    expect(said).toEqual([
      { ...failed, code: 'token_missing' },
      { ...failed, code: 'token_invalid' },
      { event: 'follow_recovered' },
    ]);
    // It follows no more: that is no recovery.
    await pass(missing);
    promoted = true;
    await pass();
    expect(said.slice(3)).toEqual([{ ...failed, code: 'token_missing' }]);
  });

  it('ends when it is told to, however busy the first is', async () => {
    let asked = 0;
    const busy = { follow: async () => ++asked } as unknown as Standby;
    await followAll(busy, { now: Date.now, log: () => {} }, {}, () => asked >= 3);
    expect(asked).toBe(3);
  });
});
