import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { soon } from '../contracts/store.ts';
import type { FakeAnswer } from '../fakes/server.ts';
import { type FakeKind, fakeKinds } from '../fakes/shelves.ts';
import { openRig } from '../faults/store-rig.ts';
import { type HttpIssuer, json, startIssuer } from '../identity/http-issuer.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { startTrap, type Trap } from './trap.ts';

const { folder, remove } = temporaryFolder();
const audience = 'https://pass.test';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'test', use: 'sig' };
/** Only for the shape of the config: the issuers of these tests are their own. */
const placeholder = testIssuer('https://issuer.test', audience);
const discovery = '/.well-known/openid-configuration';

let trap: Trap;
beforeAll(async () => {
  trap = await startTrap();
});
afterAll(() => {
  trap.close();
  remove();
});
/** Whoever went there has had the time to arrive. */
const visitors = async () => {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return trap.connections();
};

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
function signed(header: object, claims: object): string {
  const at = Math.floor(Date.now() / 1000);
  const input = `${part({ alg: 'ES256', kid: 'test', typ: 'JWT', ...header })}.${part({ aud: audience, sub: 'svc:checkout', iat: at, exp: at + 300, ...claims })}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

describe('a token or a request that names a URL', () => {
  let issuer: HttpIssuer;
  let broker: OpenBroker;
  const fetched = new Set<string>();

  beforeAll(async () => {
    issuer = await startIssuer((request, response) =>
      json(request.url === discovery ? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` } : { keys: [jwk] })(
        request,
        response,
      ),
    );
    const config = embeddedConfig(folder, placeholder, {
      issuers: { ci: { issuer: issuer.url } },
      stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
      grants: [
        { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
      ],
    });
    broker = await openBroker(config, folder, {
      env: { TEST_SECRET_stripe: 'not-a-real-secret' },
      fetch: (url, init) => {
        fetched.add(new URL(url).origin);
        return fetch(url, init);
      },
    });
  });
  afterAll(async () => {
    await broker.deployment.close();
    await issuer.close();
  });

  const ask = (token: string, init: RequestInit = {}, path = '/v1/credentials/stripe-key') =>
    broker.send(path, { method: 'POST', ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });

  it('does not move the broker to go there, whichever header member of the token holds it', async () => {
    expect((await ask(signed({}, { iss: issuer.url }))).status).toBe(200);
    for (const url of trap.urls)
      for (const header of [
        { jku: url },
        { x5u: url },
        { kid: url },
        { jwk: { ...jwk, x5u: url, jku: url } },
        { x5c: [url] },
        { iss: url },
        { crit: ['url'], url },
        { typ: url },
      ])
        expect((await ask(signed(header, { iss: issuer.url }))).status, JSON.stringify(header)).toBe(401);
    expect(await visitors()).toBe(0);
  });

  it('does not move the broker to go there, whichever claim holds it', async () => {
    for (const url of trap.urls) {
      const foreign = [
        { iss: url },
        { iss: `${issuer.url}@${url.replace(/^.*\/\//, '')}` },
        { aud: url },
        { sub: url },
      ];
      for (const claims of foreign)
        expect([401, 403], JSON.stringify(claims)).toContain(
          (await ask(signed({}, { iss: issuer.url, ...claims }))).status,
        );
      const known = {
        jwks_uri: url,
        jku: url,
        x5u: url,
        jti: url,
        azp: url,
        picture: url,
        _claim_sources: { a: { endpoint: url } },
      };
      expect((await ask(signed({}, { iss: issuer.url, ...known }))).status).toBe(200);
    }
    expect(await visitors()).toBe(0);
  });

  it('does not move the broker to go there, whichever part of the request holds it', async () => {
    const token = () => signed({}, { iss: issuer.url });
    for (const url of trap.urls) {
      const host = url.replace(/^.*\/\//, '').replace(/\/.*$/, '');
      const names = [
        'referer',
        'origin',
        'link',
        'x-original-url',
        'x-rewrite-url',
        'x-forwarded-uri',
        'content-location',
        'destination',
        'traceparent',
        'x-callback-url',
        'hallpass-lease',
      ];
      for (const name of names) await ask(token(), { headers: { [name]: url } });
      for (const name of ['host', 'x-forwarded-host', 'x-forwarded-server', 'x-forwarded-for', 'x-real-ip', 'x-host'])
        await ask(token(), { headers: { [name]: host } });
      await ask(token(), { headers: { forwarded: `for="${host}";host="${host}";proto=http` } });
      for (const path of [
        `/v1/credentials/${encodeURIComponent(url)}`,
        `/v1/explain/stripe-key?url=${encodeURIComponent(url)}`,
        `/v1/leases/${encodeURIComponent(url)}`,
        '/oauth/token?request_uri=x',
      ])
        await ask(token(), {}, path);
      const bodies = [
        { reason: url },
        { invocation: { id: url } },
        { url },
        { store: url },
        { sealTo: { kty: 'EC', crv: 'P-256', x: url, y: url, jku: url } },
        { publicKey: url },
        { csr: url },
      ];
      for (const body of bodies)
        await ask(token(), { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token(),
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        audience: 'partner',
      };
      for (const name of [
        'resource',
        'audience',
        'scope',
        'subject_token_type',
        'requested_token_type',
        'client_assertion',
        'client_id',
        'redirect_uri',
        'request_uri',
        'jwks_uri',
        'actor_token',
        'subject_token',
        'issuer',
      ])
        await broker.send('/oauth/token', {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ ...form, [name]: url }).toString(),
        });
    }
    expect(await visitors()).toBe(0);
    expect([...fetched]).toEqual([issuer.url]);
  });
});

describe('an issuer that names a URL', () => {
  /** What of an answer is other than usual: members of its body, or all of it. */
  type Change = { readonly body: object } | { readonly status: number; readonly location: string };

  it('does not move the broker to go there, by its discovery document, by a redirect, or by its keys', async () => {
    for (const [at, status] of [302, 307, 308].entries()) {
      const url = trap.urls[at * 2] as string;
      const redirect = { status, location: url };
      const changes: readonly (readonly [string, string, Change])[] = [
        ['jwks_uri', discovery, { body: { jwks_uri: url } }],
        ['redirected discovery', discovery, redirect],
        ['redirected keys', '/keys', redirect],
        ['keys with URLs', '/keys', { body: { keys: [{ ...jwk, jku: url, x5u: url, use: 'enc' }], next: url } }],
      ];
      for (const [name, changed, change] of changes) {
        const issuer = await startIssuer((request, response) => {
          const path = request.url ?? '';
          const usual = path === discovery ? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` } : { keys: [jwk] };
          if (path !== changed) return json(usual)(request, response);
          if ('body' in change) return json({ ...usual, ...change.body })(request, response);
          response.writeHead(change.status, { location: change.location, refresh: `0; url=${change.location}` }).end();
        });
        const config = embeddedConfig(folder, placeholder, {
          issuers: { ci: { issuer: issuer.url } },
          ledger: { kind: 'sqlite', path: `${at}-${name}.db` },
          grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' }],
        });
        const broker = await openBroker(config, folder);
        const { status: got } = await broker.ask('/v1/credentials/partner', signed({}, { iss: issuer.url }));
        expect([401, 503], `${name} ${url}`).toContain(got);
        await broker.deployment.close();
        await issuer.close();
      }
    }
    expect(await visitors()).toBe(0);
  });
});

describe.for(fakeKinds)('%s that names a URL', (kind) => {
  const answer = (status: number, headers: Record<string, string>, body: unknown): FakeAnswer => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

  it('does not move the broker to go there, by a redirect, a challenge, or the body of an answer', async () => {
    const rig = await openRig(kind);
    const [first = ''] = trap.urls;
    const askIt = async () => {
      const before = rig.server.calls.length;
      await rig.ask();
      expect(rig.server.calls.length).toBeGreaterThan(before);
    };
    for (const [index, url] of trap.urls.entries()) {
      const link = {
        location: url,
        'content-location': url,
        link: `<${url}>; rel="next"`,
        refresh: `0; url=${url}`,
        'alt-svc': `h2="${url.replace(/^.*\/\//, '')}"`,
      };
      const body = {
        location: url,
        nextLink: url,
        '@odata.nextLink': url,
        next: url,
        selfLink: url,
        endpoint: url,
        authorization: url,
        token_url: url,
        error: { code: 'x', innererror: url },
      };
      const challenge = {
        'www-authenticate': `Bearer authorization="${url}", resource="${first}", realm="${url}", scope="${url}"`,
      };
      const statuses = index === 0 ? [301, 303, 307, 308] : [302];
      for (const at of kind === 'kubernetes' ? (['read'] as const) : (['login', 'read'] as const)) {
        for (const status of statuses) {
          rig.fail(at, answer(status, link, body));
          await askIt();
        }
        for (const status of [200, 401, 403, 503]) {
          rig.fail(at, answer(status, { ...link, ...challenge }, body));
          await askIt();
        }
      }
    }
    await rig.close();
    expect(await visitors()).toBe(0);
  });

  it('does not move the broker to go there by the next page of a list', async () => {
    const rig = await openRig(kind);
    const store = await rig.store();
    for (const url of trap.urls) {
      rig.fail('read', answer(200, {}, firstPages(url)[kind]));
      await store.list(soon(1_000)).catch(() => {});
    }
    await rig.close();
    expect(await visitors()).toBe(0);
  });
});

it('would have been noticed at the trap', async () => {
  const [near = '', , , , , far = ''] = trap.urls;
  for (const url of [near, far]) await fetch(url).catch(() => {});
  expect(await visitors()).toBe(2);
});

/** A first page whose next one is said to be at the trap. */
const firstPages = (url: string): Readonly<Record<FakeKind, object>> => ({
  'aws-secrets-manager': { SecretList: [], NextToken: url },
  'azure-key-vault': { value: [], nextLink: url },
  'google-secret-manager': { secrets: [], nextPageToken: url },
  vault: { data: { keys: [url, `../${url}`, 'folder/'] }, next: url },
  kubernetes: { kind: 'SecretList', metadata: { continue: url, selfLink: url }, items: [] },
});
