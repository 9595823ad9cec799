import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll } from 'vitest';
import { startAws } from '../fakes/aws.ts';
import { someValue } from '../fakes/shelves.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import type { Address } from '../runtimes/store-cell.ts';
import { storeRows } from '../runtimes/store-rows.ts';
import { describeStoreTable, type StoreRow } from '../runtimes/store-table.ts';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { temporaryFolder } from '../support/server.ts';
import { askBao, setUpBao } from './bao.ts';
import { askCluster, authenticationConfig } from './cluster.ts';

const role = 'arn:aws:iam::123456789012:role/hallpass';

/** Secrets Manager of ministack; it checks no web identity token, so that is done by a STS that does. */
const aws: StoreRow = {
  kind: 'aws-secrets-manager',
  lacking: lacks('ministack'),
  async open(trusted) {
    const sts = await startAws([{ ...trusted, audience: 'sts.amazonaws.com', role }]);
    const ministack = await startReal('ministack');
    const [region, value] = ['eu-west-1', someValue()];
    const operator = new SecretsManagerClient({
      endpoint: ministack.url,
      region,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    await operator.send(new CreateSecretCommand({ Name: 'prod/stripe', SecretString: value }));
    return {
      entry: { kind: 'aws-secrets-manager', region, assume: role, endpoint: ministack.url, sts: sts.url },
      secret: { name: 'prod/stripe', value },
      session: true,
      async close() {
        await ministack.stop();
        await sts.close();
      },
    };
  },
};

const vault: StoreRow = {
  kind: 'vault',
  lacking: lacks('openbao'),
  async open({ issuer, subject }) {
    const bao = await startReal('openbao');
    const value = someValue();
    await askBao(bao, 'POST', 'secret/data/shop/stripe', { data: { value } });
    return {
      entry: { kind: 'vault', address: bao.url, role: 'hallpass' },
      secret: { name: 'shop/stripe', value },
      session: true,
      // It looks at the issuer's keys when it is told of it.
      trust: () => setUpBao(bao, { issuer, subject, audience: bao.url }),
      close: () => bao.stop(),
    };
  },
};

const { folder, remove } = temporaryFolder();
let cluster: RealServer;
let front: Server;
let known: Address;

const kubernetes: StoreRow = {
  kind: 'kubernetes',
  lacking: lacks('kubernetes'),
  address: () => known,
  async open({ subject }, runtime) {
    const value = someValue();
    const data = { stripe: Buffer.from(value).toString('base64') };
    await askCluster(cluster, 'DELETE', 'api/v1/namespaces/default/secrets/payments');
    await askCluster(cluster, 'POST', 'api/v1/namespaces/default/secrets', { metadata: { name: 'payments' }, data });
    const rules = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
    const rbac = 'apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const name = `hallpass-${runtime}`;
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: subject }];
    await askCluster(cluster, 'POST', `${rbac}/roles`, { metadata: { name }, rules });
    await askCluster(cluster, 'POST', `${rbac}/rolebindings`, { metadata: { name }, roleRef, subjects });
    // workerd cannot pin a certificate: there the platform itself trusts it (NODE_EXTRA_CA_CERTS, below).
    const ca = runtime === 'workerd' ? {} : { ca: join(cluster.folder, 'ca.crt') };
    return {
      entry: { kind: 'kubernetes', server: cluster.url, namespace: 'default', audience: 'https://cluster.test', ...ca },
      secret: { name: 'payments/stripe', value },
      variables: { NODE_EXTRA_CA_CERTS: join(folder, 'front.crt') },
      session: true,
      close: async () => {},
    };
  },
};

beforeAll(async () => {
  if (kubernetes.lacking !== undefined) return;
  // An API server takes https issuers only, and looks for their discovery document as it starts.
  const { cert, key } = makeCertificate();
  const [outer, port] = [await freePort(), await freePort()];
  known = { url: `https://127.0.0.1:${outer}`, port };
  front = createServer({ cert, key }, (incoming, outgoing) => {
    if (incoming.url === '/.well-known/openid-configuration')
      return outgoing.end(JSON.stringify({ issuer: known.url, jwks_uri: `${known.url}/.well-known/jwks.json` }));
    const { method, url, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      // Each cell has keys of its own, and an API server fetches none anew while the old may be cached.
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'cache-control': 'no-store' });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => front.listen(outer, '127.0.0.1', resolve));
  writeFileSync(join(folder, 'front.crt'), cert);
  const file = join(folder, 'authentication.json');
  writeFileSync(file, authenticationConfig({ issuer: known.url, audience: 'https://cluster.test', ca: cert }));
  cluster = await startReal('kubernetes', { flags: [`--authentication-config=${file}`] });
  // Read when workerd's host is loaded, which the first cell there does.
  process.env.NODE_EXTRA_CA_CERTS = join(cluster.folder, 'ca.crt');
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  front?.close();
  front?.closeAllConnections();
  remove();
});

const real = [aws, vault, kubernetes];
describeStoreTable([...storeRows.filter(({ kind }) => real.every((row) => row.kind !== kind)), ...real]);
