import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// A broker that holds no key: its platform's own token opens the ledger, and the ledger signs for it.

const ledgerUrl = 'https://ledger.test';
const edgeUrl = 'https://edge.test';
const cluster = testIssuer('https://cluster.test', ledgerUrl);
const ci = testIssuer('https://ci.test', edgeUrl);
const central = temporaryFolder();
const edge = temporaryFolder();
const tokenFile = join(edge.folder, 'token');
const partner = { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' };
const bao = { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' };

const writer = { ledger: 'append', mint: ['partner', 'bao'], writer: edgeUrl };
const centralConfig = {
  broker: { url: ledgerUrl, signer: { kind: 'local', path: 'keys' } },
  ledger: { kind: 'sqlite', path: 'ledger.db' },
  issuers: { cluster: { issuer: cluster.url, jwks: cluster.jwks } },
  stores: { bao },
  credentials: { partner },
  roles: { writer },
  grants: [{ name: 'edge', identity: { issuer: 'cluster', subject: 'system:edge' }, may: ['writer'] }],
};

let ledger: OpenBroker;
const platform = (more: Partial<Platform>): Partial<Platform> => ({ instance: 'test', ...more });

beforeAll(async () => {
  ledger = await openBroker(centralConfig, central.folder);
});
afterAll(async () => {
  await ledger.deployment.close();
  central.remove();
  edge.remove();
});

const edgeConfig = (key: string, more: object = {}) => ({
  broker: { url: edgeUrl, secret: { store: 'vars', name: 'SHARED' } },
  ledger: { kind: 'http', url: ledgerUrl, key, identity: { kind: 'file', tokenFile } },
  issuers: { ci: { issuer: ci.url, jwks: ci.jwks } },
  stores: { vars: { kind: 'env' }, bao },
  credentials: { partner, stripe: { kind: 'secret', store: 'bao', name: 'stripe' } },
  roles: { all: ['partner', 'stripe'] },
  grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['all'], ttl: '5m' }],
  ...more,
});

async function openEdge() {
  const key = await ledger.deployment.ledger.key(deadlineIn(5_000, Date.now));
  const env = { HALLPASS_SECRET_SHARED: randomBytes(32).toString('base64') };
  const shown: string[] = [];
  const app = createApp(ledger.deployment, {
    runtime: 'node',
    now: Date.now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    instance: 'central',
  });
  const assertions: string[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    if (url.startsWith(ledgerUrl)) {
      shown.push(new Headers(init.headers).get('authorization') ?? '');
      return app.fetch(new Request(url, init));
    }
    if (url === 'https://bao.example.com/v1/auth/jwt/login') {
      assertions.push(JSON.parse(String(init.body)).jwt);
      return Response.json({ auth: { client_token: 'fake-token', lease_duration: 300, renewable: false } });
    }
    if (url.startsWith('https://bao.example.com/v1/secret/data/stripe'))
      return Response.json({ data: { data: { value: 'not-a-real-key' }, metadata: { version: 1 } } });
    throw new Error(`no such host: ${url}`);
  };
  const broker = await openBroker(edgeConfig(key), edge.folder, platform({ ...nodeIo(edge.folder), env, fetch }));
  return { broker, shown, assertions };
}

describe('a broker without any key', () => {
  it('shows its platform’s token to the ledger, has tokens signed there, and logs in to a store as itself', async () => {
    writeFileSync(tokenFile, `${cluster.token({ sub: 'system:edge' })}\n`);
    const { broker, shown, assertions } = await openEdge();
    const signed = await broker.ask('/v1/credentials/partner', ci.token());
    expect(signed.status, await signed.clone().text()).toBe(200);
    const { data } = (await signed.json()) as { data: { token: string } };
    expect(claimsOf(data.token)).toMatchObject({ iss: `${ledgerUrl}/workloads`, aud: 'https://api.partner.example' });

    const read = await broker.ask('/v1/credentials/stripe', ci.token());
    expect(read.status, await read.clone().text()).toBe(200);
    expect(await read.json()).toMatchObject({ data: { value: 'not-a-real-key' } });
    expect(assertions.map(claimsOf)).toMatchObject([{ iss: ledgerUrl, sub: 'broker:edge.test', aud: bao.address }]);
    expect(shown.every((header) => claimsOf(header).iss === cluster.url)).toBe(true);
    const keys = await broker.deployment.keys(deadlineIn(1_000, Date.now));
    expect(keys.assertions).toEqual([]);
    // Upkeep asks the ledger for what wants undoing, from the beginning on.
    await broker.deployment.recover(deadlineIn(5_000, Date.now));
    expect(await broker.deployment.unrevoked(deadlineIn(5_000, Date.now))).toMatchObject({ items: [] });
    await broker.deployment.close();
  });

  it('is refused by the ledger once the platform says it is somebody else', async () => {
    writeFileSync(tokenFile, cluster.token({ sub: 'system:other' }));
    const { broker } = await openEdge();
    expect((await broker.ask('/v1/credentials/partner', ci.token())).status).toBe(503);
    await broker.deployment.close();
  });

  it('needs broker.secret, which nothing else could give it', async () => {
    const { broker: _, ...rest } = edgeConfig(await ledger.deployment.ledger.key(deadlineIn(5_000, Date.now)));
    await expect(openBroker({ ...rest, broker: { url: edgeUrl } }, edge.folder)).rejects.toMatchObject({
      problems: [{ message: 'without a signer broker.secret is required' }],
    });
  });
});

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString());
