import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import { type FakeGithub, startGithub } from '../fakes/github.ts';
import type { FakeCall } from '../fakes/server.ts';
import { type FakeVault, startVault } from '../fakes/vault.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { faultyCommits } from './faulty-commits.ts';

const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', audience);
const commits = faultyCommits(folder, 'ledger');
const path = 'database/creds/orders';
let github: FakeGithub;
let vault: FakeVault;
let broker: OpenBroker;

beforeAll(async () => {
  [github, vault] = await Promise.all([startGithub(), startVault()]);
  github.installations.set('678', {
    owner: 'acme',
    repositories: new Map([[1, 'shop']]),
    permissions: { contents: 'read' },
  });
  const make = () => ({ username: 'v-orders', password: 'not-a-real-one' });
  vault.leases.engines.set(path, { seconds: 1200, longest: 3600, renewable: true, make });
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: {
      repository: {
        kind: 'github-token',
        app: github.app.id,
        key: { store: 'here', name: 'APP' },
        installation: '678',
        repositories: ['shop'],
        permissions: { contents: 'read' },
        api: github.api,
      },
      database: { kind: 'vault', address: vault.url, role: 'orders', path },
    },
    roles: { checkout: ['repository', 'database'], auditor: { audit: 'read' } },
  });
  const env = { TEST_SECRET_APP: github.privateKey };
  broker = await openBroker(config, folder, { ...nodeIo(folder), env, commitWorker: commits.commitWorker });
  const { keys } = (await (await broker.send('/.well-known/jwks.json')).json()) as { keys: [] };
  vault.roles.set('orders', { issuer: audience, subject: 'broker:pass.test', audience: vault.url, keys });
}, 60_000);
afterEach(() => {
  commits.set(undefined);
  for (const { server } of [github, vault]) server.instead = undefined;
});
afterAll(async () => {
  await broker?.deployment.close();
  await Promise.all([github?.close(), vault?.close()]);
  remove();
});

const ask = (name: string) => broker.ask(`/v1/credentials/${name}`, issuer.token());
const records = async (): Promise<{ type: string; reason?: string }[]> => {
  const entries = await broker.deployment.ledger.reader?.list({ limit: 100 }, deadlineIn(2_000, Date.now));
  return (entries ?? []).map(({ record }) => JSON.parse(record)).reverse();
};
const types = async () => (await records()).map(({ type }) => type);

/** The ledger fails from the moment the lender is asked on: what comes before is durable by then. */
const failWhen = (asked: (call: FakeCall) => boolean) => (call: FakeCall) => {
  if (asked(call)) commits.set('disk full');
  return undefined;
};

it('ends the lease of a Vault at once where the ledger fails before its outcome is recorded, and releases nothing', async () => {
  await ask('database');
  vault.server.instead = failWhen(({ url }) => url.pathname.endsWith(path));
  const revoked = vault.leases.revocations.length;
  const response = await ask('database');
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain('v-orders');
  expect(vault.leases.revocations.length).toBe(revoked + 1);
  expect(vault.leases.alive(path)).toHaveLength(1);
});

it('ends a token of GitHub’s at once where the ledger fails before its issuance is recorded, and releases nothing', async () => {
  await ask('repository');
  const before = github.tokens.size;
  const asked = github.calls.length;
  github.server.instead = failWhen(({ method }) => method === 'POST');
  const response = await ask('repository');
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain('ghs_');
  expect(github.calls.slice(asked).map(({ method }) => method)).toEqual(['POST', 'DELETE']);
  expect(github.tokens.size).toBe(before);
});

it.each(['repository', 'database'])(
  'answers 502 and records why where %s cannot be had, without a word of the lender',
  async (name) => {
    for (const { server } of [github, vault]) server.instead = () => ({ status: 403, body: '{"message":"canary"}' });
    const response = await ask(name);
    expect([response.status, (await response.json()).code]).toEqual([502, 'store_failed']);
    expect((await records()).at(-1)).toMatchObject({ type: 'failure', credential: name });
    expect(JSON.stringify(await records())).not.toContain('canary');
  },
);

it('writes an intent before a Vault is asked, and none before GitHub, where nothing is left behind', async () => {
  const before = (await types()).length;
  await ask('database');
  await ask('repository');
  const added = (await types()).slice(before).filter((type) => type !== 'session');
  expect(added).toEqual(['intent', 'issuance', 'issuance']);
});

it('lists as unrevoked what a Vault that is down has not ended, and ends it when that is back', async () => {
  const issued = (await (await ask('database')).json()) as { id: string };
  vault.server.instead = () => 'reset';
  expect((await broker.ask(`/v1/leases/${issued.id}`, issuer.token(), 'DELETE')).status).toBe(202);
  const alive = vault.leases.alive(path).length;
  vault.server.instead = undefined;
  expect((await broker.ask(`/v1/leases/${issued.id}`, issuer.token(), 'DELETE')).status).toBe(204);
  expect(vault.leases.alive(path)).toHaveLength(alive - 1);
});
