import { createPrivateKey } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/ledger/ledger.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { sha256, toBase64 } from '../../src/lib/bytes.ts';
import type { Runtime } from '../../src/lib/platform.ts';
import { startGithub } from '../fakes/github.ts';
import { startKubernetes } from '../fakes/kubernetes.ts';
import { startVault } from '../fakes/vault.ts';
import { temporaryFolder } from '../support/server.ts';
import { issuer } from './scenario.ts';
import { freeAddress, type Hallpass, keysStore, type Setup, startHallpass } from './store-cell.ts';

const names = ['repository', 'cluster', 'database'];
const path = 'database/creds/orders';
const closing: (() => Promise<void>)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

/** GitHub, a cluster and a Vault, which know one Hallpass by its App's key or by the keys it publishes. */
async function lenders(by: { readonly issuer: string; readonly subject: string }) {
  const github = await startGithub();
  const cluster = await startKubernetes([{ ...by, audience: 'the-cluster' }]);
  const vault = await startVault();
  closing.push(github.close, cluster.close, vault.close);
  const permissions = { contents: 'write' };
  github.installations.set('678', { owner: 'acme', repositories: new Map([[1, 'shop']]), permissions });
  cluster.accounts.known.add('shop/checkout');
  vault.roles.set('orders', { ...by, audience: 'the-vault' });
  const make = () => ({ username: 'v-orders', password: 'not-a-real-one' });
  vault.leases.engines.set(path, { seconds: 1200, longest: 3600, renewable: true, make });
  const credentials = {
    repository: {
      kind: 'github-token',
      app: github.app.id,
      key: { store: 'keys', name: 'APP' },
      installation: '678',
      repositories: ['shop'],
      permissions: { contents: 'read' },
      api: github.api,
    },
    cluster: {
      kind: 'kubernetes-token',
      server: cluster.url,
      audience: 'the-cluster',
      namespace: 'shop',
      serviceAccount: 'checkout',
      audiences: ['https://api.example.com'],
      resource: 'https://api.example.com',
    },
    database: {
      kind: 'vault',
      address: vault.url,
      audience: 'the-vault',
      role: 'orders',
      path,
      fingerprint: 'password',
    },
  };
  const pkcs8 = createPrivateKey(github.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string;
  return { github, cluster, vault, credentials, keys: { pkcs1: github.privateKey, pkcs8 } };
}

const setupOf = (credentials: object, appKey: string): Setup => ({
  configOf: (url, { signer, ledger }, more = {}) => ({
    broker: { url, audience: 'https://pass.test', signer },
    ledger,
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks }, ...more.issuers },
    stores: { keys: keysStore },
    credentials,
    roles: { checkout: names, auditor: { audit: 'read' }, ...more.roles },
    grants: [
      {
        name: 'checkout',
        identity: { issuer: 'ci', subject: 'svc:checkout' },
        may: ['checkout'],
        ttl: '10m',
        maxTtl: '30m',
      },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
      ...(more.grants ?? []),
    ],
    limits: { store: '20s', ledger: '10s', request: '40s' },
  }),
  variables: { TEST_KEY_APP: appKey },
  mint: names,
});

interface Issued {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly lease: {
    readonly ttl: number;
    readonly revocable: boolean;
    readonly renewable: boolean;
    readonly handle: string;
  };
  readonly receipt: Receipt & { readonly record: string };
}

const as = (sub: string) => ({ authorization: `Bearer ${issuer.token({ sub })}` });

async function issue({ send }: Hallpass, name: string): Promise<Issued> {
  const response = await send(`/v1/credentials/${name}`, { method: 'POST', headers: as('svc:checkout') });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${text}`);
  return JSON.parse(text) as Issued;
}

const revoke = async ({ send }: Hallpass, { id }: Issued, headers: Record<string, string>) =>
  (await send(`/v1/leases/${id}`, { method: 'DELETE', headers })).status;

const renew = async ({ send }: Hallpass, { id }: Issued, more: Record<string, string> = {}) => {
  const headers = { ...as('svc:checkout'), ...more, 'content-type': 'application/json' };
  return send(`/v1/leases/${id}/renew`, { method: 'POST', headers, body: '{"ttl":"20m"}' });
};

const accountOf = ({ receipt }: Issued): unknown => JSON.parse(receipt.record).lease.account;

describe.for<Runtime>(['node', 'workerd', 'lambda'])('what GitHub, a cluster and a Vault lend on %s', (runtime) => {
  it('comes with a receipt, is known there by its record, and ends there with its lease', async () => {
    const { folder, remove } = temporaryFolder();
    const { url, port } = await freeAddress();
    const broker = runtime === 'lambda' ? 'https://pass.test' : url;
    const by = { issuer: url, subject: `broker:${new URL(broker).host}` };
    const { github, cluster, vault, credentials, keys } = await lenders(by);
    const setup = setupOf(credentials, runtime === 'node' ? keys.pkcs8 : keys.pkcs1);
    const hallpass = await startHallpass(runtime, { url, port, broker, folder, setup });
    try {
      const all = (await Promise.all(names.map((name) => issue(hallpass, name)))) as [Issued, Issued, Issued];
      const [repository, token, database] = all;
      const key = (await (await hallpass.ledger('/v1/log/key')).text()).trim();
      for (const { receipt } of all) verifyReceipt(receipt, key);

      expect(repository.data).toMatchObject({ repositories: ['acme/shop'], permissions: { contents: 'read' } });
      expect(accountOf(repository)).toBe(toBase64(sha256(String(repository.data.token))));
      expect(cluster.accounts.review(String(token.data.token), 'https://api.example.com')).toBe(
        'system:serviceaccount:shop:checkout',
      );
      expect(accountOf(token)).toMatch(/^[0-9a-f-]{36}$/);
      expect(database.data).toEqual({ username: 'v-orders', password: 'not-a-real-one' });
      expect(vault.leases.alive(path)).toEqual([accountOf(database)]);
      for (const { receipt } of all) expect(receipt.record).not.toMatch(/ghs_|eyJ|not-a-real-one/);
      expect(all.map(({ lease }) => [lease.revocable, lease.renewable])).toEqual([
        [true, false],
        [false, false],
        [true, true],
      ]);

      expect((await renew(hallpass, database)).status).toBe(400);
      const renewed = await renew(hallpass, database, { 'hallpass-lease': database.lease.handle });
      expect([renewed.status, await renewed.json()]).toMatchObject([200, { id: database.id }]);
      expect(vault.leases.alive(path, Date.now() + 1_190_000)).toEqual([accountOf(database)]);

      // Without its handle nobody can end a token of GitHub's early; with it, it is gone.
      expect(await revoke(hallpass, repository, as('svc:checkout'))).toBe(204);
      expect(github.tokens.size).toBe(1);
      const another = await issue(hallpass, 'repository');
      expect(await revoke(hallpass, another, { 'hallpass-lease': another.lease.handle })).toBe(204);
      expect([...github.tokens.keys()]).toEqual([repository.data.token]);
      expect(await revoke(hallpass, token, as('svc:checkout'))).toBe(204);
      expect(await revoke(hallpass, database, as('svc:checkout'))).toBe(204);
      expect(vault.leases.alive(path)).toEqual([]);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${hallpass.log()}`);
    } finally {
      await hallpass.end();
      remove();
    }
  });
});
