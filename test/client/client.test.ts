import { once } from 'node:events';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { createClient, HallpassError } from '../../src/client/index.ts';
import { away, fakeHallpass, problem, signer, url } from './fake-hallpass.ts';

const failure = async (work: Promise<unknown>): Promise<HallpassError> => {
  const error = await work.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(HallpassError);
  return error;
};

describe('a credential', () => {
  it('is asked for by name with the token and the options, and nothing else', async () => {
    const { client, asked } = fakeHallpass();
    const options = { ttl: '10m', reason: 'nightly export', timeout: 5000 };
    const credential = await client.getCredential<{ value: string }>('stripe-key', options);
    expect(credential.data.value).toBe('not-a-secret-1');
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      method: 'POST',
      path: '/v1/credentials/stripe-key',
      body: { ttl: '10m', reason: 'nightly export' },
    });
    expect(asked[0]?.headers.get('authorization')).toBe('Bearer fake-token');
  });

  it('does not leave its place in the path', async () => {
    const { client, asked } = fakeHallpass();
    await client.getCredential('../leases/x?y');
    expect(asked[0]?.path).toBe('/v1/credentials/..%2Fleases%2Fx%3Fy');
  });

  it('is reused up to two thirds of its life, and renewed from then on', async () => {
    const hallpass = fakeHallpass();
    const first = await hallpass.client.getCredential('a');
    hallpass.time += 399_999;
    expect(await hallpass.client.getCredential('a')).toBe(first);
    hallpass.time += 1;
    expect((await hallpass.client.getCredential('a')).id).not.toBe(first.id);
    expect(hallpass.issued()).toBe(2);
  });

  it('lives by our own clock, however far it is from the one of Hallpass', async () => {
    const hallpass = fakeHallpass();
    const early = hallpass.connect({ now: () => hallpass.time - 3_600_000 });
    const late = hallpass.connect({ now: () => hallpass.time + 3_600_000 });
    for (const client of [early, late]) {
      const { id } = await client.getCredential('a');
      hallpass.time += 300_000;
      expect((await client.getCredential('a')).id).toBe(id);
      hallpass.time += 300_000;
      expect((await client.getCredential('a')).id).not.toBe(id);
    }
  });

  it('does not outlive itself when the clock is set back', async () => {
    const hallpass = fakeHallpass();
    const { id } = await hallpass.client.getCredential('a');
    hallpass.time += 300_000;
    expect((await hallpass.client.getCredential('a')).id).toBe(id);
    const ticks = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 300_000);
    hallpass.time -= 250_000;
    expect((await hallpass.client.getCredential('a')).id).not.toBe(id);
    ticks.mockRestore();
  });

  it('is asked for once by all who want it at once, and each with other options gets its own', async () => {
    const { client, issued } = fakeHallpass();
    const same = await Promise.all(Array.from({ length: 50 }, () => client.getCredential('a', { ttl: '10m' })));
    expect(new Set(same.map(({ id }) => id)).size).toBe(1);
    await Promise.all([client.getCredential('a', { ttl: '5m' }), client.getCredential('b', { ttl: '10m' })]);
    expect(issued()).toBe(3);
  });

  it('is forgotten on its way as well: whoever asks later is not given what was asked for before', async () => {
    const gates: (() => void)[] = [];
    const answer = (at: number) => ({ id: `id-${at}`, credential: 'a', kind: 'secret', data: {}, lease: { ttl: 600 } });
    const fetch = async () => {
      const at = gates.length;
      await new Promise<void>((open) => gates.push(open));
      return Response.json(answer(at));
    };
    const client = createClient({ url, token: 'fake-token', fetch, env: {} });
    const before = client.getCredential('a');
    await vi.waitFor(() => expect(gates).toHaveLength(1));
    client.forget('a');
    const after = client.getCredential('a');
    await vi.waitFor(() => expect(gates).toHaveLength(2));
    gates[1]?.();
    expect((await after).id).toBe('id-1');
    gates[0]?.();
    expect((await before).id).toBe('id-0');
    expect((await client.getCredential('a')).id).toBe('id-1');
  });

  it('is forgotten when told so, by name or all of them', async () => {
    const { client, issued } = fakeHallpass();
    const both = () => Promise.all(['a', 'b'].map((name) => client.getCredential(name)));
    await both();
    client.forget('a');
    await both();
    expect(issued()).toBe(3);
    client.forget();
    await both();
    expect(issued()).toBe(5);
  });

  it('of one invocation is neither kept nor shared', async () => {
    const { client, asked } = fakeHallpass();
    const invocation = { id: 'run-42', deadline: '2026-11-22T12:00:30Z' };
    const get = () => client.getCredential('a', { invocation });
    const ids = (await Promise.all([get(), get()])).map(({ id }) => id);
    expect(new Set([...ids, (await get()).id]).size).toBe(3);
    expect(asked[0]?.body).toEqual({ invocation });
  });

  it('of the past fills no memory: reasons may be as many as there are calls', async () => {
    const hallpass = fakeHallpass();
    const first = await hallpass.client.getCredential('a', { reason: 'run 1' });
    hallpass.time += 700_000;
    await hallpass.client.getCredential('a', { reason: 'run 2' });
    // Were it still held, a clock that went back would bring it to light.
    hallpass.time -= 700_000;
    expect((await hallpass.client.getCredential('a', { reason: 'run 1' })).id).not.toBe(first.id);
  });
});

describe('when Hallpass is away', () => {
  const outages = {
    'nobody answers': away,
    'a gateway says 502 in words of its own': () => new Response('<html>', { status: 502 }),
    'the ledger is unavailable': () => problem(503, 'ledger_unavailable'),
    'it is overloaded': () => problem(429, 'rate_limited'),
  };

  it.each(Object.entries(outages))('%s: the credential at hand serves until it dies', async (_, answer) => {
    const hallpass = fakeHallpass();
    const { id } = await hallpass.client.getCredential('a');
    hallpass.answer = answer;
    for (const step of [400, 100, 99]) {
      hallpass.time += step * 1000;
      expect((await hallpass.client.getCredential('a')).id).toBe(id);
    }
    hallpass.time += 1000;
    await failure(hallpass.client.getCredential('a'));
    hallpass.answer = () => undefined;
    expect((await hallpass.client.getCredential('a')).id).not.toBe(id);
  });

  it('the error after its death says since when, which server, and what to do', async () => {
    const hallpass = fakeHallpass();
    await hallpass.client.getCredential('a');
    hallpass.answer = away;
    hallpass.time += 600_000;
    const error = await failure(hallpass.client.getCredential('a'));
    expect(error.code).toBe('unreachable');
    expect(error.passing).toBe(true);
    expect(error.message).toBe(
      `cannot get a (the one at hand died at 2026-11-22T12:10:00.000Z), ${url} does not answer: ` +
        `wait until ${url}/readyz answers`,
    );
    expect(error.hint).toContain('/readyz');
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it('a renewal is tried once, told as a warning, and not again for ten seconds or what Hallpass asks for', async () => {
    const hallpass = fakeHallpass();
    await hallpass.client.getCredential('a');
    hallpass.answer = () => problem(503, 'overloaded');
    hallpass.time += 400_000;
    const get = async () => {
      await hallpass.client.getCredential('a');
      return hallpass.issued();
    };
    expect([await get(), await get()]).toEqual([2, 2]);
    expect(hallpass.warned).toEqual([
      `hallpass: cannot get a, ${url} answers 503 overloaded; the one at hand serves until 2026-11-22T12:10:00.000Z`,
    ]);
    hallpass.time += 10_000;
    hallpass.answer = () => problem(503, 'overloaded', { 'retry-after': '30' });
    expect(await get()).toBe(3);
    hallpass.time += 29_000;
    expect(await get()).toBe(3);
    hallpass.time += 1000;
    expect(await get()).toBe(4);
  });

  it('a token that cannot be had, or was used before, does not take the live credential away', async () => {
    let broken = false;
    const token = () => {
      if (broken) throw new Error('metadata server restarts');
      return 'fake-token';
    };
    const hallpass = fakeHallpass({ token });
    const { id } = await hallpass.client.getCredential('a');
    hallpass.time += 400_000;
    broken = true;
    expect((await hallpass.client.getCredential('a')).id).toBe(id);
    broken = false;
    hallpass.time += 10_000;
    hallpass.answer = () => problem(409, 'replayed');
    expect((await hallpass.client.getCredential('a')).id).toBe(id);
  });

  it.each([
    [403, 'denied'],
    [401, 'token_invalid'],
  ])('a refusal is no outage: %d %s takes the credential at hand away', async (status, code) => {
    const hallpass = fakeHallpass();
    await hallpass.client.getCredential('a');
    hallpass.time += 400_000;
    hallpass.answer = () => problem(status, code);
    expect((await failure(hallpass.client.getCredential('a'))).code).toBe(code);
    hallpass.answer = away;
    expect((await failure(hallpass.client.getCredential('a'))).code).toBe('unreachable');
  });
});

describe('tries', () => {
  it('come when Retry-After says, within the time of the call', async () => {
    const hallpass = fakeHallpass();
    const answers = [
      problem(503, 'overloaded', { 'retry-after': '2' }),
      problem(429, 'rate_limited', { 'retry-after': '3' }),
    ];
    hallpass.answer = () => answers.shift();
    await hallpass.client.getCredential('a');
    expect(hallpass.waits).toEqual([2000, 3000]);
  });

  it('end at once when Hallpass wants to be asked after the time is up, and the error says when', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = () => problem(503, 'overloaded', { 'retry-after': '20' });
    const error = await failure(hallpass.client.getCredential('a'));
    expect(error).toMatchObject({ code: 'overloaded', status: 503, retryAfter: 20, requestId: 'req-1', passing: true });
    expect(hallpass.waits).toEqual([]);
  });

  it('are five at most, further and further apart', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = away;
    await failure(hallpass.client.getCredential('a'));
    expect(hallpass.issued()).toBe(5);
    for (const [at, least] of [200, 400, 800, 1600].entries()) {
      expect(hallpass.waits[at]).toBeGreaterThanOrEqual(least);
      expect(hallpass.waits[at]).toBeLessThanOrEqual(2 * least);
    }
  });

  it('end with the time the caller gives', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = away;
    await failure(hallpass.client.getCredential('a', { timeout: 100 }));
    expect(hallpass.issued()).toBe(1);
  });

  it('end with the time also where Hallpass takes the call and never answers', async () => {
    const fetch = (_: string, { signal }: RequestInit) =>
      new Promise<never>((_done, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
    const { client } = fakeHallpass({ fetch, timeout: 50 });
    expect((await failure(client.getCredential('a'))).code).toBe('unreachable');
  });

  it('end with the time also where the source of the token never answers', async () => {
    const { client } = fakeHallpass({ token: () => new Promise<never>(() => {}), timeout: 50 });
    expect((await failure(client.getCredential('a'))).code).toBe('no_token');
  });

  it('whose source of the token throws at once leave nothing behind that ends the process when the time is up', async () => {
    const uncaught: unknown[] = [];
    const note = (reason: unknown) => void uncaught.push(reason);
    process.on('unhandledRejection', note);
    const token = () => {
      throw new Error('none');
    };
    const { client } = fakeHallpass({ token, timeout: 20 });
    expect((await failure(client.getCredential('a'))).code).toBe('no_token');
    await once(AbortSignal.timeout(40), 'abort');
    await new Promise(setImmediate);
    process.off('unhandledRejection', note);
    expect(uncaught).toEqual([]);
  });

  it('end with the time of the call also where it passed while one waited, whatever the source of the token does', async () => {
    let asked = 0;
    const token = () => (asked++ === 0 ? 'fake-token' : new Promise<string>(() => {}));
    const wait = async () => void (await once(AbortSignal.timeout(450), 'abort'));
    const hallpass = fakeHallpass({ token, timeout: 400, wait });
    hallpass.answer = () => problem(503, 'ledger_unavailable');
    const { client } = hallpass;
    expect((await failure(client.getCredential('a'))).code).toBe('no_token');
  });

  it('end with the time of each caller, also when one with more time asks for the same', async () => {
    const fetch = (_: string, { signal }: RequestInit) =>
      new Promise<never>((_done, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
    const { client } = fakeHallpass({ fetch });
    let patient = true;
    const long = client.getCredential('a', { timeout: 1000 }).finally(() => {
      patient = false;
    });
    expect((await failure(client.getCredential('a', { timeout: 50 }))).code).toBe('unreachable');
    expect(patient).toBe(true);
    await failure(long);
  });

  it('end with the time also when the clock is set back meanwhile', async () => {
    let asked = 0;
    const fetch = (_: string, { signal }: RequestInit) => {
      asked++;
      hallpass.time -= 3_600_000;
      return new Promise<never>((_done, fail) => signal?.addEventListener('abort', () => fail(signal.reason)));
    };
    const hallpass = fakeHallpass({ fetch, timeout: 50 });
    expect((await failure(hallpass.client.getCredential('a'))).code).toBe('unreachable');
    expect(asked).toBe(1);
  });

  it('show a new token each time', async () => {
    let made = 0;
    const hallpass = fakeHallpass({ token: async (audience) => `${audience.length}-${++made}` });
    hallpass.answer = () => (hallpass.issued() < 3 ? problem(503, 'overloaded') : undefined);
    await hallpass.client.getCredential('a');
    const shown = hallpass.asked.map(({ headers }) => headers.get('authorization'));
    expect(shown).toEqual(['Bearer 17-1', 'Bearer 17-2', 'Bearer 17-3']);
  });

  it.each([
    [400, 'invalid_request'],
    [401, 'token_invalid'],
    [403, 'denied'],
    [404, 'not_found'],
    [409, 'replayed'],
  ])('are not made against %d %s', async (status, code) => {
    const hallpass = fakeHallpass();
    hallpass.answer = () => problem(status, code, {}, { detail: 'A detail.', hint: 'A hint.' });
    const error = await failure(hallpass.client.getCredential('a'));
    expect(error).toMatchObject({ code, status, requestId: 'req-1', hint: 'A hint.', passing: false });
    expect(error.message).toBe(`cannot get a, ${url} answers ${status} ${code} A detail.: A hint.`);
    expect(hallpass.issued()).toBe(1);
  });
});

describe('answers', () => {
  it.each([
    ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://evil.test/' } })],
    ['no JSON', () => new Response('<html>')],
    ['JSON that is no object', () => Response.json(null)],
    ['another credential', () => Response.json({ id: 'x', credential: 'b', lease: { ttl: 600 } })],
  ])('%s is not understood, and asked for once', async (_, answer) => {
    const hallpass = fakeHallpass();
    hallpass.answer = answer;
    expect((await failure(hallpass.client.getCredential('a'))).code).toBe('not_understood');
    expect(hallpass.issued()).toBe(1);
  });

  it('without a lease are not Hallpass’s, and what is at hand of others stays good', async () => {
    const hallpass = fakeHallpass();
    const { id } = await hallpass.client.getCredential('a');
    for (const lease of [undefined, null, {}, { ttl: 'long' }]) {
      hallpass.answer = () => Response.json({ id: 'x', credential: 'b', kind: 'secret', data: {}, lease });
      expect((await failure(hallpass.client.getCredential('b'))).code).toBe('not_understood');
    }
    hallpass.answer = () => undefined;
    expect((await hallpass.client.getCredential('a')).id).toBe(id);
    expect((await hallpass.client.getCredential('b')).credential).toBe('b');
  });

  it('are proved by the keys of several logs, one a line, and by no empty list of keys', async () => {
    const other = signer.vkey.replace('/ledger+', '/ledger/1+');
    for (const key of [`${other}\n${signer.vkey}\n`, `${signer.vkey}\n`])
      await fakeHallpass({ env: { HALLPASS_LEDGER_KEY: key } }).client.getCredential('a');
    for (const ledgerKey of [[], [''], ' ', other])
      expect((await failure(fakeHallpass({ ledgerKey }).client.getCredential('a'))).code).toBe('receipt_invalid');
  });

  it('hints at what to do about a denial and about a token', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = () => problem(403, 'denied');
    expect((await failure(hallpass.client.getCredential('a'))).hint).toContain('hallpass explain');
    hallpass.answer = () => problem(401, 'token_invalid');
    expect((await failure(hallpass.client.getCredential('a'))).hint).toContain(`audience ${url}`);
  });

  it('without a proof, or with that of another issuance, are not handed on when the ledger key is known', async () => {
    const hallpass = fakeHallpass({ ledgerKey: signer.vkey });
    const good = await hallpass.client.getCredential('a');
    expect(good.credential).toBe('a');
    const tampered = (change: object) => () => Response.json({ ...good, ...change });
    for (const change of [{ receipt: undefined }, { id: '01jd9m99999999999999999999' }, { kind: 'jwt' }]) {
      hallpass.client.forget();
      hallpass.answer = tampered(change);
      const error = await failure(hallpass.client.getCredential('a'));
      expect(error).toMatchObject({ code: 'receipt_invalid', passing: false });
    }
    hallpass.answer = () => undefined;
    const other = hallpass.connect({ ledgerKey: `other${signer.vkey}` });
    expect((await failure(other.getCredential('a'))).message).toContain('another log');
    const byVariable = hallpass.connect({ ledgerKey: '', env: { HALLPASS_LEDGER_KEY: 'x+00000000+AQ==' } });
    expect((await failure(byVariable.getCredential('a'))).code).toBe('receipt_invalid');
    const either = hallpass.connect({ ledgerKey: ['x+00000000+AQ==', signer.vkey] });
    await expect(either.getCredential('a')).resolves.toBeDefined();
  });
});

describe('withCredential', () => {
  it('hands over the credential and gives back what the callback gives', async () => {
    const { client, asked } = fakeHallpass();
    const length = await client.withCredential('a', {}, ({ data }) => String(data.value).length);
    expect(length).toBe('not-a-secret-1'.length);
    await expect(client.withCredential('a', {}, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(asked).toHaveLength(1);
  });

  it('revokes when asked, after success and failure alike, each use its own credential', async () => {
    const { client, asked } = fakeHallpass();
    const used: string[] = [];
    const use = (fail: boolean) =>
      client.withCredential('a', { revoke: true }, async ({ id }) => {
        used.push(id);
        if (fail) throw new Error('mine');
      });
    await use(false);
    await expect(use(true)).rejects.toThrow('mine');
    expect(new Set(used).size).toBe(2);
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual(
      used.flatMap((id) => ['POST /v1/credentials/a', `DELETE /v1/leases/${id}`]),
    );
    expect(asked[1]?.headers.get('authorization')).toBe('Bearer fake-token');
    expect(asked[0]?.body).toEqual({});
  });

  it('revokes by the handle where there is one, without a token', async () => {
    const hallpass = fakeHallpass();
    hallpass.handles = true;
    await hallpass.client.withCredential('a', { revoke: true }, () => {});
    const { headers } = hallpass.asked[1] ?? { headers: new Headers() };
    expect(headers.get('hallpass-lease')).toMatch(/^hpl_/);
    expect(headers.get('authorization')).toBeNull();
  });

  it('takes 202, recorded and not yet done, for an answer', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = ({ method }) => (method === 'DELETE' ? new Response(null, { status: 202 }) : undefined);
    await hallpass.client.withCredential('a', { revoke: true }, () => {});
    expect(hallpass.warned).toEqual([]);
  });

  it('does not turn work that is done into a failure when the lease cannot be revoked: it warns', async () => {
    const hallpass = fakeHallpass();
    hallpass.answer = ({ method }) => (method === 'DELETE' ? away() : undefined);
    expect(await hallpass.client.withCredential('a', { revoke: true }, () => 'done')).toBe('done');
    expect(hallpass.warned).toHaveLength(1);
    expect(hallpass.warned[0]).toMatch(/cannot revoke a \(01jd9m\w{20}\).*; it lives until 2026-11-22T12:10:00.000Z$/);
  });
});

describe('revoke', () => {
  it('takes the credential out of use, and throws when it cannot be done', async () => {
    const hallpass = fakeHallpass();
    const first = await hallpass.client.getCredential('a');
    await hallpass.client.revoke(first);
    const second = await hallpass.client.getCredential('a');
    expect(second.id).not.toBe(first.id);
    hallpass.answer = away;
    expect((await failure(hallpass.client.revoke(second))).code).toBe('unreachable');
  });
});

describe('revoke of what is no Hallpass', () => {
  it.each([
    ['an empty 200', () => new Response('')],
    ['a page', () => new Response('<html>')],
    ['JSON of something else', () => Response.json({ status: 'ok' })],
  ])('has revoked nothing where it answers %s', async (_, answer) => {
    const hallpass = fakeHallpass();
    const credential = await hallpass.client.getCredential('a');
    hallpass.answer = answer;
    expect((await failure(hallpass.client.revoke(credential))).code).toBe('not_understood');
  });
});

describe('a snapshot', () => {
  it('holds nothing of a client that was made and not used: it looks at nothing and asks nothing', () => {
    const never = (): never => {
      throw new Error('not before it is used');
    };
    const env = new Proxy({}, { get: never, has: never, ownKeys: never });
    expect(() => fakeHallpass({ env, now: never, fetch: never, wait: never, token: never })).not.toThrow();
  });

  it('taken after a credential was got gives it to no copy: none of them uses what all of them have', async () => {
    const ticks = vi.spyOn(performance, 'now').mockReturnValue(5000);
    const hallpass = fakeHallpass({ env: { AWS_LAMBDA_INITIALIZATION_TYPE: 'snap-start' } });
    const first = await hallpass.client.getCredential('a');
    expect((await hallpass.client.getCredential('a')).id).toBe(first.id);
    hallpass.time += 60_000;
    ticks.mockReturnValue(65_000);
    expect((await hallpass.client.getCredential('a')).id).toBe(first.id);
    // The time of day is set on restore; the other clock goes on where it stood.
    hallpass.time += 60_000;
    ticks.mockReturnValue(65_010);
    expect((await hallpass.client.getCredential('a')).id).not.toBe(first.id);
    ticks.mockRestore();
  });

  it('restored after the credential died leaves no dead one in use', async () => {
    const hallpass = fakeHallpass();
    const first = await hallpass.client.getCredential('a');
    hallpass.time += 86_400_000;
    expect((await hallpass.client.getCredential('a')).id).not.toBe(first.id);
  });

  it('taken while a call was under way does not make its copies wait for that call', async () => {
    let lost = true;
    const hallpass = fakeHallpass({ token: () => (lost ? new Promise<never>(() => {}) : 'fake-token') });
    const { client } = hallpass;
    client.getCredential('a').catch(() => {});
    lost = false;
    hallpass.time += 60_000;
    await expect(client.getCredential('a')).resolves.toBeDefined();
  });
});

describe('the server', () => {
  it.each([
    ['http://pass.example.com'],
    ['http://localhost.evil.test'],
    ['http://127.0.0.1.evil.test'],
    ['https://user:word@pass.example.com'],
    ['https://pass.example.com?x=y'],
    ['pass.example.com'],
    ['ftp://pass.example.com'],
  ])('%s is refused before a token goes there', async (at) => {
    const { connect, asked } = fakeHallpass();
    expect((await failure(connect({ url: at }).getCredential('a'))).code).toBe('misused');
    expect(asked).toEqual([]);
  });

  it.each(['http://127.0.0.1:8787', 'http://localhost:8787/', 'http://[::1]:8787/pass'])('%s is fine', async (at) => {
    const seen: string[] = [];
    const fetch = async (asked: string) => {
      seen.push(asked);
      return problem(403, 'denied');
    };
    await failure(fakeHallpass({ fetch }).connect({ url: at }).getCredential('a'));
    expect(seen).toEqual([`${at.replace(/\/$/, '')}/v1/credentials/a`]);
  });

  it('is HALLPASS_URL when none is named, and an error that says so when there is none', async () => {
    const { connect, asked } = fakeHallpass();
    await connect({ url: '', env: { HALLPASS_URL: url } }).getCredential('a');
    expect(asked).toHaveLength(1);
    const error = await failure(connect({ url: '' }).getCredential('a'));
    expect(error).toMatchObject({ code: 'misused', passing: false });
    expect(error.hint).toContain('HALLPASS_URL');
  });

  it('sees no token where the way to it says who calls', async () => {
    const { connect, asked } = fakeHallpass({ token: false });
    await connect().getCredential('a');
    expect(asked[0]?.headers.get('authorization')).toBeNull();
  });
});

describe('errors', () => {
  it('show nothing of what a token is asked for with, where it cannot be sent', async () => {
    const env = {
      ACTIONS_ID_TOKEN_REQUEST_URL: 'http://127.0.0.1:9/x',
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'fake-bearer\nof-two-lines',
    };
    const error = await failure(createClient({ url, env }).getCredential('a'));
    expect(error.code).toBe('no_token');
    expect(inspect(error, { depth: 9 })).not.toMatch(/fake-bearer|of-two-lines/);
  });

  it('show neither the token nor what was issued', async () => {
    const hallpass = fakeHallpass({ token: 'fake\nsecret-token' });
    const error = await failure(hallpass.client.getCredential('a'));
    expect(error.code).toBe('no_token');
    expect(JSON.stringify([error.message, error.hint, String(error.cause)])).not.toContain('secret-token');
  });
});
