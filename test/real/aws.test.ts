import { randomBytes } from 'node:crypto';
import { CreateAliasCommand, CreateKeyCommand, type KeySpec, KMSClient, UpdateAliasCommand } from '@aws-sdk/client-kms';
import {
  DeleteSecretCommand,
  ListSecretsCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { open as openKms } from '../../src/keys/aws-kms/kms.ts';
import type { KmsVersion } from '../../src/keys/kms.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { signRequest } from '../../src/sessions/aws/sign.ts';
import { guide } from '../../src/stores/aws-secrets-manager/guide.ts';
import { awsSecretsManager as plugIn } from '../../src/stores/aws-secrets-manager.ts';
import { openStores } from '../../src/stores/open.ts';
import { type Store, StoreError } from '../../src/stores/store.ts';
import { describeKms, verifies } from '../contracts/kms.ts';
import { describeStore, soon } from '../contracts/store.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { storesDeps } from '../stores/deps.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const region = 'eu-west-1';
const role = 'arn:aws:iam::123456789012:role/hallpass';
/** A key of twelve digits is one of that account, for ministack. */
const operator = { accessKeyId: '123456789012', secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token' };
/** What a platform would hand over; neither server knows it. */
const ambient = {
  AWS_ACCESS_KEY_ID: '123456789012',
  AWS_SECRET_ACCESS_KEY: 'not-a-secret',
  AWS_SESSION_TOKEN: 'not-a-token',
};
const us = makeAsserter();
const proxies: TcpProxy[] = [];
afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

async function proxied(server: RealServer): Promise<TcpProxy & { url: string }> {
  const proxy = await startTcpProxy(Number(new URL(server.url).port));
  proxies.push(proxy);
  return Object.assign(proxy, { url: `http://127.0.0.1:${proxy.port}` });
}

function openStore(url: string, entry: object = {}, env = {}): Promise<Store> {
  const config = s.parse(plugIn.schema, { kind: plugIn.name, region, endpoint: url, sts: url, ...entry });
  const deps = storesDeps({ assertFor: (_, terms) => us.assert(terms), env });
  return openStores({ here: config as { kind: string } }, deps).open('here');
}

/** `fault step`, and nothing of what was said. */
async function errorOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => new Error('it did not reject')).catch((thrown: unknown) => thrown);
  if (!(error instanceof StoreError)) throw error;
  expect(JSON.stringify({ ...error.facts, cause: undefined })).not.toContain('xml');
  return `${error.fault} ${error.facts.step}`;
}

describe.skipIf(lacks('ministack') !== undefined)('ministack', () => {
  let server: RealServer;
  let secrets: SecretsManagerClient;
  let keys: KMSClient;

  beforeAll(async () => {
    server = await startReal('ministack');
    const settings = { region, endpoint: server.url, credentials: operator };
    secrets = new SecretsManagerClient(settings);
    keys = new KMSClient(settings);
  });
  afterAll(() => server?.stop());

  async function removeAll(): Promise<void> {
    const { SecretList = [] } = await secrets.send(
      new ListSecretsCommand({ MaxResults: 100, IncludePlannedDeletion: true }),
    );
    for (const { ARN: SecretId } of SecretList)
      await secrets.send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }));
  }

  describeStore(
    'aws-secrets-manager',
    {
      writable: true,
      oneWriter: 'it forgets a version together with its last label',
      never: { denied: 'it checks no rights; moto does, below', disabled: 'it asks no key whether it is switched off' },
    },
    async () => {
      await removeAll();
      const proxy = await proxied(server);
      const store = await openStore(proxy.url, { assume: role });
      return {
        store,
        seed: async (name, value) => (await store.put(name, new Secret(value), soon())).version,
        provoke: {
          unreachable: async () => {
            proxy.fault = 'reset';
          },
          slow: async () => {
            proxy.fault = 'hang';
          },
        },
      };
    },
  );

  it('reads by ARN, by label and by what a rotation has moved on', async () => {
    await removeAll();
    const store = await openStore(server.url, { assume: role });
    const first = await store.put('prod/stripe', new Secret('first'), soon());
    const second = await store.put('prod/stripe', new Secret('second'), soon());
    const { SecretList = [] } = await secrets.send(new ListSecretsCommand({}));
    const arn = SecretList[0]?.ARN as string;
    const text = async (version?: string) => (await store.get(arn, version, soon())).value.revealText();
    expect([await text(), await text('AWSPREVIOUS'), await text(first.version)]).toEqual(['second', 'first', 'first']);
    const move = { SecretId: arn, VersionStage: 'AWSCURRENT', MoveToVersionId: first.version };
    await secrets.send(new UpdateSecretVersionStageCommand({ ...move, RemoveFromVersionId: second.version }));
    expect(await text()).toBe('first');
    expect((await store.describe('prod/stripe', soon())).version).toBe(first.version);
  });

  it('lists more than one page', async () => {
    await removeAll();
    const store = await openStore(server.url, {}, ambient);
    const names = Array.from({ length: 120 }, (_, at) => `many/${String(at).padStart(3, '0')}`);
    for (const name of names) await store.put(name, new Secret('x'), soon());
    expect(await store.list(soon())).toEqual(names);
  });

  async function makeKey(spec: KeySpec, alias: string): Promise<void> {
    const KeyUsage = spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'SIGN_VERIFY';
    const { KeyMetadata } = await keys.send(new CreateKeyCommand({ KeySpec: spec, KeyUsage }));
    const move = { AliasName: alias, TargetKeyId: KeyMetadata?.KeyId };
    await keys.send(new CreateAliasCommand(move)).catch(() => keys.send(new UpdateAliasCommand(move)));
  }

  const kmsAt = (endpoint: string, key: string, more = {}) =>
    openKms({ key, region, endpoint, ...more }, { now: Date.now, ...nodeIo('.'), env: ambient });

  describeKms(
    'aws-kms',
    {
      noRotation: 'the operator moves the alias',
      unsealed: 'its cipher has no tag',
      never: { denied: 'it checks no rights' },
    },
    async () => {
      const proxy = await proxied(server);
      const set = randomBytes(4).toString('hex');
      await makeKey('ECC_NIST_P256', `alias/ec-${set}`);
      await makeKey('RSA_2048', `alias/rsa-${set}`);
      await makeKey('SYMMETRIC_DEFAULT', `alias/wrap-${set}`);
      const at = (alias: string, more = {}) => kmsAt(proxy.url, `alias/${alias}-${set}`, more);
      return {
        signing: { ES256: at('ec'), RS256: at('rsa') },
        sealing: at('ec', { wrap: `alias/wrap-${set}` }),
        provoke: {
          unreachable: async () => {
            proxy.fault = 'reset';
          },
          slow: async () => {
            proxy.fault = 'hang';
          },
        },
      };
    },
  );

  it('signs as the key that was published, whatever its alias means by now', async () => {
    await makeKey('ECC_NIST_P256', 'alias/hallpass');
    const kms = kmsAt(server.url, 'alias/hallpass');
    const [old] = (await kms.versions(soon())) as [KmsVersion];
    await makeKey('RSA_2048', 'alias/hallpass');
    const [fresh] = (await kms.versions(soon())) as [KmsVersion];
    expect([old.alg, fresh.alg]).toEqual(['ES256', 'RS256']);
    const data = randomBytes(5_000);
    for (const version of [old, fresh])
      expect(verifies(version, data, await kms.sign(version, data, soon()))).toBe(true);
  });
});

describe.skipIf(lacks('moto') !== undefined)('moto with its access control on', () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await startReal('moto');
  });
  afterAll(() => server?.stop());

  /** IAM, as an operator calls it. */
  async function iam(action: string, parameters: Record<string, string>): Promise<void> {
    const body = new URLSearchParams({ Action: action, Version: '2010-05-08', ...parameters }).toString();
    const host = new URL(server.url).host;
    const unsigned = { host, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body };
    const headers = signRequest(unsigned, operator, { service: 'iam', region: 'us-east-1', now: Date.now() });
    const answer = await fetch(`${server.url}/`, { method: 'POST', headers, body });
    if (!answer.ok) throw new Error(`${action}: ${answer.status} ${await answer.text()}`);
  }

  it('lets a role with the rights of the guide read, and do nothing beyond', async () => {
    await fetch(`${server.url}/moto-api/reset`, { method: 'POST' });
    const facts = {
      store: 'here',
      issuer: us.issuer,
      jwksUri: `${us.issuer}/.well-known/jwks.json`,
      audience: 'sts.amazonaws.com',
      subject: us.subject,
      algorithm: 'ES256',
      names: [],
    } as const;
    const [, trust, rights] = guide({ kind: plugIn.name, region, assume: role }, facts);
    // It knows of no resource but all.
    const document = (step: typeof trust) =>
      JSON.stringify(step?.file?.json).replace(/"Resource":"[^"]*"/, '"Resource":"*"');
    await iam('CreateOpenIDConnectProvider', { Url: us.issuer, 'ClientIDList.member.1': facts.audience });
    await iam('CreateRole', { RoleName: 'hallpass', AssumeRolePolicyDocument: document(trust) });
    await iam('PutRolePolicy', { RoleName: 'hallpass', PolicyName: 'hallpass-read', PolicyDocument: document(rights) });
    const store = await openStore(server.url, { assume: role });
    await store.put('prod/stripe', new Secret('not-a-key'), soon());
    const stranger = await openStore(server.url, {}, ambient);
    await fetch(`${server.url}/moto-api/reset-auth`, { method: 'POST', body: '0' });
    expect((await store.get('prod/stripe', undefined, soon())).value.revealText()).toBe('not-a-key');
    expect((await store.describe('prod/stripe', soon())).versions).toBe(1);
    expect(await errorOf(store.get('prod/other', undefined, soon()))).toBe('absent read');
    expect(await errorOf(store.list(soon()))).toBe('denied list');
    expect(await errorOf(store.put('prod/stripe', new Secret('x'), soon()))).toBe('denied write');
    expect(await errorOf(store.remove('prod/stripe', soon()))).toBe('denied remove');
    expect(await errorOf(stranger.get('prod/stripe', undefined, soon()))).toBe('denied read');
  });
});
