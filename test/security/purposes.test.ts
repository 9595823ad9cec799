import { createPublicKey, randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { startAws } from '../fakes/aws.ts';
import { client, startAzure, tenant } from '../fakes/azure.ts';
import type { Trust } from '../fakes/federation.ts';
import { fakeAccount, fakeProvider, startFakeGoogle } from '../fakes/google.ts';
import { startKubernetes } from '../fakes/kubernetes.ts';
import type { FakeCall } from '../fakes/server.ts';
import { startVault } from '../fakes/vault.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Every token there is in a deployment, shown at every door there is: each opens the one it was signed for.

const url = 'https://pass.test';
const edgeUrl = 'https://edge.test';
const partner = { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' };
const ci = testIssuer('https://ci.test', url);
const soon = () => deadlineIn(10_000, Date.now);
const trustOf = (audience: string): Trust & { keys: never[] } => ({
  issuer: url,
  audience,
  subject: 'broker:pass.test',
  keys: [],
});

/** Filled once the deployment's keys are known; the fakes look at it at each call. */
const trusts = {
  aws: { ...trustOf('sts.amazonaws.com'), role: 'arn:aws:iam::123456789012:role/hallpass' },
  azure: trustOf('api://AzureADTokenExchange'),
  google: trustOf(`https://iam.googleapis.com/${fakeProvider}`),
  vault: { ...trustOf(''), audience: '' },
  kubernetes: { ...trustOf(''), audience: '' },
};

interface Door {
  /** Whether it opens for this token. */
  opens(token: string): Promise<boolean>;
  /** The token that is meant for it. */
  readonly token: string;
}

const doors = new Map<string, Door>();
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  const aws = await startAws([trusts.aws]);
  const azure = await startAzure({ trust: [trusts.azure] });
  const google = await startFakeGoogle({ trust: [trusts.google] });
  const vault = await startVault({ hallpass: trusts.vault });
  const kubernetes = await startKubernetes([trusts.kubernetes]);
  Object.assign(trusts.vault, { audience: vault.url });
  Object.assign(trusts.kubernetes, { audience: kubernetes.url });
  closing.push(aws.close, azure.stop, google.close, vault.close, kubernetes.close);
  const { folder, remove } = temporaryFolder();
  const edgeFolder = temporaryFolder();

  const stores = {
    aws: { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: trusts.aws.role, endpoint: aws.url, sts: aws.url },
    azure: { kind: 'azure-key-vault', vault: azure.url, tenant, client, authority: azure.url },
    google: {
      kind: 'google-secret-manager',
      project: 'acme-core',
      provider: fakeProvider,
      account: fakeAccount,
      endpoint: google.url,
      sts: google.url,
      iam: google.url,
    },
    vault: { kind: 'vault', address: vault.url, role: 'hallpass' },
    kubernetes: { kind: 'kubernetes', server: kubernetes.url, namespace: 'shop' },
  };
  // The edge's own issuer is trusted once its key is known: made beforehand, in its folder.
  const bare = {
    broker: { url: edgeUrl, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'l.db' },
  };
  const first = await openBroker(bare, edgeFolder.folder);
  const { assertions } = await first.deployment.keys(soon());
  await first.deployment.close();

  const central = await openBroker(
    {
      broker: { url, signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'sqlite', path: 'ledger.db' },
      issuers: { ci: { issuer: ci.url, jwks: ci.jwks }, edge: { issuer: edgeUrl, jwks: { keys: assertions } } },
      stores,
      credentials: { partner },
      roles: { writer: { ledger: 'append', mint: ['partner'] } },
      grants: [
        { name: 'ci', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['partner'], ttl: '5m' },
        { name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] },
      ],
    },
    folder,
  );
  const keys = await central.deployment.keys(soon());
  for (const trust of Object.values(trusts)) trust.keys.push(...(keys.assertions as never[]));
  closing.push(() => central.deployment.close(), remove, edgeFolder.remove);

  await collectStores(
    central,
    {
      aws: aws.server.calls,
      azure: azure.calls,
      google: google.server.calls,
      vault: vault.calls,
      kubernetes: kubernetes.calls,
    },
    {
      aws: aws.url,
      azure: azure.url,
      google: google.url,
      vault: vault.url,
      kubernetes: kubernetes.url,
    },
  );
  await collectLedger(central, edgeFolder.folder);
  await collectOwn(central, keys.workloads as never[]);
}, 60_000);
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

const anyToken = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;

/** What was sent to a store to log in, to be sent again with another token in its place. */
async function collectStores(
  central: OpenBroker,
  calls: Readonly<Record<string, readonly FakeCall[]>>,
  urls: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, seen] of Object.entries(calls)) {
    await (await central.deployment.openStore(name)).list(soon());
    const login = seen.find(({ body, headers }) => anyToken.test(`${headers.authorization ?? ''} ${body}`));
    const token = anyToken.exec(`${login?.headers.authorization ?? ''} ${login?.body ?? ''}`)?.[0];
    if (login === undefined || token === undefined) throw new Error(`${name} was not logged in to`);
    const { method, url: at, body, headers } = login;
    const opens = async (other: string) => {
      const put = (text: string) => text.replace(token, other);
      const kept = Object.entries(headers).filter(([header]) => /^(content-type|accept|authorization)$/.test(header));
      const init = {
        method,
        headers: Object.fromEntries(kept.map(([header, value]) => [header, put(String(value))])),
        ...(method === 'GET' ? {} : { body: put(body) }),
      };
      return (await fetch(`${urls[name]}${at.pathname}${at.search}`, init)).status < 300;
    };
    doors.set(name, { token, opens });
  }
}

/** What a broker elsewhere shows to its ledger. */
async function collectLedger(central: OpenBroker, folder: string): Promise<void> {
  const platform = inProcess();
  const app = createApp(central.deployment, platform);
  let token = '';
  const opens = async (other: string) => {
    const headers = { authorization: `Bearer ${other}`, 'content-type': 'application/json' };
    const response = await app.fetch(new Request(`${url}/v1/log/entries`, { method: 'POST', headers, body: '{}' }));
    return response.status !== 401 && response.status !== 403;
  };
  const edge = await openBroker(
    {
      broker: { url: edgeUrl, signer: { kind: 'local', path: 'keys' } },
      ledger: { kind: 'http', url, key: await central.deployment.ledger.key(soon()) },
    },
    folder,
    {
      fetch: async (at, init) => {
        token = new Headers(init.headers).get('authorization')?.replace('Bearer ', '') ?? token;
        return app.fetch(new Request(at, init));
      },
    },
  );
  await edge.deployment.ledger.pending('open', soon());
  await edge.deployment.close();
  doors.set('the ledger', { token, opens });
}

/** The front door, and whoever checks what the `jwt` kind signs. */
async function collectOwn(central: OpenBroker, workloads: never[]): Promise<void> {
  const ask = (token: string) => central.ask('/v1/credentials/partner', token);
  const opens = async (token: string) => ![401, 403].includes((await ask(token)).status);
  doors.set('the front door', { token: ci.token(), opens });
  const { data } = (await (await ask(ci.token())).json()) as { data: { token: string } };
  const keys = workloads.map((jwk) => createPublicKey({ key: jwk, format: 'jwk' }));
  const consumer = async (token: string) => {
    for (const key of keys) {
      const checked = await jwtVerify(token, key, { issuer: `${url}/workloads`, audience: partner.audience }).catch(
        () => undefined,
      );
      if (checked !== undefined) return true;
    }
    return false;
  };
  doors.set('a partner', { token: data.token, opens: consumer });
}

const inProcess = (): Platform => ({
  runtime: 'node',
  now: Date.now,
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
  fetch: () => Promise.reject(new Error('no network')),
  log: () => {},
  env: {},
  instance: 'test',
});

const names = ['aws', 'azure', 'google', 'vault', 'kubernetes', 'the ledger', 'the front door', 'a partner'];

describe('a token signed for one purpose', () => {
  it.each(names)('signed for %s opens that door and no other', async (name) => {
    const { token } = doors.get(name) as Door;
    const opened: string[] = [];
    for (const [other, door] of doors) if (await door.opens(token)) opened.push(other);
    expect(opened).toEqual([name]);
  });

  it('was looked at for every pair', () => {
    expect([...doors.keys()].sort()).toEqual([...names].sort());
  });
});
