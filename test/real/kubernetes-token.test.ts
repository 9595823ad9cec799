import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { KindDeps, ReadCredential } from '../../src/credentials/kind.ts';
import { kubernetesToken as plugIn } from '../../src/credentials/kubernetes-token.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { isJsonObject, type JsonObject } from '../../src/lib/strict-json.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { depsFor, describeKind, type Entry, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/server.ts';
import { askCluster, authenticationConfig } from './cluster.ts';

const lacking = lacks('kubernetes');
const audience = 'the-cluster';
const rbac = 'apis/rbac.authorization.k8s.io/v1';
const api = 'https://api.example.com';
const { folder, remove } = temporaryFolder();

let us: Asserter;
let issuer: Server;
let cluster: RealServer;
let ca: string;

async function admin(method: string, path: string, body?: object): Promise<JsonObject> {
  const { status, body: answer } = await askCluster(cluster, method, path, body);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  return answer as JsonObject;
}

async function startIssuer(certificate: { cert: string; key: string }): Promise<void> {
  const port = await freePort();
  us = makeAsserter({ issuer: `https://localhost:${port}` });
  const documents: Record<string, unknown> = {
    '/.well-known/openid-configuration': { issuer: us.issuer, jwks_uri: `${us.issuer}/jwks` },
    '/jwks': { keys: us.keys },
  };
  issuer = createServer(certificate, ({ url }, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(documents[url ?? ''] ?? {}));
  });
  await new Promise<void>((resolve) => issuer.listen(port, '127.0.0.1', resolve));
}

const entryOf = (more: Record<string, unknown> = {}) => ({
  kind: 'kubernetes-token',
  server: cluster.url,
  ca,
  audience,
  namespace: 'shop',
  serviceAccount: 'checkout',
  audiences: [api],
  ...more,
});

function depsOf(entry: Entry): KindDeps {
  const terms = plugIn.assertion?.(entry);
  const assert = terms && { assert: () => us.assert(terms as AssertionTerms) };
  return { ...depsFor(), ...nodeIo(folder), ...assert };
}

async function open(more: Record<string, unknown> = {}): Promise<ReadCredential> {
  const entry = entryOf(more);
  return (await openKind(entry, depsOf(entry))) as ReadCredential;
}

/** What the API server says of a token that was shown to whoever is this audience. */
async function review(token: unknown, audience: string): Promise<JsonObject> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } };
  const { status } = await admin('POST', 'apis/authentication.k8s.io/v1/tokenreviews', body);
  return isJsonObject(status) ? status : {};
}

const claimsOf = (token: unknown): JsonObject =>
  JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString());

/** What the kind needs, and not a right more: as docs/credentials/kubernetes-token.md says. */
async function allow(namespace: string): Promise<void> {
  await admin('POST', `${rbac}/namespaces/${namespace}/roles`, {
    metadata: { name: 'hallpass' },
    rules: [{ apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: ['checkout'], verbs: ['create'] }],
  });
  await admin('POST', `${rbac}/namespaces/${namespace}/rolebindings`, {
    metadata: { name: 'hallpass' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'hallpass' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: us.subject }],
  });
}

beforeAll(async () => {
  if (lacking !== undefined) return;
  const certificate = makeCertificate();
  await startIssuer(certificate);
  const file = join(folder, 'authentication.json');
  writeFileSync(file, authenticationConfig({ issuer: us.issuer, audience, ca: certificate.cert }));
  cluster = await startReal('kubernetes', { flags: [`--authentication-config=${file}`] });
  ca = readFileSync(join(cluster.folder, 'ca.crt'), 'utf8');
  await admin('POST', 'api/v1/namespaces', { metadata: { name: 'shop' } });
  for (const name of ['checkout', 'admin'])
    await admin('POST', 'api/v1/namespaces/shop/serviceaccounts', { metadata: { name } });
  await allow('shop');
  // The API server reads an issuer's keys, and what its authorizer goes by, a moment later.
  const isGiven = async () => {
    const read = (await open()).read(requestFor());
    return read.then(
      () => true,
      () => false,
    );
  };
  await vi.waitUntil(isGiven, { timeout: 30_000, interval: 500 });
}, 120_000);
afterAll(async () => {
  await cluster?.stop();
  issuer?.close();
  remove();
});

describe.skipIf(lacking !== undefined)(
  `kubernetes-token at a real API server${lacking === undefined ? '' : `: ${lacking}`}`,
  () => {
    describeKind(
      'kubernetes-token',
      { members: ['token', 'namespace', 'serviceAccount', 'server'], fingerprinted: 'token' },
      async () => {
        const entry = entryOf();
        return { entry, deps: depsOf(entry) };
      },
    );

    it('hands over a token that is taken for its audience and for no other, and is known by its jti', async () => {
      const { data, account } = await (await open()).read(requestFor());
      expect(await review(data.token, api)).toMatchObject({
        authenticated: true,
        user: { username: 'system:serviceaccount:shop:checkout' },
        audiences: [api],
      });
      expect((await review(data.token, 'https://kubernetes.default.svc')).authenticated).not.toBe(true);
      expect((await review(data.token, audience)).authenticated).not.toBe(true);
      expect(account).toBe(claimsOf(data.token).jti);
    });

    it.each([
      [30, 600],
      [900, 900],
      [3607, 3606],
    ])('gives a lease of %d s a token of %d s', async (ttl, seconds) => {
      const { data } = await (await open()).read(requestFor({ ttl }));
      const { iat, exp } = claimsOf(data.token);
      expect(Number(exp) - Number(iat)).toBe(seconds);
    });

    it('gives a token for several audiences', async () => {
      const { data } = await (await open({ audiences: [api, 'vault'] })).read(requestFor());
      for (const one of [api, 'vault']) expect((await review(data.token, one)).authenticated).toBe(true);
    });

    it('has the right to that one service account’s tokens alone', async () => {
      for (const more of [{ serviceAccount: 'admin' }, { namespace: 'kube-system' }, { serviceAccount: 'nobody' }]) {
        const refusal = await refusalOf((await open(more)).read(requestFor()));
        expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'denied']);
      }
    });

    it('says absent of a service account that was taken away, whose tokens are taken no more', async () => {
      await admin('POST', 'api/v1/namespaces', { metadata: { name: 'brief' } });
      await admin('POST', 'api/v1/namespaces/brief/serviceaccounts', { metadata: { name: 'checkout' } });
      await allow('brief');
      const credential = await open({ namespace: 'brief' });
      const made = await vi.waitFor(() => credential.read(requestFor()), { timeout: 10_000, interval: 200 });
      await admin('DELETE', 'api/v1/namespaces/brief/serviceaccounts/checkout');
      expect((await refusalOf(credential.read(requestFor()))).reason).toBe('absent');
      expect((await review(made.data.token, api)).authenticated).not.toBe(true);
    });

    it('takes nobody for us by an assertion that another signed', async () => {
      const entry = entryOf();
      const forger = makeAsserter({ issuer: us.issuer });
      const assert = () => forger.assert(plugIn.assertion?.(entry) as AssertionTerms);
      const credential = (await openKind(entry, { ...depsOf(entry), assert })) as ReadCredential;
      expect((await refusalOf(credential.read(requestFor()))).reason).toBe('login_refused');
    });

    it('shows its assertion to no server but the one whose certificate is pinned', async () => {
      const other = makeCertificate();
      expect((await refusalOf((await open({ ca: other.cert })).read(requestFor()))).reason).toBe('tls');
    });

    it('works with a projected token in place of an assertion', async () => {
      const spec = { expirationSeconds: 600 };
      const { status } = await admin('POST', 'api/v1/namespaces/shop/serviceaccounts/admin/token', { spec });
      writeFileSync(join(folder, 'token'), String((status as JsonObject).token));
      await admin('POST', `${rbac}/namespaces/shop/rolebindings`, {
        metadata: { name: 'projected' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'hallpass' },
        subjects: [{ kind: 'ServiceAccount', name: 'admin', namespace: 'shop' }],
      });
      const credential = await open({ tokenFile: 'token' });
      const made = await vi.waitFor(() => credential.read(requestFor()), { timeout: 10_000, interval: 200 });
      expect((await review(made.data.token, api)).authenticated).toBe(true);
    });
  },
);
