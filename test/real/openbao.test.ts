import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { open as openTransit } from '../../src/keys/vault-transit/kms.ts';
import { members } from '../../src/keys/vault-transit/members.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { GuideFacts } from '../../src/stores/guide.ts';
import { openStores } from '../../src/stores/open.ts';
import { type Store, StoreError } from '../../src/stores/store.ts';
import { guide } from '../../src/stores/vault/guide.ts';
import { vault as plugIn } from '../../src/stores/vault.ts';
import { describeKms } from '../contracts/kms.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { storesDeps } from '../stores/deps.ts';
import { freePort } from '../support/free-port.ts';
import { runGuide } from './run-guide.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const lacking = lacks('openbao');
let bao: RealServer;
let us: Asserter;
let close: () => void;
const proxies: TcpProxy[] = [];
let count = 0;

/** As an operator with the root token. */
async function root(
  method: string,
  path: string,
  body?: unknown,
  namespace?: string,
): Promise<Record<string, unknown>> {
  const headers = { 'x-vault-token': 'root', ...(namespace !== undefined && { 'x-vault-namespace': namespace }) };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await fetch(`${bao.url}/v1/${path}`, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === '' ? {} : JSON.parse(text);
}

/** Serves our keys where `issuer` says they are. */
async function startIssuer(): Promise<void> {
  const port = await freePort();
  us = makeAsserter({ issuer: `http://127.0.0.1:${port}` });
  const server = createServer((_, response) => response.end(JSON.stringify({ keys: us.keys })));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  close = () => void server.close();
}

async function proxied(): Promise<TcpProxy & { url: string }> {
  const proxy = await startTcpProxy(Number(new URL(bao.url).port));
  proxies.push(proxy);
  return Object.assign(proxy, { url: `http://127.0.0.1:${proxy.port}` });
}

const configOf = (config: Record<string, unknown>) =>
  s.parse(plugIn.schema, { kind: 'vault', address: bao.url, audience: 'bao', ...config }) as { kind: 'vault' };

async function openVault(config: Record<string, unknown>): Promise<Store> {
  const deps = storesDeps({ assertFor: (_, terms) => us.assert(terms) });
  return openStores({ bao: configOf(config) }, deps).open('bao');
}

const pemOf = (jwk: JsonWebKey) => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });

const factsFor = (audience = 'bao'): GuideFacts => ({
  store: 'bao',
  issuer: us.issuer,
  jwksUri: `${us.issuer}/.well-known/jwks.json`,
  audience,
  subject: us.subject,
  algorithm: 'ES256',
  names: [],
});

const shellEnv = () => ({ VAULT_TOKEN: 'root', HOME: bao.folder, PATH: `${bao.folder}:${process.env.PATH}` });

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => Promise.reject(new Error('it did not reject')),
    (error) => (error instanceof StoreError ? error : Promise.reject(error)),
  );

/** A KV engine of its own and a role that may do everything in it, but for what is denied. */
async function makeKv(version: 1 | 2): Promise<{ mount: string; role: string; deny(path: string): Promise<void> }> {
  const mount = `kv-${++count}`;
  const role = `role-${count}`;
  await root('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: String(version) } });
  // An engine of version 2 is ready a moment after it was made.
  if (version === 2)
    await expect
      .poll(() =>
        root('POST', `${mount}/config`, { max_versions: 30 }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  const all = `path "${mount}/*" { capabilities = ["create", "update", "read", "list", "delete"] }`;
  const write = (policy: string) => root('POST', `sys/policies/acl/${role}`, { policy });
  await write(all);
  await root('POST', `auth/jwt/role/${role}`, {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_subject: us.subject,
    bound_audiences: ['bao'],
    token_policies: [role],
    token_ttl: '5m',
  });
  return {
    mount,
    role,
    deny: (path) => write(`${all}\npath "${mount}/${path}" { capabilities = ["deny"] }`).then(() => {}),
  };
}

beforeAll(async () => {
  if (lacking !== undefined) return;
  await startIssuer();
  bao = await startReal('openbao');
  await root('POST', 'sys/auth/jwt', { type: 'jwt' });
  await root('POST', 'auth/jwt/config', { jwks_url: `${us.issuer}/jwks`, bound_issuer: us.issuer });
});
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.close();
});
afterAll(async () => {
  await bao?.stop();
  close?.();
});

describe.skipIf(lacking !== undefined)(`the real OpenBao${lacking === undefined ? '' : `: ${lacking}`}`, () => {
  const provoke = (proxy: TcpProxy) => ({
    unreachable: async () => {
      proxy.fault = 'reset';
    },
    slow: async () => {
      proxy.fault = 'hang';
    },
  });

  describeStore('vault at OpenBao', { writable: true, never: {} }, async () => {
    const { mount, role, deny } = await makeKv(2);
    const proxy = await proxied();
    const store = await openVault({ mount, role, address: proxy.url });
    return {
      store,
      seed: async (name, value) => {
        const { data } = await root('POST', `${mount}/data/${name}`, { data: { value } });
        return String((data as { version: number }).version);
      },
      provoke: {
        ...provoke(proxy),
        denied: (name) => deny(`data/${name}`),
        disabled: (name) => root('DELETE', `${mount}/data/${name}`).then(() => {}),
      },
    };
  });

  describeStore(
    'vault at OpenBao with KV version 1',
    { writable: false, never: { disabled: 'KV version 1 deletes for good' } },
    async () => {
      const { mount, role, deny } = await makeKv(1);
      const proxy = await proxied();
      const store = await openVault({ mount, role, version: 1, address: proxy.url });
      return {
        store,
        seed: (name, value) => root('POST', `${mount}/${name}`, { value }).then(() => 'kv1'),
        provoke: { ...provoke(proxy), denied: (name) => deny(name) },
      };
    },
  );

  it('is set up by the lines of the guide alone, and says so when the role is revoked', async () => {
    const entry = configOf({ role: 'hallpass', auth: 'hallpass-jwt' });
    await runGuide(guide(entry, factsFor()), bao.folder, shellEnv());
    await root('POST', 'secret/data/prod/stripe', { data: { key: 'not-a-key' } });
    const store = await openVault({ role: 'hallpass', auth: 'hallpass-jwt' });
    expect((await store.get('prod/stripe', undefined, soon())).value.revealText()).toBe('{"key":"not-a-key"}');
    expect(await store.list(soon())).toContain('prod/stripe');
    expect((await store.describe('prod/stripe', soon())).versions).toBe(1);
    expect(await faultOf(store.remove('prod/stripe', soon()))).toBe('denied');

    await root('DELETE', 'auth/hallpass-jwt/role/hallpass');
    const late = await openVault({ role: 'hallpass', auth: 'hallpass-jwt' });
    const { fault, facts } = await failure(late.get('prod/stripe', undefined, soon()));
    expect([fault, facts]).toMatchObject([
      'denied',
      { step: 'login', reason: 'login_refused', code: 'no_such_role', status: 400 },
    ]);
  });

  it('works in a namespace, set up by the guide', async () => {
    await root('POST', 'sys/namespaces/team', {});
    await root('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } }, 'team');
    const entry = { role: 'hallpass', namespace: 'team' };
    await runGuide(guide(configOf(entry), factsFor()), bao.folder, shellEnv());
    const put = () => root('POST', 'secret/data/a', { data: { value: 'in the team' } }, 'team');
    await expect
      .poll(() =>
        put().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    const store = await openVault(entry);
    expect((await store.get('a', undefined, soon())).value.revealText()).toBe('in the team');
    const lost = await openVault({ ...entry, namespace: 'other' });
    expect((await failure(lost.get('a', undefined, soon()))).facts).toMatchObject({
      reason: 'login_refused',
      code: 'no_such_namespace',
    });
  });

  it('says which bound of a role an assertion does not keep', async () => {
    const cases = [
      ['wrong_audience', { bound_audiences: ['other'] }],
      ['wrong_subject', { bound_subject: 'broker:other' }],
      ['wrong_claim', { bound_claims: { jti: 'other' } }],
    ] as const;
    for (const [code, bound] of cases) {
      const role = `bound-${code.replace('_', '-')}`;
      const base = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['bao'], token_policies: ['default'] };
      await root('POST', `auth/jwt/role/${role}`, { ...base, ...bound });
      const { fault, facts } = await failure((await openVault({ role })).list(soon()));
      expect([fault, facts]).toMatchObject(['denied', { step: 'login', reason: 'login_refused', code }]);
    }
    const early = makeAsserter({ issuer: us.issuer, now: () => Date.now() + 3_600_000 });
    const { role } = await makeKv(2);
    const deps = storesDeps({ assertFor: (_, terms) => early.assert(terms) });
    const forged = await openStores({ bao: configOf({ role }) }, deps).open('bao');
    expect((await failure(forged.list(soon()))).facts).toMatchObject({
      reason: 'login_refused',
      code: 'wrong_signature',
    });
    const skewed = storesDeps({
      assertFor: (_, terms) => {
        const at = Math.floor(Date.now() / 1000) + 3600;
        return us.assert(terms, { iat: at, nbf: at, exp: at + 300 });
      },
    });
    const ahead = await openStores({ bao: configOf({ role }) }, skewed).open('bao');
    expect((await failure(ahead.list(soon()))).facts).toMatchObject({ reason: 'clock_skew', code: 'clock_skew' });
  });

  it('logs in once more when its token was revoked, and not at all for a path it may not read', async () => {
    const { mount, role, deny } = await makeKv(2);
    const store = await openVault({ mount, role });
    await store.put('a', new Secret('x'), soon());
    const before = us.made.length;
    await root('POST', 'sys/leases/revoke-prefix/auth/jwt/login', {});
    expect((await store.get('a', undefined, soon())).value.revealText()).toBe('x');
    expect(us.made.length - before).toBe(1);
    await deny('data/a');
    expect(await faultOf(store.get('a', undefined, soon()))).toBe('denied');
    expect(us.made.length - before).toBe(1);
  });

  it('renews its token at two thirds of its life', async () => {
    const { mount, role } = await makeKv(2);
    let at = Date.now();
    const deps = storesDeps({ assertFor: (_, terms) => us.assert(terms), now: () => at });
    const store = await openStores({ bao: configOf({ mount, role }) }, deps).open('bao');
    await store.list(soon());
    const before = us.made.length;
    at += 201_000;
    const later = { at: at + 5_000, left: () => 5_000, within: () => later };
    await store.list(later);
    expect(us.made.length).toBe(before);
  });

  it('gives old versions, and says disabled for those deleted or destroyed', async () => {
    const { mount, role } = await makeKv(2);
    const store = await openVault({ mount, role });
    for (const value of ['one', 'two', 'three']) await root('POST', `${mount}/data/a/b`, { data: { value } });
    await root('POST', `${mount}/delete/a/b`, { versions: [1] });
    await root('POST', `${mount}/destroy/a/b`, { versions: [2] });
    expect(await faultOf(store.get('a/b', '1', soon()))).toBe('disabled');
    expect(await faultOf(store.get('a/b', '2', soon()))).toBe('disabled');
    expect((await store.get('a/b', '3', soon())).value.revealText()).toBe('three');
    expect(await store.describe('a/b', soon())).toMatchObject({ version: '3', versions: 1 });
    await root('POST', `${mount}/undelete/a/b`, { versions: [1] });
    expect((await store.get('a/b', '1', soon())).value.revealText()).toBe('one');
    const plain = await openVault({ mount, role, version: 1 });
    expect((await failure(plain.get('a/b', undefined, soon()))).facts.code).toBe('wrong_kv_version');
  });

  describeKms('vault-transit at OpenBao', { never: {} }, async () => {
    const id = ++count;
    const cluster = makeAsserter({ issuer: us.issuer, subject: `system:serviceaccount:hallpass:${id}` });
    const auth = `cluster-${id}`;
    await root('POST', `sys/auth/${auth}`, { type: 'jwt' });
    const pems = cluster.keys.map(pemOf);
    await root('POST', `auth/${auth}/config`, { jwt_validation_pubkeys: pems });
    await root('POST', `sys/mounts/transit-${id}`, { type: 'transit' });
    const types = { ec: 'ecdsa-p256', rsa: 'rsa-2048', seal: 'aes256-gcm96' };
    for (const [name, type] of Object.entries(types)) await root('POST', `transit-${id}/keys/${name}`, { type });
    await root('POST', `sys/policies/acl/transit-${id}`, {
      policy: `path "transit-${id}/*" { capabilities = ["read", "update"] }`,
    });
    await root('POST', `auth/${auth}/role/hallpass`, {
      role_type: 'jwt',
      user_claim: 'sub',
      bound_subject: cluster.subject,
      bound_audiences: ['bao'],
      token_policies: [`transit-${id}`],
    });
    const proxy = await proxied();
    const readFile = async () =>
      Buffer.from(await cluster.assert({ audience: 'bao', algorithms: ['ES256'], ttl: 300 }));
    const open = (key: string) => {
      const entry = { address: proxy.url, role: 'hallpass', auth, tokenFile: '/token', mount: `transit-${id}`, key };
      return openTransit(s.parse(s.object(members), entry), { now: Date.now, env: {}, ...nodeIo('.'), readFile });
    };
    return {
      signing: { ES256: open('ec'), RS256: open('rsa') },
      sealing: open('seal'),
      provoke: {
        ...provoke(proxy),
        denied: async () => {
          await root('POST', `sys/policies/acl/transit-${id}`, {
            policy: 'path "nothing" { capabilities = ["read"] }',
          });
        },
      },
    };
  });
});
