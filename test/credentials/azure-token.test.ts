import { afterAll, describe, expect, it } from 'vitest';
import { azureToken } from '../../src/credentials/azure-token.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { describeKind, faultsOf, identity, refusalOf, requestFor } from '../contracts/kind.ts';
import { type AzureFake, type AzureOptions, client, startAzure, tenant } from '../fakes/azure.ts';
import { json } from '../fakes/azure-answers.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { openCloud, type World } from './clouds.ts';

const audience = 'api://AzureADTokenExchange';
const started: AzureFake[] = [];
afterAll(() => Promise.all(started.map((azure) => azure.stop())));

interface Options extends AzureOptions {
  readonly world?: Partial<World>;
  readonly algorithm?: 'ES256' | 'RS256';
}

const us = makeAsserter({ algorithm: 'RS256', store: 'it' });

/** A fake Entra that trusts us, and a credential of one app registration there. */
async function rig(more: Record<string, unknown> = {}, { world = {}, ...options }: Options = {}) {
  const trust = [{ issuer: us.issuer, audience, subject: us.subject, keys: us.keys }];
  const azure = await startAzure({ trust, ...options });
  started.push(azure);
  const scope = 'https://graph.microsoft.com/.default';
  const entry = { kind: 'azure-token', tenant, client, scope, authority: azure.url, ...more };
  return { azure, entry, ...(await openCloud(entry, { us, ...world })) };
}

const members = ['accessToken', 'tokenType', 'expiresOn'];

describeKind('azure-token', { members, fingerprinted: 'accessToken' }, async () => {
  const { entry, deps } = await rig();
  return { entry, deps };
});

describe('a token of Entra', () => {
  it('is for the one resource of the config, got by one assertion for each issuance', async () => {
    const asked: (string | undefined)[] = [];
    const assert: World['assert'] = async (_, issuance) => {
      asked.push(issuance);
      return us.assert({ audience, algorithms: ['RS256'], ttl: 300 });
    };
    const { azure, read } = await rig({}, { world: { assert } });
    const requests = [requestFor(), requestFor()];
    const issued = await Promise.all(requests.map(read));
    expect(asked.sort()).toEqual(requests.map(({ id }) => id).sort());
    for (const { data } of issued)
      expect(azure.tokens.get(String(data.accessToken))).toBe('https://graph.microsoft.com');
    const shown = azure.calls.map(({ body }) => new URLSearchParams(body).get('client_assertion'));
    expect(new Set(shown).size).toBe(2);
  });

  it('is asked for in these members and no others', async () => {
    const { azure, read } = await rig();
    await read();
    const [{ method, url, headers, body }] = azure.calls as [(typeof azure.calls)[number]];
    expect([method, url.pathname, url.search]).toEqual(['POST', `/${tenant}/oauth2/v2.0/token`, '']);
    expect(headers.authorization).toBeUndefined();
    const { client_assertion: assertion, ...form } = Object.fromEntries(new URLSearchParams(body));
    expect(form).toEqual({
      grant_type: 'client_credentials',
      client_id: client,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      scope: 'https://graph.microsoft.com/.default',
    });
    const [header, claims] = (assertion ?? '')
      .split('.', 2)
      .map((part) => JSON.parse(`${Buffer.from(part, 'base64url')}`));
    expect(header).toMatchObject({ alg: 'RS256', typ: 'JWT' });
    expect(claims).toMatchObject({ aud: audience, iss: us.issuer, sub: us.subject });
  });

  it('tells Entra nothing of who asked', async () => {
    const { azure, read } = await rig();
    const before = us.made.length;
    const claims = { ...identity.claims, sub: 'who-asked', repository: 'what-asked' };
    await read({ identity: { ...identity, subject: 'who-asked', name: 'who-asked', claims } });
    const said = JSON.stringify([azure.calls.map(({ headers, body }) => [headers, body]), us.made.slice(before)]);
    expect(said).not.toMatch(/who-asked|what-asked|acme/);
  });

  it.each([
    ['api://orders', 'api://orders/.default'],
    ['https://database.windows.net/', 'https://database.windows.net//.default'],
  ])('is for %s as its scope %s is written', async (resource, scope) => {
    const { azure, read } = await rig({ scope });
    const { data } = await read();
    expect(azure.tokens.get(String(data.accessToken))).toBe(resource);
  });

  it('says its own end; the lease ends with it where that is sooner', async () => {
    const { read } = await rig({ ttl: '24h' }, { lifeOf: () => 4000 });
    const [shorter, longer] = [await read({ ttl: 600 }), await read({ ttl: 7200 })];
    const end = (said: typeof shorter) => Date.parse(String(said.data.expiresOn));
    for (const said of [shorter, longer]) expect(Math.abs(end(said) - Date.now() - 4_000_000)).toBeLessThan(5_000);
    expect(shorter.expiresAt).toBeUndefined();
    expect(Math.floor((longer.expiresAt ?? 0) / 1000) * 1000).toBe(end(longer));
  });

  it('lasts an hour at most unless the config says otherwise', async () => {
    expect((await rig()).credential.maxTtl).toBe(3600);
    expect((await rig({ ttl: '24h' })).credential.maxTtl).toBe(86_400);
  });

  it.each([
    ['of another tenant', { tenant: 'other.example' }, 'unknown_tenant'],
    ['of another client', { client: '44444444-4444-4444-4444-444444444444' }, 'unknown_client'],
    ['for another audience', { audience: 'api://other' }, 'untrusted_subject'],
  ])('%s is refused, and the operator told why', async (_, more, reason) => {
    const { refused, lines } = await rig(more);
    expect(await refused()).toBe(`store_failed ${reason}`);
    expect(lines).toMatchObject([{ credential: 'it', kind: 'azure-token', step: 'exchange', reason }]);
  });

  it.each([
    [401, 500011, 'unknown_resource'],
    [400, 1002012, 'invalid_scope'],
    [400, 53003, 'conditional_access'],
    [401, 700211, 'untrusted_issuer'],
    [401, 700024, 'clock_skew'],
    [400, 999999, 'denied'],
  ])('is refused for its own reason by AADSTS (%i, %i)', async (status, code, reason) => {
    const { azure, refused, lines } = await rig();
    azure.server.instead = () => json(status, { error: 'canary', error_codes: [code], error_description: 'canary' });
    expect(await refused()).toBe(`store_failed ${reason}`);
    expect(lines).toMatchObject([{ code: `AADSTS${code}`, status }]);
  });

  const good = { token_type: 'Bearer', access_token: 'canary', expires_in: 3600 };
  it.each([
    ['sends no JSON', { status: 200, body: '<canary/>' }, 'not_json'],
    ['sends no token', json(200, { ...good, access_token: undefined }), 'not_understood'],
    ['sends two lines', json(200, { ...good, access_token: 'a\r\nb' }), 'not_understood'],
    ['sends a token bound to a key', json(200, { ...good, token_type: 'pop' }), 'not_understood'],
    ['sends no end', json(200, { ...good, expires_in: undefined }), 'not_understood'],
    ['sends what is over', json(200, { ...good, expires_in: 0 }), 'session_over'],
    ['hangs up', 'reset' as const, 'connection_reset'],
    ['sends half of it', 'cut' as const, 'truncated'],
    ['sends us elsewhere', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }, 'redirect'],
    ['is broken', { status: 500, body: 'canary' }, 'server_error'],
  ])('is refused when Entra %s', async (_, said, reason) => {
    const { azure, refused, lines } = await rig();
    azure.server.instead = () => said;
    expect(await refused()).toBe(`store_failed ${reason}`);
    expect(lines).toMatchObject([{ step: 'exchange', reason }]);
  });

  it('is refused by the deadline when Entra says nothing, and for as long as it asks us to wait', async () => {
    const { azure, read, refused } = await rig();
    azure.server.instead = () => 'hang';
    expect(await refused({ deadline: deadlineIn(200, Date.now) })).toBe('store_timeout slow');
    azure.server.instead = () => ({ ...json(429, { error: 'canary' }), headers: { 'retry-after': '9' } });
    const waiting = await refusalOf(read());
    expect([waiting.code, waiting.reason, waiting.options.retryAfter]).toEqual(['store_failed', 'throttled', 9]);
  });

  it('is not asked for where nobody signs for us, or nothing can be recorded', async () => {
    const nobody = await rig({}, { world: { assert: undefined as never } });
    expect(await nobody.refused()).toBe('store_failed nobody_signs');
    const fails = async () => Promise.reject(new Refusal('ledger_unavailable', 'down'));
    const unrecorded = await rig({}, { world: { assert: fails } });
    expect(await unrecorded.refused()).toBe('ledger_unavailable down');
    for (const { azure } of [nobody, unrecorded]) expect(azure.calls).toEqual([]);
  });
});

describe('the config of an azure-token', () => {
  const entry = { kind: 'azure-token', tenant, client, scope: 'https://graph.microsoft.com/.default' };

  it.each([{}, { tenant: 'acme.example' }, { authority: 'https://login.microsoftonline.us' }, { ttl: '1h' }])(
    'takes %j',
    (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]),
  );

  it.each([
    { tenant: undefined },
    { tenant: 'common' },
    { client: undefined },
    { client: 'app' },
    { scope: 'https://graph.microsoft.com/User.Read' },
    { scope: 'https://a/.default https://b/.default' },
    { scope: '/.default' },
    { scope: ['https://graph.microsoft.com/.default'] },
    { authority: 'http://login.example' },
    { authority: 'https://login.microsoftonline.com/' },
    { clientSecret: 'x' },
    { ttl: '25h' },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));

  it.each([
    [undefined, audience],
    ['https://login.microsoftonline.us', 'api://AzureADTokenExchangeUSGov'],
    ['https://login.partner.microsoftonline.cn', 'api://AzureADTokenExchangeChina'],
    ['https://login.example', audience],
  ])('at %s makes assertions for %s, by RSA alone', (authority, expected) => {
    const terms = azureToken.assertion?.({ ...entry, authority });
    expect([terms?.audience, terms?.algorithms]).toEqual([expected, ['RS256']]);
    expect(azureToken.assertion?.({ ...entry, authority, audience: 'api://mine' })?.audience).toBe('api://mine');
  });
});
