import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReadCredential } from '../../src/credentials/kind.ts';
import { parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { signRequest } from '../../src/sessions/aws/sign.ts';
import { describeKind, requestFor } from '../contracts/kind.ts';
import { openCloud } from '../credentials/clouds.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';

const region = 'eu-west-1';
const account = '123456789012';
const role = `arn:aws:iam::${account}:role/orders`;
const us = makeAsserter({ store: 'it' });
const provider = us.issuer.replace('https://', '');

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** One call of AWS, in its query protocol or as JSON: the status, and the text of the answer. */
async function call(url: string, by: Keys, service: string, action: string, parameters: Record<string, string> = {}) {
  const versions: Record<string, string> = { iam: '2010-05-08', sts: '2011-06-15' };
  const isQuery = service in versions;
  const body = isQuery
    ? new URLSearchParams({ Action: action, Version: versions[service] as string, ...parameters }).toString()
    : JSON.stringify(parameters);
  const headers: Record<string, string> = isQuery
    ? { 'content-type': 'application/x-www-form-urlencoded' }
    : { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${service}.${action}` };
  const unsigned = { host: new URL(url).host, headers, body };
  const scope = { service, region: service === 'iam' ? 'us-east-1' : region, now: Date.now() };
  const answer = await fetch(`${url}/`, { method: 'POST', headers: signRequest(unsigned, by, scope), body });
  return { status: answer.status, text: await answer.text() };
}

/** The account's own key: the operator's. */
const operator: Keys = { accessKeyId: account, secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token' };

const document = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements });

const trustsUs = {
  Effect: 'Allow',
  Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/${provider}` },
  Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
  Condition: { StringEquals: { [`${provider}:aud`]: 'sts.amazonaws.com', [`${provider}:sub`]: us.subject } },
};
/** The platform's role, and only for the credential of this name. */
const trustsPlatform = {
  Effect: 'Allow',
  Principal: { AWS: `arn:aws:iam::${account}:role/platform` },
  Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
  Condition: { StringEquals: { 'aws:RequestTag/hallpass-credential': 'it' } },
};
const mayDoSecrets = { Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' };

/** What an operator sets up: the issuer, the role that trusts us, the role that the platform runs us as. */
async function setUp(url: string): Promise<void> {
  const iam = async (action: string, parameters: Record<string, string>) => {
    const { status, text } = await call(url, operator, 'iam', action, parameters);
    if (status !== 200) throw new Error(`${action}: ${status} ${text}`);
  };
  await iam('CreateOpenIDConnectProvider', { Url: us.issuer, 'ClientIDList.member.1': 'sts.amazonaws.com' });
  const root = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'sts:AssumeRole' };
  await iam('CreateRole', { RoleName: 'platform', AssumeRolePolicyDocument: document(root) });
  const may = { Effect: 'Allow', Action: trustsPlatform.Action, Resource: role };
  await iam('PutRolePolicy', { RoleName: 'platform', PolicyName: 'orders', PolicyDocument: document(may) });
  await iam('CreateRole', { RoleName: 'orders', AssumeRolePolicyDocument: document(trustsUs, trustsPlatform) });
  await iam('PutRolePolicy', { RoleName: 'orders', PolicyName: 'secrets', PolicyDocument: document(mayDoSecrets) });
}

const members = ['accessKeyId', 'secretAccessKey', 'sessionToken', 'expiration', 'roleArn'];
const keysOf = ({ data }: Awaited<ReturnType<ReadCredential['read']>>) => data as unknown as Keys;
const entryAt = (url: string, more = {}) => ({ kind: 'aws-role', role, region, sts: url, ...more });

/** As whom AWS takes these keys. */
async function callerOf(url: string, keys: Keys): Promise<string | undefined> {
  const { text } = await call(url, keys, 'sts', 'GetCallerIdentity');
  return /<Arn>([^<]*)<\/Arn>/.exec(text)?.[1];
}

describe.skipIf(lacks('ministack') !== undefined)('ministack with its access control on', () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await startReal('ministack', { env: { AUTH: 'true' } });
    await setUp(server.url);
  });
  afterAll(() => server?.stop());

  /** As the platform's role: a session that lives in variables, as on Lambda. */
  async function onPlatform(more: Record<string, unknown> = {}, store = 'it') {
    const asked = { RoleArn: `arn:aws:iam::${account}:role/platform`, RoleSessionName: 'lambda' };
    const { text } = await call(server.url, operator, 'sts', 'AssumeRole', asked);
    const part = (name: string) => text.split(`<${name}>`)[1]?.split(`</${name}>`)[0] ?? '';
    const env = {
      AWS_ACCESS_KEY_ID: part('AccessKeyId'),
      AWS_SECRET_ACCESS_KEY: part('SecretAccessKey'),
      AWS_SESSION_TOKEN: part('SessionToken'),
    };
    return openCloud(entryAt(server.url, { login: 'ambient', ...more }), { us, env, name: store });
  }

  describeKind('aws-role', { members, fingerprinted: 'secretAccessKey' }, async () => {
    const entry = entryAt(server.url);
    return { entry, deps: (await openCloud(entry, { us })).deps };
  });

  it('gives a session that AWS knows by its issuance, and that may do what the role may', async () => {
    const { read } = await openCloud(entryAt(server.url), { us });
    const request = requestFor();
    const keys = keysOf(await read(request));
    expect(await callerOf(server.url, keys)).toBe(`arn:aws:sts::${account}:assumed-role/orders/hp_${request.id}`);
    expect((await call(server.url, keys, 'secretsmanager', 'ListSecrets')).status).toBe(200);
    expect((await call(server.url, keys, 'iam', 'ListRoles')).status).toBe(403);
    const forged = { ...keys, secretAccessKey: 'not-the-secret' };
    expect((await call(server.url, forged, 'secretsmanager', 'ListSecrets')).status).toBe(400);
  });

  it('gives none to another subject, audience or issuer', async () => {
    const others: Asserter[] = [
      makeAsserter({ subject: 'broker:other.example' }),
      makeAsserter({ issuer: 'https://other.example' }),
    ];
    for (const other of others)
      expect(await (await openCloud(entryAt(server.url), { us: other })).refused()).toBe('store_failed denied');
    const audience = await openCloud(entryAt(server.url, { audience: 'https://other.example' }), { us });
    expect(await audience.refused()).toBe('store_failed denied');
  });

  it('gives the platform’s role a session that is tagged, and that its policy narrows', async () => {
    const policy = parseStrictJsonObject(
      document({ Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }),
    );
    const request = requestFor();
    const narrow = keysOf(await (await onPlatform({ policy })).read(request));
    const wide = keysOf(await (await onPlatform()).read());
    expect(await callerOf(server.url, narrow)).toBe(`arn:aws:sts::${account}:assumed-role/orders/hp_${request.id}`);
    const secret = { Name: `s-${request.id}`, SecretString: 'not-a-key', ClientRequestToken: 'x'.repeat(32) };
    const asked = async (keys: Keys) => [
      (await call(server.url, keys, 'secretsmanager', 'ListSecrets')).status,
      (await call(server.url, keys, 'secretsmanager', 'CreateSecret', secret)).status,
    ];
    expect(await asked(narrow)).toEqual([200, 403]);
    expect(await asked(wide)).toEqual([200, 200]);
  });

  it('gives a credential of another name nothing: the trust policy reads the tag', async () => {
    expect(await (await onPlatform({}, 'other')).refused()).toBe('store_failed denied');
  });
});

describe.skipIf(lacks('moto') !== undefined)('moto with its access control on', () => {
  let server: RealServer;
  beforeAll(async () => {
    server = await startReal('moto');
    await setUp(server.url);
  });
  afterAll(() => server?.stop());

  it('takes the session for the role’s, named after its issuance, with the role’s rights', async () => {
    const { read } = await openCloud(entryAt(server.url), { us });
    const request = requestFor();
    // With its access control on it has no answer to a call that nobody signed, as this one is.
    const keys = keysOf(await read(request));
    await fetch(`${server.url}/moto-api/reset-auth`, { method: 'POST', body: '0' });
    expect(await callerOf(server.url, keys)).toBe(`arn:aws:sts::${account}:assumed-role/orders/hp_${request.id}`);
    expect((await call(server.url, keys, 'secretsmanager', 'ListSecrets')).status).toBe(200);
    expect((await call(server.url, keys, 'iam', 'ListRoles')).status).toBe(403);
  });
});
