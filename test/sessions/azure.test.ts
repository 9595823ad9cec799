import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { keepAmbientToken } from '../../src/sessions/ambient-token.ts';
import { type AzureLogin, keepAzureSession } from '../../src/sessions/azure/login.ts';
import type { SessionDeps } from '../../src/sessions/session.ts';
import { type AzureFake, client, identityHeader, startAzure, tenant } from '../fakes/azure.ts';
import { makeAsserter } from '../fakes/federation.ts';

let azure: AzureFake;
beforeAll(async () => {
  azure = await startAzure();
});
afterAll(() => azure.stop());

const resource = 'api://ledger.example.com';
const soon = () => deadlineIn(5_000, Date.now);

interface Asked {
  readonly url: string;
  readonly headers: Headers;
}

/** Whom a login asks and what comes of it, where every service answers this; no network. */
async function loginWith(body: unknown, login: Partial<AzureLogin> = {}, own: Partial<SessionDeps> = {}) {
  const asked: Asked[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    asked.push({ url, headers: new Headers(init.headers) });
    return new Response(JSON.stringify(body));
  };
  const keeper = keepAzureSession({ resource, ...login }, { now: Date.now, env: {}, fetch, ...own });
  const outcome = await keeper.get(soon()).catch((error: unknown) => {
    if (!(error instanceof UpstreamError)) throw error;
    return { fault: error.fault, ...error.facts };
  });
  return { outcome, asked };
}

const good = { token_type: 'Bearer', access_token: 'not-a-token', expires_in: 3600 };
const platform = { IDENTITY_ENDPOINT: 'http://127.0.0.1:1/msi/token', IDENTITY_HEADER: 'x' };

describe('the login to Azure', () => {
  it('gets a token of the platform for the resource named, once for all who ask', async () => {
    const env = { IDENTITY_ENDPOINT: `${azure.url}/msi/token`, IDENTITY_HEADER: identityHeader };
    const deps = { ...nodeIo('.'), now: Date.now, env };
    const keeper = keepAmbientToken({ kind: 'azure', resource }, 'https://ledger.example.com', deps);
    const tokens = await Promise.all(Array.from({ length: 50 }, () => keeper.get(soon())));
    expect(new Set(tokens).size).toBe(1);
    expect(azure.calls.map(({ url }) => url.searchParams.get('resource'))).toEqual([resource]);
  });

  it.each([
    ['no token', { ...good, access_token: undefined }],
    ['a token with a line break', { ...good, access_token: 'a\r\nx: y' }],
    ['a token that proves possession', { ...good, token_type: 'pop' }],
    ['a token without an end', { ...good, expires_in: undefined }],
    ['a token whose end is no number', { ...good, expires_in: '1e9' }],
  ])('takes no answer with %s', async (_, body) => {
    const { outcome } = await loginWith(body, {}, { env: platform });
    expect(outcome).toMatchObject({ fault: 'unreachable', step: 'login', reason: 'not_understood' });
  });

  it('takes an end written as text, from now or since the epoch, and none that is over', async () => {
    const end = Math.floor(Date.now() / 1000);
    for (const times of [{ expires_in: '3600' }, { expires_in: undefined, expires_on: `${end + 3600}` }])
      expect((await loginWith({ ...good, ...times }, {}, { env: platform })).outcome).toBe('not-a-token');
    const over = { ...good, expires_in: undefined, expires_on: `${end - 1}` };
    expect((await loginWith(over, {}, { env: platform })).outcome).toMatchObject({ reason: 'session_over' });
  });

  it('asks the address of a virtual machine only where the config names an identity', async () => {
    expect((await loginWith(good)).asked).toEqual([]);
    const { asked, outcome } = await loginWith(good, { identity: 'system' });
    expect(outcome).toBe('not-a-token');
    expect(asked.map(({ url, headers }) => [url, headers.get('metadata')])).toEqual([
      [
        'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api%3A%2F%2Fledger.example.com',
        'true',
      ],
    ]);
  });

  it('asks no platform whose certificate it could not check', async () => {
    const { asked, outcome } = await loginWith(good, {}, { env: { ...platform, IDENTITY_SERVER_THUMBPRINT: 'AA' } });
    expect(outcome).toMatchObject({ fault: 'denied', reason: 'unsupported_platform' });
    expect(asked).toEqual([]);
  });

  it('takes no service account token that never ends, and no authority that is not https', async () => {
    const us = makeAsserter({ algorithm: 'RS256' });
    const token = await us.assert({ audience: 'api://AzureADTokenExchange', algorithms: ['RS256'], ttl: 300 });
    const endless = `${token.split('.')[0]}.${Buffer.from('{"sub":"x"}').toString('base64url')}.x`;
    const env = { AZURE_FEDERATED_TOKEN_FILE: '/token', AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client };
    const pod = (text: string, more: object = {}) =>
      loginWith(good, {}, { env: { ...env, ...more }, readFile: async () => Buffer.from(text) });
    expect((await pod(token)).asked.map(({ url }) => url)).toEqual([
      `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`,
    ]);
    const refused = [await pod(endless), await pod(token, { AZURE_AUTHORITY_HOST: 'http://login.example/' })];
    expect(refused.map(({ outcome }) => outcome)).toMatchObject([
      { reason: 'static_token' },
      { reason: 'bad_variable' },
    ]);
    expect(refused.flatMap(({ asked }) => asked)).toEqual([]);
  });

  it('says that nobody signs where an assertion is needed and none can be had', async () => {
    const { asked, outcome } = await loginWith(good, { tenant, client }, { env: platform });
    expect(outcome).toMatchObject({ fault: 'denied', step: 'assertion', reason: 'nobody_signs' });
    expect(asked).toEqual([]);
  });
});
