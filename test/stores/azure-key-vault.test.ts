import { createServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { guide } from '../../src/stores/azure-key-vault/guide.ts';
import { azureKeyVault as plugIn } from '../../src/stores/azure-key-vault.ts';
import { openStores, type StoreEntry, type StoresDeps } from '../../src/stores/open.ts';
import { StoreError } from '../../src/stores/store.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { type AzureFake, client, identityHeader, managed, startAzure, tenant } from '../fakes/azure.ts';
import { json, refusal } from '../fakes/azure-answers.ts';
import { makeAsserter, type Trust } from '../fakes/federation.ts';
import type { FakeAnswer, FakeCall, FakeFault } from '../fakes/server.ts';
import { freePort } from '../support/free-port.ts';
import { storesDeps } from './deps.ts';

const audience = 'api://AzureADTokenExchange';
const us = makeAsserter({ algorithm: 'RS256', store: 'hub' });
const trust: Trust = { issuer: us.issuer, audience, subject: us.subject, keys: us.keys };
const trusts: Trust[] = [trust];

let azure: AzureFake;
beforeAll(async () => {
  azure = await startAzure({ trust: trusts });
});
afterEach(() => {
  azure.server.instead = undefined;
  azure.secrets.clear();
  trusts.splice(0, trusts.length, trust);
});
afterAll(() => azure.stop());

const entry = (more: object = {}): StoreEntry =>
  s.parse(plugIn.schema, {
    kind: 'azure-key-vault',
    vault: azure.url,
    tenant,
    client,
    authority: azure.url,
    ...more,
  }) as StoreEntry;

const ambient = (more: object = {}): StoreEntry =>
  s.parse(plugIn.schema, { kind: 'azure-key-vault', vault: azure.url, ...more }) as StoreEntry;

const assertFor = (_store: string, terms: AssertionTerms) => us.assert(terms);

const openAll = (config: StoreEntry, deps: Partial<StoresDeps> = {}) =>
  openStores({ hub: config }, storesDeps({ assertFor, ...deps }));

const openHub = (config: StoreEntry, deps: Partial<StoresDeps> = {}) => openAll(config, deps).open('hub');

/** What a promise rejects with: a StoreError, or the test fails. */
async function errorOf(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}

const isVaultCall = ({ url }: FakeCall) => url.pathname.startsWith('/secrets');
const isTokenCall = ({ url }: FakeCall) => url.pathname.endsWith('/token');
const instead = (which: (call: FakeCall) => boolean, answer: FakeAnswer | FakeFault) => {
  azure.server.instead = (call) => (which(call) ? answer : undefined);
};
const secretsInstead = async (answer: FakeAnswer | FakeFault) => instead(isVaultCall, answer);

describeStore(
  'azure-key-vault',
  {
    writable: true,
    textOnly: 'Key Vault keeps a string',
    hostile: ['under_score', 'a/b', 'STRIPE?x', 'STRIPE%2f', 'x'.repeat(128), 'versions/'],
    never: {},
  },
  async () => {
    azure.secrets.clear();
    const store = await openHub(entry());
    // Logged in before the clock of a test runs.
    await store.list(soon());
    return {
      store,
      seed: async (name, value) => azure.secrets.seed(name, value),
      provoke: {
        denied: async () => secretsInstead(refusal(403, 'Forbidden', 'ForbiddenByRbac')),
        disabled: async (name) => azure.secrets.change(name, { enabled: false }),
        unreachable: async () => secretsInstead('reset'),
        slow: async () => secretsInstead('hang'),
      },
    };
  },
);

describe('azure-key-vault: what it reads', () => {
  it.each([
    ['not_yet_valid', { nbf: 3600 }],
    ['expired', { exp: -1 }],
  ])('says disabled to a value that Key Vault still hands out: %s', async (reason, offsets) => {
    const store = await openHub(entry());
    const now = Math.floor(Date.now() / 1000);
    const times = Object.fromEntries(Object.entries(offsets).map(([name, offset]) => [name, now + offset]));
    const version = azure.secrets.seed('STRIPE', 'not-a-key', times);
    for (const wanted of [undefined, version]) {
      const { fault, facts } = await errorOf(store.get('STRIPE', wanted, soon()));
      expect([fault, facts.reason]).toEqual(['disabled', reason]);
    }
  });

  it('reads a value between its two times', async () => {
    const now = Math.floor(Date.now() / 1000);
    azure.secrets.seed('STRIPE', 'not-a-key', { nbf: now - 60, exp: now + 60 });
    const found = await (await openHub(entry())).get('STRIPE', undefined, soon());
    expect(found.value.revealText()).toBe('not-a-key');
  });

  it('reads an older version when the current one is disabled, and lists the name all the same', async () => {
    const store = await openHub(entry());
    const old = azure.secrets.seed('STRIPE', 'old');
    azure.secrets.seed('STRIPE', 'new', { enabled: false });
    expect((await store.get('STRIPE', old, soon())).value.revealText()).toBe('old');
    expect((await errorOf(store.get('STRIPE', undefined, soon()))).facts).toMatchObject({
      step: 'read',
      status: 403,
      code: 'SecretDisabled',
      reason: 'disabled',
    });
    expect(await store.list(soon())).toEqual(['STRIPE']);
  });

  it('says why a name cannot be written: its deletion can still be undone', async () => {
    const store = await openHub(entry());
    await store.put('STRIPE', new Secret('not-a-key'), soon());
    await store.remove('STRIPE', soon());
    const { fault, facts } = await errorOf(store.put('STRIPE', new Secret('not-a-key'), soon()));
    expect(fault).toBe('invalid');
    expect(facts).toMatchObject({ reason: 'deleted_but_recoverable', code: 'ObjectIsDeletedButRecoverable' });
    expect(await faultOf(store.put('OTHER', new Secret('x'.repeat(25_601)), soon()))).toBe('invalid');
  });

  it('reads every page of names and of versions', async () => {
    const store = await openHub(entry());
    for (let n = 100; n < 160; n++) azure.secrets.seed(`NAME-${n}`, 'not-a-key');
    for (let n = 0; n < 60; n++) azure.secrets.seed('MANY', `${n}`);
    expect((await store.list(soon())).length).toBe(61);
    const current = await store.get('MANY', undefined, soon());
    expect(await store.describe('MANY', soon())).toMatchObject({ version: current.version, versions: 60 });
  });

  it('says damaged to an answer about another secret', async () => {
    const store = await openHub(entry());
    const version = azure.secrets.seed('STRIPE', 'not-a-key');
    await secretsInstead(json(200, { id: `${azure.url}/secrets/OTHER/${version}`, value: 'x', attributes: {} }));
    expect(await faultOf(store.get('STRIPE', undefined, soon()))).toBe('damaged');
    await secretsInstead(
      json(200, { id: `${azure.url}/secrets/STRIPE/${'0'.repeat(32)}`, value: 'x', attributes: {} }),
    );
    expect(await faultOf(store.get('STRIPE', version, soon()))).toBe('damaged');
  });

  it('makes one call for 1,000 who ask at once', async () => {
    azure.secrets.seed('STRIPE', 'not-a-key');
    const { read } = openAll(entry({ cache: '0' }));
    const before = azure.calls.length;
    const ref = { store: 'hub', name: 'STRIPE' };
    const found = await Promise.all(Array.from({ length: 1_000 }, () => read(ref, soon())));
    expect(new Set(found.map(({ value }) => value.revealText()))).toEqual(new Set(['not-a-key']));
    const calls = azure.calls.slice(before);
    expect([calls.filter(isTokenCall).length, calls.filter(isVaultCall).length]).toEqual([1, 1]);
  });
});

describe('azure-key-vault: what can go wrong there', () => {
  const padding = 'x'.repeat(300_000);
  it.each([
    ['throttled', 'throttled', { status: 429, headers: { 'retry-after': '7' }, body: '{}' }],
    ['a server error', 'server_error', { status: 500, body: '{"error":{"code":"InternalError"}}' }],
    ['a redirect', 'redirect', { status: 307, headers: { location: 'https://trap.example/' } }],
    ['a body too large', 'too_large', { status: 200, body: JSON.stringify({ padding }) }],
    ['a page of HTML', 'not_json', { status: 200, body: '<html>canary words</html>' }],
    ['an answer without a secret', 'not_understood', { status: 200, body: '{"canary":"words"}' }],
    ['a list of none', 'not_understood', { status: 200, body: '{"value":"canary words"}' }],
    ['a truncated body', 'truncated', 'cut'],
    ['a dropped connection', 'connection_reset', 'reset'],
  ] as const)('tells the operator of %s, and asks once', async (_, reason, answer) => {
    const store = await openHub(entry());
    await store.list(soon());
    await secretsInstead(answer);
    const before = azure.calls.length;
    const { fault, facts } = await errorOf(store.list(soon()));
    expect(facts).toMatchObject({ step: 'list', reason });
    expect(fault).toBe(reason === 'throttled' ? 'throttled' : 'unreachable');
    if (fault === 'throttled') expect(facts.retryAfter).toBe(7);
    expect(azure.calls.length - before).toBe(1);
  });

  it('says tls where no certificate can be checked, and sends nothing', async () => {
    const port = await freePort();
    const bare = createServer({});
    await new Promise<void>((resolve) => bare.listen(port, '127.0.0.1', resolve));
    const store = await openHub(entry({ vault: `https://127.0.0.1:${port}` }));
    expect((await errorOf(store.get('STRIPE', undefined, soon()))).facts).toMatchObject({
      step: 'read',
      reason: 'tls',
    });
    bare.close();
  });

  it('lets no word of the vault or of Entra out, to a caller or into the log', async () => {
    const lines: LogFacts[] = [];
    const { read } = openAll(entry({ cache: '0' }), { log: (_level, _event, facts) => void lines.push(facts ?? {}) });
    const words = { error: { code: 'Canary words', message: 'canary', innererror: { code: 'canary\nwords' } } };
    for (const which of [isTokenCall, isVaultCall]) {
      instead(which, { ...json(400, words), headers: { 'x-canary': 'canary', 'content-type': 'application/json' } });
      const error = await read({ store: 'hub', name: 'STRIPE' }, soon()).catch((thrown: unknown) => thrown);
      expect(`${error} ${JSON.stringify(error)} ${JSON.stringify(lines)}`).not.toMatch(/canary|words/i);
    }
    expect(lines.map(({ step, status }) => [step, status])).toEqual([
      ['exchange', 400],
      ['read', 400],
    ]);
  });
});

describe('azure-key-vault: how it logs in', () => {
  it('by an assertion signed with RSA for the audience Entra asks for', async () => {
    const store = await openHub(entry());
    await store.list(soon());
    expect(us.made.at(-1)).toMatchObject({ aud: audience, sub: us.subject });
    expect(plugIn.assertion?.(entry())).toEqual({ audience, algorithms: ['RS256'], ttl: 300 });
    expect(plugIn.assertion?.(ambient())).toBeUndefined();
  });

  it('says at which step Entra refused another subject, and by which code', async () => {
    trusts.splice(0, 1, { ...trust, subject: 'broker:other.example' });
    const steps: string[] = [];
    const store = await openHub(entry(), { step: (_, name) => void steps.push(name) });
    const { fault, facts } = await errorOf(store.get('STRIPE', undefined, soon()));
    expect(fault).toBe('denied');
    expect(facts).toMatchObject({ step: 'exchange', code: 'AADSTS700213', reason: 'untrusted_subject', status: 401 });
    expect(steps).toEqual(['read', 'assertion', 'exchange']);
  });

  it.each([
    ['unknown_tenant', { tenant: 'other.example' }],
    ['unknown_client', { client: '99999999-2222-2222-2222-222222222222' }],
  ])('says %s', async (reason, more) => {
    const { facts } = await errorOf((await openHub(entry(more))).list(soon()));
    expect(facts).toMatchObject({ step: 'exchange', reason });
  });

  it('says so when the clocks are apart', async () => {
    const late = (_store: string, terms: AssertionTerms) => us.assert(terms, { iat: 1_000, nbf: 1_000, exp: 1_300 });
    const { facts } = await errorOf((await openHub(entry(), { assertFor: late })).list(soon()));
    expect(facts).toMatchObject({ step: 'exchange', reason: 'clock_skew' });
  });

  it('drops a session that is no longer taken, and begins another within the same call', async () => {
    azure.secrets.seed('STRIPE', 'not-a-key');
    const store = await openHub(entry());
    await store.list(soon());
    azure.forgetTokens();
    const before = azure.calls.length;
    expect((await store.get('STRIPE', undefined, soon())).value.revealText()).toBe('not-a-key');
    expect(azure.calls.slice(before).map(({ url }) => url.pathname.split('/').at(-1))).toEqual(['', 'token', '']);
    await store.get('STRIPE', undefined, soon());
    expect(azure.calls.slice(before).filter(isTokenCall).length).toBe(1);
  });

  it('sends a value that is written once more with the new session, whole', async () => {
    const store = await openHub(entry());
    await store.list(soon());
    azure.forgetTokens();
    await store.put('STRIPE', new Secret('not-a-key'), soon());
    expect((await store.get('STRIPE', undefined, soon())).value.revealText()).toBe('not-a-key');
  });

  it('goes no further than one new session, and says denied', async () => {
    const store = await openHub(entry());
    await secretsInstead(refusal(401, 'Unauthorized'));
    const before = azure.calls.length;
    expect(await faultOf(store.get('STRIPE', undefined, soon()))).toBe('denied');
    expect(azure.calls.length - before).toBe(4);
  });

  it('keeps its session to two thirds of its life', async () => {
    const clock = { now: Date.now() };
    const now = () => clock.now;
    const store = await openHub(entry(), { now });
    const logins = () => azure.calls.filter(isTokenCall).length;
    await store.list(deadlineIn(5_000, now));
    const before = logins();
    clock.now += 2_390_000;
    await store.list(deadlineIn(5_000, now));
    expect(logins()).toBe(before);
    clock.now += 20_000;
    await store.list(deadlineIn(5_000, now));
    expect(logins()).toBe(before + 1);
  });
});

describe('azure-key-vault: a vault that lies', () => {
  /** A host that must never be called; its address is on loopback, so that a call would be seen. */
  async function trap() {
    const port = await freePort();
    const seen: unknown[] = [];
    const server = createTcpServer((socket) => void seen.push(socket.destroy()));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${port}`, seen, close: () => server.close() };
  }

  it('gets no token for another resource or from another authority, whatever it asks for', async () => {
    const { url, seen, close } = await trap();
    const store = await openHub(entry());
    for (const challenge of [
      `Bearer authorization="${url}/${tenant}", resource="https://graph.microsoft.com"`,
      `Bearer authorization="${url}/${tenant}", scope="https://management.azure.com/.default"`,
      `Bearer authorization="https://login.microsoftonline.com/other", resource="https://vault.azure.net"`,
      'Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="',
    ]) {
      await secretsInstead(json(401, {}, challenge));
      const before = azure.calls.length;
      expect(await faultOf(store.get('STRIPE', undefined, soon()))).toBe('denied');
      const logins = azure.calls.slice(before).filter(isTokenCall);
      expect(logins.length).toBeGreaterThan(0);
      for (const { url: asked, body } of logins) {
        expect(asked.pathname).toBe(`/${tenant}/oauth2/v2.0/token`);
        expect(new URLSearchParams(body).get('scope')).toBe('https://vault.azure.net/.default');
        expect(body).not.toContain('claims');
      }
    }
    expect(seen).toEqual([]);
    close();
  });

  it('leads nowhere by the links of a list or the identifiers of a secret', async () => {
    const { url, seen, close } = await trap();
    const store = await openHub(entry());
    const id = `${url}/secrets/STRIPE/${'a'.repeat(32)}`;
    for (const nextLink of [`${url}/secrets?x`, 'http://[::1]:1/secrets', 'https://hub.vault.azure.net/secrets']) {
      await secretsInstead(json(200, { value: [{ id, attributes: {} }], nextLink }));
      const { fault, facts } = await errorOf(store.list(soon()));
      expect([fault, facts.reason]).toEqual(['unreachable', 'foreign_link']);
    }
    await secretsInstead(json(200, { id, value: 'x', attributes: {}, recoveryId: url, kid: url }));
    await store.get('STRIPE', undefined, soon());
    await store.remove('STRIPE', soon());
    expect(seen).toEqual([]);
    close();
  });

  it('ends a list that never ends', async () => {
    const store = await openHub(entry());
    await secretsInstead(json(200, { value: [], nextLink: `${azure.url}/secrets?again` }));
    const { fault, facts } = await errorOf(store.list(soon(20_000)));
    expect([fault, facts.reason]).toEqual(['unreachable', 'too_many_pages']);
  });
});

describe('azure-key-vault: by the identity of the platform', () => {
  it('of App Service and Functions, the system one or one named', async () => {
    azure.secrets.seed('STRIPE', 'not-a-key');
    const env = { IDENTITY_ENDPOINT: `${azure.url}/msi/token`, IDENTITY_HEADER: identityHeader };
    for (const [identity, named] of [
      [{}, null],
      [{ identity: 'system' }, null],
      [{ identity: managed }, managed],
    ] as const) {
      const store = await openHub(ambient(identity), { env });
      expect((await store.get('STRIPE', undefined, soon())).value.revealText()).toBe('not-a-key');
      const login = azure.calls.filter(({ url }) => url.pathname === '/msi/token').at(-1);
      expect(login?.url.searchParams.get('resource')).toBe('https://vault.azure.net');
      expect(login?.url.searchParams.get('client_id')).toBe(named);
    }
    const other = ambient({ identity: '44444444-3333-3333-3333-333333333333' });
    expect((await errorOf((await openHub(other, { env })).list(soon()))).facts).toMatchObject({ step: 'login' });
  });

  it('of a virtual machine, only where the environment says where it is', async () => {
    const store = await openHub(ambient(), { env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${azure.url}/` } });
    expect(await store.list(soon())).toEqual([]);
    const nowhere = await openHub(ambient());
    const { fault, facts } = await errorOf(nowhere.list(soon()));
    expect([fault, facts.step, facts.reason]).toEqual(['denied', 'login', 'no_ambient_identity']);
  });

  it('of a pod of AKS, whose token Entra trusts', async () => {
    const env = {
      AZURE_FEDERATED_TOKEN_FILE: '/token',
      AZURE_TENANT_ID: tenant,
      AZURE_CLIENT_ID: client,
      AZURE_AUTHORITY_HOST: `${azure.url}/`,
    };
    const token = await us.assert({ audience, algorithms: ['RS256'], ttl: 300 });
    const readFile = async () => Buffer.from(`${token}\n`);
    const store = await openHub(ambient(), { env, readFile });
    expect(await store.list(soon())).toEqual([]);
    const missing = async () => Promise.reject(new Error('ENOENT'));
    expect((await errorOf((await openHub(ambient(), { env, readFile: missing })).list(soon()))).facts).toMatchObject({
      step: 'login',
      reason: 'no_token',
    });
  });

  it('and never by a client secret or a certificate that lies in the environment', async () => {
    const env = { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_CLIENT_SECRET: 'x', AZURE_USERNAME: 'x' };
    const before = azure.calls.length;
    expect(await faultOf((await openHub(ambient(), { env })).list(soon()))).toBe('denied');
    expect(azure.calls.length).toBe(before);
  });
});

describe('azure-key-vault: what is to be set up', () => {
  const facts = {
    store: 'hub',
    issuer: us.issuer,
    jwksUri: `${us.issuer}/.well-known/jwks.json`,
    audience,
    subject: us.subject,
    algorithm: 'RS256',
    names: [],
  } as const;

  it('is an app that trusts our issuer and subject alone, with a role on this vault, and no secret', () => {
    const steps = guide(entry({ vault: 'https://hub.vault.azure.net' }), facts);
    expect(steps.find(({ file }) => file)?.file?.json).toEqual({
      name: 'hallpass',
      issuer: us.issuer,
      subject: us.subject,
      audiences: [audience],
    });
    const shell = steps.map((step) => step.shell).join('\n');
    expect(shell).toContain(`federated-credential create --id '${client}'`);
    expect(shell).toContain("'Key Vault Secrets User'");
    expect(shell).toContain("az keyvault show --name 'hub'");
    expect(shell).not.toMatch(/credential reset|password|--cert|Contributor|Officer|Administrator/);
    expect(steps.map(({ about }) => about).join()).toContain('an RSA key must be among the signers');
  });

  it('is nothing where no assertion is shown', () => {
    expect(guide(ambient(), facts)).toEqual([]);
  });
});

describe('azure-key-vault: its config', () => {
  const faults = (more: object) => {
    const found = s.safeParse(plugIn.schema, {
      kind: 'azure-key-vault',
      vault: 'https://hub.vault.azure.net',
      ...more,
    });
    return found.success
      ? (plugIn.check?.(found.data) ?? []).map(({ message }) => message)
      : found.error.issues.map(({ message }) => message);
  };

  it('takes tenant and client together, or neither', () => {
    expect(faults({})).toEqual([]);
    expect(faults({ tenant, client })).toEqual([]);
    expect(faults({ tenant: 'contoso.onmicrosoft.com', client, cache: '5m' })).toEqual([]);
    expect(faults({ identity: 'system' })).toEqual([]);
    for (const wrong of [
      { tenant },
      { client },
      { tenant, client, identity: 'system' },
      { audience },
      { tenant: 'common', client },
      { tenant: '../x', client },
      { tenant, client: 'my-app' },
      { tenant, client, authority: 'https://login.example/' },
      { tenant, client, clientSecret: 'x' },
      { identity: 'me' },
    ])
      expect(faults(wrong).length, JSON.stringify(wrong)).toBe(1);
  });

  it.each([
    'https://vault',
    'https://azure.net',
    'http://hub.vault.azure.net',
    'https://hub.vault.azure.net/secrets/STRIPE',
    'https://1.2.3.4',
    'https://hub.vault.azure.net?x',
  ])('refuses the vault %s', (vault) => {
    expect(faults({ vault }).length).toBe(1);
  });

  it.each([
    ['https://hub.vault.azure.net', 'https://vault.azure.net', 'https://login.microsoftonline.com', audience],
    [
      'https://hub.vault.azure.cn',
      'https://vault.azure.cn',
      'https://login.partner.microsoftonline.cn',
      `${audience}China`,
    ],
    [
      'https://hub.vault.usgovcloudapi.net',
      'https://vault.usgovcloudapi.net',
      'https://login.microsoftonline.us',
      `${audience}USGov`,
    ],
    ['https://hub.trap.example', 'https://trap.example', 'https://login.microsoftonline.com', audience],
  ])('asks for %s a token for its own domain, of its own cloud', async (vault, resource, authority, expected) => {
    const seen: [string, unknown][] = [];
    const fetch = async (url: string, init: RequestInit) => {
      seen.push([url, init.body]);
      return new Response('{}', { status: 500 });
    };
    const { authority: _, ...config } = entry({ vault }) as StoreEntry & { authority: string };
    expect(plugIn.assertion?.(config)?.audience).toBe(expected);
    expect(plugIn.assertion?.({ ...config, audience: 'urn:own' })?.audience).toBe('urn:own');
    await errorOf((await openHub(config, { fetch })).list(soon()));
    expect(seen.map(([url]) => url)).toEqual([`${authority}/${tenant}/oauth2/v2.0/token`]);
    expect(new URLSearchParams(String(seen[0]?.[1])).get('scope')).toBe(`${resource}/.default`);
  });
});
