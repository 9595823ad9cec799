import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { isJsonObject, type JsonObject } from '../../src/lib/strict-json.ts';
import type { GuideFacts } from '../../src/stores/guide.ts';
import { guide } from '../../src/stores/kubernetes/guide.ts';
import { kubernetes as plugIn } from '../../src/stores/kubernetes.ts';
import { openStores } from '../../src/stores/open.ts';
import { type Store, StoreError } from '../../src/stores/store.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { outcome, verifierOf } from '../identity/issuer.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { storesDeps } from '../stores/deps.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/server.ts';
import { askCluster } from './cluster.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const lacking = lacks('kubernetes');
const audience = 'the-cluster';
const rbac = 'apis/rbac.authorization.k8s.io/v1';
const { folder, remove } = temporaryFolder();

let us: Asserter;
let issuer: Server;
let cluster: RealServer;
let ca: string;
const proxies: TcpProxy[] = [];
let count = 0;

/** As the admin; the answer's body. */
async function admin(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const { status, body: answer } = await askCluster(cluster, method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  return answer;
}

/** Ours, over TLS, as API servers take no other; its discovery document and keys. */
async function startIssuer(certificate: { cert: string; key: string }): Promise<void> {
  const port = await freePort();
  us = makeAsserter({ issuer: `https://localhost:${port}` });
  const documents: Record<string, unknown> = {
    '/.well-known/openid-configuration': { issuer: us.issuer, jwks_uri: `${us.issuer}/.well-known/jwks.json` },
    '/.well-known/jwks.json': { keys: us.keys },
  };
  issuer = createServer(certificate, ({ url }, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(documents[url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => issuer.listen(port, '127.0.0.1', resolve));
}

const entryOf = (config: Record<string, unknown>) =>
  s.parse(plugIn.schema, { kind: 'kubernetes', server: cluster.url, audience, ca, ...config }) as {
    kind: 'kubernetes';
  };

const openStore = (config: Record<string, unknown>): Promise<Store> =>
  openStores({ cluster: entryOf(config) }, storesDeps({ folder, assertFor: (_, terms) => us.assert(terms) })).open(
    'cluster',
  );

const factsOf = (): GuideFacts => ({
  store: 'cluster',
  issuer: us.issuer,
  jwksUri: `${us.issuer}/.well-known/jwks.json`,
  audience,
  subject: us.subject,
  algorithm: 'ES256',
  names: [],
});

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => Promise.reject(new Error('it did not reject')),
    (error) => (error instanceof StoreError ? error : Promise.reject(error)),
  );

/** Until the API server's authorizer has seen what was changed. */
async function settled(user: string, namespace: string, verb: string, allowed: boolean, name?: string): Promise<void> {
  const resourceAttributes = { namespace, verb, resource: 'secrets', ...(name !== undefined && { name }) };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, resourceAttributes },
  };
  await expect
    .poll(async () => {
      const { status } = await admin('POST', 'apis/authorization.k8s.io/v1/subjectaccessreviews', review);
      return isJsonObject(status) ? status.allowed : undefined;
    })
    .toBe(allowed);
}

async function makeNamespace(): Promise<string> {
  const namespace = `n-${++count}`;
  await admin('POST', 'api/v1/namespaces', { metadata: { name: namespace } });
  return namespace;
}

/** A namespace in which this user may do everything with Secrets. */
async function makeShelf(user: string): Promise<string> {
  const namespace = await makeNamespace();
  const verbs = ['get', 'list', 'create', 'patch', 'delete'];
  await admin('POST', `${rbac}/namespaces/${namespace}/roles`, {
    metadata: { name: 'all' },
    rules: [{ apiGroups: [''], resources: ['secrets'], verbs }],
  });
  await admin('POST', `${rbac}/namespaces/${namespace}/rolebindings`, {
    metadata: { name: 'all' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'all' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
  await settled(user, namespace, 'get', true);
  return namespace;
}

/** A bound token of a service account of its own, as the kubelet would project it. */
async function projectToken(namespace: string, name: string, audiences?: readonly string[]): Promise<string> {
  const accounts = `api/v1/namespaces/${namespace}/serviceaccounts`;
  await admin('POST', accounts, { metadata: { name } }).catch(() => {});
  const spec = { expirationSeconds: 600, ...(audiences !== undefined && { audiences }) };
  const { status } = await admin('POST', `${accounts}/${name}/token`, { spec });
  if (!isJsonObject(status) || typeof status.token !== 'string') throw new Error('no token');
  return status.token;
}

async function seed(namespace: string, name: string, value: string): Promise<string> {
  const [secret, key] = name.split('/') as [string, string];
  const data = { [key]: Buffer.from(value).toString('base64') };
  const path = `api/v1/namespaces/${namespace}/secrets`;
  const found = await askCluster(cluster, 'GET', `${path}/${secret}`);
  const written =
    found.status === 200
      ? await admin('PUT', `${path}/${secret}`, {
          ...found.body,
          data: { ...(found.body.data as JsonObject), ...data },
        })
      : await admin('POST', path, { metadata: { name: secret }, data });
  return String((written.metadata as JsonObject).resourceVersion);
}

beforeAll(async () => {
  if (lacking !== undefined) return;
  const certificate = makeCertificate();
  await startIssuer(certificate);
  const file = join(folder, 'authentication.json');
  // What the guide prints, and the certificate of an issuer that the public does not trust.
  const [{ file: printed } = {}] = guide({ kind: 'kubernetes' }, factsOf());
  const json = structuredClone(printed?.json) as { jwt: [{ issuer: JsonObject }] };
  json.jwt[0].issuer.certificateAuthority = certificate.cert;
  writeFileSync(file, JSON.stringify(json));
  cluster = await startReal('kubernetes', { flags: [`--authentication-config=${file}`] });
  ca = readFileSync(join(cluster.folder, 'ca.crt'), 'utf8');
  // The API server reads an issuer's keys a moment after its start.
  const namespace = await makeNamespace();
  const store = await openStore({ namespace });
  const isTaken = () => failure(store.list(soon())).then(({ facts }) => facts.reason !== 'login_refused');
  await vi.waitUntil(isTaken, { timeout: 30_000, interval: 500 });
}, 120_000);
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.close();
});
afterAll(async () => {
  await cluster?.stop();
  issuer?.close();
  remove();
});

const traits = {
  writable: true,
  undated: 'a Secret tells when it was made',
  currentOnly: 'an API server keeps no older version of an object',
  never: { disabled: 'a Secret is there or it is not' },
};

const names = { stripe: 'app/STRIPE', alpha: 'app/ALPHA', zulu: 'other.app/zulu', other: 'app/OTHER' };

/** A store of its own namespace that `login` opens, behind a proxy. */
const fixture =
  (login: (namespace: string) => Promise<{ user: string; config: Record<string, unknown> }>) => async () => {
    const { user, config } = await login(`n-${count + 1}`);
    const namespace = await makeShelf(user);
    const proxy = await startTcpProxy(Number(new URL(cluster.url).port));
    proxies.push(proxy);
    const store = await openStore({ namespace, server: `https://127.0.0.1:${proxy.port}`, ...config });
    return {
      store,
      names,
      seed: (name: string, value: string) => seed(namespace, name, value),
      provoke: {
        denied: async () => {
          await admin('DELETE', `${rbac}/namespaces/${namespace}/rolebindings/all`);
          await settled(user, namespace, 'get', false);
        },
        unreachable: async () => {
          proxy.fault = 'reset';
        },
        slow: async () => {
          proxy.fault = 'hang';
        },
      },
    };
  };

describe.skipIf(lacking !== undefined)(`the real kube-apiserver${lacking === undefined ? '' : `: ${lacking}`}`, () => {
  const asUs = () => `hallpass:${us.subject}`;

  describeStore(
    'kubernetes by an assertion',
    traits,
    fixture(async () => ({ user: asUs(), config: {} })),
  );

  describeStore(
    'kubernetes by a projected token',
    traits,
    fixture(async (id) => {
      const home = await makeNamespace();
      const file = join(folder, `token-${id}`);
      writeFileSync(file, await projectToken(home, 'hallpass'));
      return { user: `system:serviceaccount:${home}:hallpass`, config: { tokenFile: file } };
    }),
  );

  it('is set up by the documents of the guide alone, for the named Secret and no other', async () => {
    const namespace = await makeNamespace();
    await seed(namespace, 'stripe/key', 'not-a-key');
    await seed(namespace, 'other/key', 'not-yours');
    const access = guide(entryOf({ namespace }), factsOf())[1];
    const text = JSON.stringify(access?.file?.json).replaceAll('"SECRET"', '"stripe"');
    if (hasKubectl()) kubectl(access?.file?.name ?? '', text, access?.shell ?? '');
    else
      for (const item of (JSON.parse(text) as { items: JsonObject[] }).items)
        await admin('POST', `${rbac}/namespaces/${namespace}/${String(item.kind).toLowerCase()}s`, item);
    await settled(asUs(), namespace, 'get', true, 'stripe');
    const store = await openStore({ namespace });
    expect((await store.get('stripe/key', undefined, soon())).value.revealText()).toBe('not-a-key');
    const { fault, facts } = await failure(store.get('other/key', undefined, soon()));
    expect([fault, facts]).toMatchObject(['denied', { step: 'read', status: 403, code: 'Forbidden' }]);
    // Hidden is hidden: there is no telling whether it is there.
    expect((await failure(store.get('none/key', undefined, soon()))).facts).toMatchObject({ status: 403 });
    expect(await faultOf(store.list(soon()))).toBe('denied');
    expect(await faultOf(store.put('stripe/key', new Secret('x'), soon()))).toBe('denied');
  });

  it('takes no assertion for another audience, of another subject or by another key', async () => {
    const namespace = await makeShelf(asUs());
    const stranger = makeAsserter({ issuer: us.issuer });
    const wrongs: readonly [string, (terms: Parameters<Asserter['assert']>[0]) => Promise<string>][] = [
      ['audience', (terms) => us.assert(terms, { aud: 'other' })],
      ['subject', (terms) => us.assert(terms, { sub: 'broker:other' })],
      ['key', (terms) => stranger.assert(terms)],
      ['issuer', (terms) => us.assert(terms, { iss: 'https://other.example' })],
    ];
    for (const [what, assert] of wrongs) {
      const deps = storesDeps({ assertFor: (_, terms) => assert(terms) });
      const store = await openStores({ cluster: entryOf({ namespace }) }, deps).open('cluster');
      const { fault, facts } = await failure(store.get('a/b', undefined, soon()));
      expect([fault, facts], what).toMatchObject(['denied', { reason: 'login_refused', status: 401 }]);
    }
  });

  it('is called only under the certificate that is pinned', async () => {
    const namespace = await makeShelf(asUs());
    const other = await openStore({ namespace, ca: makeCertificate().cert });
    const { fault, facts } = await failure(other.list(soon()));
    expect([fault, facts]).toMatchObject(['unreachable', { step: 'list', reason: 'tls' }]);
    const unpinned = await openStore({ namespace, ca: undefined });
    expect((await failure(unpinned.list(soon()))).facts.reason).toBe('tls');
    const file = join(folder, 'ca.pem');
    writeFileSync(file, ca);
    expect(await (await openStore({ namespace, ca: file })).list(soon())).toEqual([]);
  });

  it('lists Secrets of all namespaces where the entry names none, page by page', async () => {
    const namespace = await makeNamespace();
    await admin('POST', `${rbac}/clusterroles`, {
      metadata: { name: 'lister' },
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list', 'get'] }],
    });
    await admin('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'lister' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'lister' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: asUs() }],
    });
    await settled(asUs(), namespace, 'list', true);
    for (let at = 0; at < 25; at++) await seed(namespace, `s-${at}/k`, 'x');
    const store = await openStore({});
    const listed = (await store.list(soon())).filter((name) => name.startsWith(`${namespace}/`));
    expect(listed.length).toBe(25);
    expect((await store.get(`${namespace}/s-7/k`, undefined, soon())).value.revealText()).toBe('x');
    await admin('DELETE', `${rbac}/clusterrolebindings/lister`);
    await settled(asUs(), namespace, 'list', false);
  });

  it('loses no key of many written into one Secret at once', async () => {
    const namespace = await makeShelf(asUs());
    const store = await openStore({ namespace });
    const keys = Array.from({ length: 20 }, (_, at) => `k-${at}`);
    await Promise.all(keys.map((key) => store.put(`db/${key}`, new Secret(key), soon())));
    expect(Object.keys(JSON.parse((await store.get('db', undefined, soon())).value.revealText())).length).toBe(20);
    await Promise.all(keys.map((key) => store.remove(`db/${key}`, soon()).catch(() => {})));
    for (const name of await store.list(soon())) await store.remove(name, soon());
    expect(await faultOf(store.get('db', undefined, soon()))).toBe('absent');
  });

  it('says denied when its service account is gone', async () => {
    const home = await makeNamespace();
    const user = `system:serviceaccount:${home}:hallpass`;
    const file = join(folder, 'token-gone');
    writeFileSync(file, await projectToken(home, 'hallpass'));
    const namespace = await makeShelf(user);
    // Not used before: an API server believes for seconds what it has just seen.
    await admin('DELETE', `api/v1/namespaces/${home}/serviceaccounts/hallpass`);
    const store = await openStore({ namespace, tokenFile: file });
    expect((await failure(store.list(soon()))).facts).toMatchObject({ reason: 'login_refused', status: 401 });
  });

  it('has its own tokens verified by the kubernetes preset, against keys it shows to service accounts alone', async () => {
    const namespace = await makeNamespace();
    const ours = 'https://pass.example.com';
    const token = await projectToken(namespace, 'checkout', [ours]);
    const file = join(folder, 'jwks-token');
    writeFileSync(file, await projectToken(namespace, 'hallpass'));
    const deps = { ...nodeIo(folder), now: Date.now, audience: ours };
    const verify = (more: Record<string, unknown>, shown = token) =>
      outcome(
        verifierOf({ shop: { preset: 'kubernetes', issuer: cluster.url, ...more } }, deps),
        shown,
        deadlineIn(10_000, Date.now),
      );
    expect(await verify({ ca, jwksAuth: { tokenFile: file } })).toMatchObject({
      name: `shop:${namespace}/checkout`,
      members: { namespace, serviceAccount: 'checkout' },
    });
    expect(await verify({ ca })).toMatch(/^issuer_unavailable/);
    expect(await verify({ jwksAuth: { tokenFile: file } })).toMatch(/^issuer_unavailable/);
    const forOthers = await projectToken(namespace, 'checkout', ['https://other.example']);
    expect(await verify({ ca, jwksAuth: { tokenFile: file } }, forOthers)).toBe('token_invalid: audience');
  });
});

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Pastes a document and its line into a shell, as the cluster's admin. */
function kubectl(name: string, text: string, line: string): void {
  writeFileSync(join(folder, name), text);
  const env = { ...process.env, KUBECONFIG: join(cluster.folder, 'kubeconfig') };
  execFileSync('bash', ['-euc', line], { cwd: folder, env, stdio: 'pipe' });
}
