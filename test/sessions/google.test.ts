import { afterEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { googleLogin } from '../../src/sessions/google/login.ts';
import { googleIdentityToken, hasMetadata } from '../../src/sessions/google/metadata.ts';
import type { SessionDeps } from '../../src/sessions/session.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { type FakeGoogle, fakeAccount, fakeProvider, startFakeGoogle } from '../fakes/google.ts';

const open: FakeGoogle[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((google) => google.close()));
});

const audience = `https://iam.googleapis.com/${fakeProvider}`;
const soon = (ms = 5_000) => deadlineIn(ms, Date.now);

async function make(own: Partial<SessionDeps> = {}) {
  const us = makeAsserter();
  const google = await startFakeGoogle({
    trust: [{ issuer: us.issuer, audience, subject: us.subject, keys: us.keys }],
  });
  open.push(google);
  const assert = () => us.assert({ audience, algorithms: ['ES256'], ttl: 300 });
  const deps: SessionDeps = { now: Date.now, env: { GCE_METADATA_HOST: google.host }, assert, ...nodeIo('.'), ...own };
  const federated = { provider: fakeProvider, account: fakeAccount, sts: google.url, iam: google.url };
  return { google, deps, federated, us };
}

async function factsOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UpstreamError)) throw error ?? new Error('it did not reject');
  return [error.fault, error.facts.step, error.facts.reason];
}

describe('logging in to Google', () => {
  it('asks for a new token after two thirds of its life, whatever its clock says of the end', async () => {
    let now = Date.now();
    const { google, deps, federated } = await make({ now: () => now });
    const session = googleLogin(federated, deps);
    const first = await session.get(soon());
    now += 2_300_000;
    expect(await session.get(soon())).toBe(first);
    now += 200_000;
    expect(await session.get(soon())).not.toBe(first);
    expect(google.callsOf(':generateAccessToken').length).toBe(2);
    google.server.instead = ({ url }) =>
      url.pathname.includes(':generateAccessToken')
        ? { status: 200, body: JSON.stringify({ accessToken: 'a', expireTime: '2099-01-01T00:00:00Z' }) }
        : undefined;
    now += 2_500_000;
    await session.get(soon());
    now += 2_500_000;
    await session.get(soon());
    expect(google.callsOf(':generateAccessToken').length).toBe(4);
  });

  it('shows the assertion to the token service alone, and in no address', async () => {
    const { google, deps, federated } = await make();
    await googleLogin(federated, deps).get(soon());
    expect(google.server.calls.map(({ method, url }) => [method, url.pathname + url.search])).toEqual([
      ['POST', '/v1/token'],
      ['POST', `/v1/projects/-/serviceAccounts/${encodeURIComponent(fakeAccount)}:generateAccessToken`],
    ]);
    const form = new URLSearchParams(google.server.calls[0]?.body);
    expect(form.get('audience')).toBe(`//iam.googleapis.com/${fakeProvider}`);
    expect(google.server.calls[1]?.body).not.toContain(form.get('subject_token'));
    expect(JSON.parse(google.server.calls[1]?.body ?? '')).toEqual({
      scope: ['https://www.googleapis.com/auth/cloud-platform'],
      lifetime: '3600s',
    });
  });

  it('takes no token that is none, and does not repeat it', async () => {
    const { google, deps, federated } = await make();
    const good = { access_token: 'ya29.x', token_type: 'Bearer', expires_in: 3600 };
    const wrong = [
      { ...good, access_token: 'two\r\nlines' },
      { ...good, access_token: undefined },
      { ...good, token_type: 'mac' },
      { ...good, expires_in: -1 },
      { ...good, expires_in: '3600' },
    ];
    for (const answer of wrong) {
      google.server.instead = () => ({ status: 200, body: JSON.stringify(answer) });
      const login = googleLogin({ ...federated, account: undefined }, deps).get(soon());
      expect(await factsOf(login)).toEqual(['unreachable', 'exchange', 'bad_answer']);
    }
  });

  it('follows no redirect with an assertion or a token', async () => {
    for (const step of ['exchange', 'impersonate', 'identity']) {
      const { google, deps, federated } = await make();
      const path = { exchange: '/v1/token', impersonate: ':generateAccessToken', identity: '/token' }[step] as string;
      google.server.instead = ({ url }) =>
        url.pathname.endsWith(path) ? { status: 307, headers: { location: `${google.url}/elsewhere` } } : undefined;
      const login = googleLogin(step === 'identity' ? {} : federated, deps).get(soon());
      expect(await factsOf(login)).toEqual(['unreachable', step, 'redirect']);
      expect(google.callsOf('/elsewhere')).toEqual([]);
    }
  });

  it('says that nobody signs where a provider is configured and no assertion can be had', async () => {
    const { google, deps, federated } = await make({ assert: undefined as never });
    expect(await factsOf(googleLogin(federated, deps).get(soon()))).toEqual(['unreachable', 'assertion', 'no_signer']);
    expect(google.server.calls).toEqual([]);
  });
});

describe("Google's metadata server", () => {
  it('is asked only where something says that there is one', () => {
    expect(hasMetadata({ env: {} })).toBe(false);
    expect(hasMetadata({ env: { GCE_METADATA_HOST: '', K_SERVICE: '' } })).toBe(false);
    for (const name of ['GCE_METADATA_HOST', 'K_SERVICE', 'FUNCTION_TARGET', 'GAE_ENV', 'KUBERNETES_SERVICE_HOST'])
      expect(hasMetadata({ env: { [name]: 'x' } }), name).toBe(true);
  });

  it('is looked for under its own name where the platform gives no other', async () => {
    const asked: string[] = [];
    const fetch = async (url: string) => {
      asked.push(url);
      throw new TypeError('no network');
    };
    const { deps } = await make({ env: { K_SERVICE: 'hallpass' }, fetch });
    expect(await factsOf(googleLogin({}, deps).get(soon()))).toEqual(['unreachable', 'identity', 'unreachable']);
    expect(asked).toEqual([
      'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token',
    ]);
  });

  it('is not believed without its header, nor looked for at a strange address', async () => {
    const { google, deps } = await make();
    const token = { access_token: 'a', token_type: 'Bearer', expires_in: 60 };
    google.server.instead = () => ({ status: 200, body: JSON.stringify(token) });
    expect(await factsOf(googleLogin({}, deps).get(soon()))).toEqual([
      'unreachable',
      'identity',
      'not_a_metadata_server',
    ]);
    for (const host of ['a/b', 'user@host', 'http://x', 'a b', '?']) {
      const login = googleLogin({}, { ...deps, env: { GCE_METADATA_HOST: host } }).get(soon());
      expect(await factsOf(login), host).toEqual(['unreachable', 'identity', 'bad_variable']);
    }
  });

  it('gives an ID token for an audience, with its end', async () => {
    const { google, deps } = await make();
    const { value, expiresAt } = await googleIdentityToken('https://ledger.example.com/a?b', deps, soon());
    const claims = JSON.parse(Buffer.from(value.split('.')[1] as string, 'base64url').toString());
    expect(claims.aud).toBe('https://ledger.example.com/a?b');
    expect(expiresAt).toBe(claims.exp * 1000);
    expect(google.server.calls[0]?.url.search).toContain('format=full');
  });

  it('gives no ID token for another audience, nor anything that is none', async () => {
    const { google, deps } = await make();
    const headers = { 'metadata-flavor': 'Google' };
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const body of [
      '',
      'a.b',
      Uint8Array.of(0xff),
      `${part({})}.${part({ aud: 'other', exp: 1e10 })}.x`,
      `${part({})}.${part([])}.x`,
    ]) {
      google.server.instead = () => ({ status: 200, headers, body });
      expect(await factsOf(googleIdentityToken('us', deps, soon())), String(body)).toEqual([
        'unreachable',
        'identity',
        'bad_answer',
      ]);
    }
  });
});
