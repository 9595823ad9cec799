import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { nodeIo } from '../../src/lib/node-io.ts';
import * as s from '../../src/lib/schema/index.ts';
import { UpstreamError } from '../../src/lib/upstream.ts';
import { ambientTokenSchema } from '../../src/sessions/ambient-token.ts';
import { awsIdentityToken } from '../../src/sessions/aws/get-web-identity-token.ts';
import { openAwsLogin } from '../../src/sessions/aws/login.ts';
import { endpointOf } from '../../src/sessions/aws/region.ts';
import type { SessionDeps } from '../../src/sessions/session.ts';
import { startAws } from '../fakes/aws.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { type FakeAnswer, type FakeCall, startFake } from '../fakes/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallpass-aws-'));
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  await Promise.all(closing.map((close) => close()));
  rmSync(folder, { recursive: true, force: true });
});

const soon = () => deadlineIn(5_000, Date.now);
const region = 'eu-west-1';
const role = 'arn:aws:iam::123456789012:role/hallpass';
const platform = { accessKeyId: 'ASIAOFNOBODY0000', secretAccessKey: 'not-a-secret', sessionToken: 'not-a-token' };
const inJson = (until = Date.now() + 3_600_000) => ({
  AccessKeyId: platform.accessKeyId,
  SecretAccessKey: platform.secretAccessKey,
  Token: platform.sessionToken,
  Expiration: new Date(until).toISOString(),
});

const depsOf = (env: SessionDeps['env'], own: Partial<SessionDeps> = {}): SessionDeps => ({
  now: Date.now,
  ...nodeIo(folder),
  env,
  ...own,
});

/** What a login gives, or why not. */
const outcomeOf = (work: Promise<unknown>) =>
  work.catch((error: unknown) => {
    if (!(error instanceof UpstreamError)) throw error;
    const { step, reason } = error.facts;
    return [error.fault, step, reason].filter((word) => word !== undefined).join(' ');
  });

const loginWith = (env: SessionDeps['env'], own: Partial<SessionDeps> = {}, more = {}) =>
  outcomeOf(openAwsLogin({ region, ...more }, depsOf(env, own)).get(soon()));

async function fake(answer: (call: FakeCall) => FakeAnswer) {
  const server = await startFake(answer);
  closing.push(server.close);
  return server;
}

/** No test may come to a metadata service: whoever would ask one is told apart by this. */
const noFetch = async (url: string): Promise<Response> => {
  throw new Error(`nothing may be fetched: ${url}`);
};

describe('the identity a platform gives in AWS', () => {
  it('is taken from variables, and read anew after a while', async () => {
    const env: Record<string, string> = {
      AWS_ACCESS_KEY_ID: platform.accessKeyId,
      AWS_SECRET_ACCESS_KEY: platform.secretAccessKey,
      AWS_SESSION_TOKEN: platform.sessionToken,
    };
    const clock = { now: 0 };
    const login = openAwsLogin({ region }, depsOf(env, { now: () => clock.now, fetch: noFetch }));
    expect(await login.get(soon())).toEqual(platform);
    env.AWS_SESSION_TOKEN = 'not-a-newer-token';
    expect(await login.get(soon())).toEqual(platform);
    clock.now += 11 * 60_000;
    expect(await login.get(soon())).toEqual({ ...platform, sessionToken: 'not-a-newer-token' });
  });

  it('is never a key without a session token, even where there is something else to take', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'AKIAOFNOBODY0000', AWS_SECRET_ACCESS_KEY: 'not-a-secret', AWS_SESSION_TOKEN: '' };
    const more = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2' };
    for (const found of [env, { ...env, ...more }])
      expect(await loginWith(found, { fetch: noFetch })).toBe('denied identity long_lived_key');
  });

  it.each([
    {},
    { HOME: '/root', AWS_PROFILE: 'default', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' },
    { AWS_EXECUTION_ENV: 'AWS_ECS_EC2', AWS_REGION: 'eu-west-1' },
    { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1', AWS_EC2_METADATA_DISABLED: 'true' },
    { AWS_WEB_IDENTITY_TOKEN_FILE: '/nowhere' },
  ])('is not looked for where nothing says that there is one: %j', async (env) => {
    expect(await loginWith(env, { fetch: noFetch })).toBe('denied identity no_ambient_identity');
  });

  it('is asked of the container endpoint, with the token of the moment', async () => {
    const server = await fake(({ headers }) =>
      headers.authorization === 'not-a-pod-token' && headers['x-amz-security-token'] === undefined
        ? { status: 200, body: JSON.stringify(inJson()) }
        : { status: 401, body: '{"code":"canary"}' },
    );
    const uri = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/v1/credentials` };
    expect(await loginWith({ ...uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'not-a-pod-token' })).toEqual(platform);
    writeFileSync(join(folder, 'pod-token'), 'not-a-pod-token\n');
    const file = { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'pod-token') };
    expect(await loginWith({ ...uri, ...file })).toEqual(platform);
    expect(await loginWith({ ...uri })).toBe('denied identity');
    const missing = { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'none') };
    expect(await loginWith({ ...uri, ...missing })).toBe('unreachable identity no_token');
    expect(server.calls.map(({ url }) => url.pathname)).toEqual(Array(3).fill('/v1/credentials'));
  });

  it.each([
    ['http://169.254.170.2/v2/x', { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/x' }],
    [
      'http://169.254.170.23/v1/credentials',
      { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.170.23/v1/credentials' },
    ],
  ])('is asked at %s and nowhere else', async (url, env) => {
    const asked: string[] = [];
    const fetch = async (to: string) => {
      asked.push(to);
      return new Response(JSON.stringify(inJson()));
    };
    expect(await loginWith(env, { fetch })).toEqual(platform);
    expect(asked).toEqual([url]);
  });

  it.each([
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://evil.example/credentials' },
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://169.254.169.254/latest' },
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1@evil.example/' },
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'file:///etc/passwd' },
    { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '@evil.example/credentials' },
    { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '.evil.example/credentials' },
  ])('is not asked of %j', async (env) => {
    expect(await loginWith(env, { fetch: noFetch })).toBe('invalid identity container_uri');
  });

  it('puts no line of its own into a header', async () => {
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/',
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'a\r\nx-evil: 1',
    };
    expect(await loginWith(env, { fetch: noFetch })).toBe('invalid identity container_token');
  });

  it('is the role of a service account of EKS, by its token file read each time', async () => {
    const kubernetes = makeAsserter({ issuer: 'https://oidc.example', subject: 'system:serviceaccount:shop:hallpass' });
    const { issuer, subject, keys } = kubernetes;
    const aws = await startAws([{ role, issuer, subject, keys, audience: 'sts.amazonaws.com' }]);
    closing.push(aws.close);
    const token = () => kubernetes.assert({ audience: 'sts.amazonaws.com', algorithms: ['ES256'], ttl: 300 });
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'irsa'), AWS_ROLE_ARN: role };
    const more = { sts: aws.url };
    expect(await loginWith(env, {}, more)).toBe('unreachable login no_token');
    writeFileSync(join(folder, 'irsa'), await token());
    expect(await loginWith(env, {}, more)).toHaveProperty('sessionToken');
    expect(await loginWith({ ...env, AWS_ROLE_SESSION_NAME: 'checkout' }, {}, more)).toHaveProperty('sessionToken');
    expect(aws.sts.assumed.map(({ name }) => name)).toEqual(['hallpass', 'checkout']);
    writeFileSync(
      join(folder, 'irsa'),
      await makeAsserter({ issuer, subject }).assert({
        audience: 'sts.amazonaws.com',
        algorithms: ['ES256'],
        ttl: 300,
      }),
    );
    expect(await loginWith(env, {}, more)).toBe('denied exchange');
  });

  it('is asked of an instance where a variable names its metadata service, by the second version alone', async () => {
    const server = await fake(({ method, url, headers }) => {
      if (method === 'PUT' && url.pathname === '/latest/api/token')
        return { status: 200, body: 'not-a-metadata-token' };
      if (headers['x-aws-ec2-metadata-token'] !== 'not-a-metadata-token') return { status: 401 };
      const body = url.pathname.endsWith('/hallpass') ? JSON.stringify({ Code: 'Success', ...inJson() }) : 'hallpass\n';
      return { status: 200, body };
    });
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: `${server.url}/` };
    expect(await loginWith(env)).toEqual(platform);
    expect(server.calls.map(({ method, url }) => `${method} ${url.pathname}`)).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/hallpass',
    ]);
    server.instead = ({ method }) => (method === 'PUT' ? undefined : { status: 404 });
    expect(await loginWith(env)).toBe('denied identity no_ambient_identity');
    server.instead = ({ method }) => (method === 'PUT' ? undefined : { status: 200, body: '../../user-data' });
    expect(await loginWith(env)).toBe('unreachable identity not_understood');
    server.instead = () => ({ status: 302, headers: { location: 'http://127.0.0.1:9/' } });
    expect(await loginWith(env)).toBe('unreachable identity redirect');
  });

  it.each(['http://evil.example', 'http://169.254.169.254.evil.example', 'http://127.0.0.1:80/x', 'not a url'])(
    'is not asked of %s as an instance',
    async (endpoint) => {
      const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint };
      expect(await loginWith(env, { fetch: noFetch })).toBe('invalid identity metadata_endpoint');
    },
  );

  it.each([
    ['no token', { Token: undefined }],
    ['a line break in the token', { Token: 'a\nb' }],
    ['no end', { Expiration: undefined }],
    ['an end that is no instant', { Expiration: 'tomorrow' }],
    ['a key that is none', { AccessKeyId: 'a b' }],
  ])('is not believed with %s', async (_, changes) => {
    const fetch = async () => new Response(JSON.stringify({ ...inJson(), ...changes }));
    const env = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/' };
    expect(await loginWith(env, { fetch })).toBe('unreachable identity not_understood');
  });
});

describe('the exchange for a role', () => {
  const us = makeAsserter();
  const assert = () => us.assert({ audience: 'sts.amazonaws.com', algorithms: ['ES256'], ttl: 300 });
  const exchangeWith = (body: string, status = 200, headers = {}) =>
    loginWith({}, { assert, fetch: async () => new Response(body, { status, headers }) }, { assume: role });
  const until = new Date(Date.now() + 900_000).toISOString();
  const good = `<A><Credentials><AccessKeyId>ASIAOFNOBODY0000</AccessKeyId><SecretAccessKey>not-a-secret</SecretAccessKey>
    <SessionToken>not-a-token</SessionToken><Expiration>${until}</Expiration></Credentials></A>`;

  it('goes to the region’s own token service, unsigned, with the assertion in the body', async () => {
    const asked: [string, RequestInit][] = [];
    const fetch = async (url: string, init: RequestInit) => {
      asked.push([url, init]);
      return new Response(good);
    };
    expect(await loginWith({}, { assert, fetch }, { assume: role })).toEqual(platform);
    const [[url, { headers, body, redirect }]] = asked as [[string, RequestInit]];
    expect(url).toBe('https://sts.eu-west-1.amazonaws.com/');
    expect(headers).toEqual({ 'content-type': 'application/x-www-form-urlencoded' });
    expect(new URLSearchParams(String(body)).get('WebIdentityToken')).toMatch(/^eyJ/);
    expect(redirect).toBe('manual');
  });

  it.each([
    ['cn-north-1', 'https://sts.cn-north-1.amazonaws.com.cn'],
    ['eusc-de-east-1', 'https://sts.eusc-de-east-1.amazonaws.eu'],
    ['us-gov-west-1', 'https://sts.us-gov-west-1.amazonaws.com'],
  ])('knows where %s is', (at, url) => expect(endpointOf('sts', at)).toBe(url));

  it.each([
    ['an element twice', good.replace('<A>', '<A><SessionToken>mine</SessionToken>')],
    ['an element missing', good.replace(/<SessionToken>.*<\/SessionToken>/, '')],
    ['an element without an end', good.replace('</SessionToken>', '')],
    ['an empty element', good.replace('not-a-token', '')],
    ['markup in an element', good.replace('not-a-token', 'a<b/>c')],
    ['an entity', good.replace('not-a-token', '&#x61;')],
    ['a comment', good.replace('<A>', '<A><!-- x -->')],
    ['a document type', `<!DOCTYPE a [<!ENTITY x "y">]>${good}`],
    ['a space in a credential', good.replace('not-a-token', 'not a token')],
    ['JSON', JSON.stringify(inJson())],
    ['nothing', ''],
  ])('believes no answer with %s', async (_, body) => {
    expect(await exchangeWith(body)).toBe('unreachable exchange not_understood');
  });

  it.each([
    [403, 'AccessDenied', 'denied exchange'],
    [400, 'InvalidIdentityToken', 'denied exchange'],
    [400, 'IDPCommunicationError', 'unreachable exchange'],
    [400, 'ExpiredTokenException', 'denied exchange clock_skew'],
    [403, 'RegionDisabledException', 'denied exchange'],
    [400, 'Throttling', 'throttled exchange throttled'],
    [503, 'ServiceUnavailable', 'unreachable exchange server_error'],
    [418, 'canary canary', 'unreachable exchange'],
  ])('tells %s %s for what it is', async (status, code, outcome) => {
    const body = `<ErrorResponse><Error><Code>${code}</Code><Message>canary</Message></Error></ErrorResponse>`;
    expect(await exchangeWith(body, status)).toBe(outcome);
  });

  it('believes a session no longer than it asked for', async () => {
    const clock = { now: Date.now() };
    const far = good.replace(until, '2099-01-01T00:00:00Z');
    let asked = 0;
    const fetch = async () => {
      asked++;
      return new Response(far);
    };
    const how = { region, assume: role, session: '15m' };
    const login = openAwsLogin(how, depsOf({}, { assert, fetch, now: () => clock.now }));
    await login.get(soon());
    clock.now += 11 * 60_000;
    await login.get(soon());
    expect(asked).toBe(2);
  });
});

describe('AWS’s own token of the platform’s identity', () => {
  const env = {
    AWS_ACCESS_KEY_ID: platform.accessKeyId,
    AWS_SECRET_ACCESS_KEY: platform.secretAccessKey,
    AWS_SESSION_TOKEN: platform.sessionToken,
  };

  it('is asked for in every region that a store may be in', () => {
    const takes = (region: string) => s.safeParse(ambientTokenSchema, { kind: 'aws', region }).success;
    for (const region of ['eu-west-1', 'us-gov-east-1', 'cn-north-1', 'eusc-de-east-1'])
      expect(takes(region), region).toBe(true);
    for (const region of ['eu-west', 'eu.west-1', 'eu-west-1.evil.example', ''])
      expect(takes(region), region).toBe(false);
  });

  it('is asked for one audience, signed, and given with its end', async () => {
    const until = '2099-01-01T00:00:00Z';
    const server = await fake(() => ({
      status: 200,
      body: `<R><WebIdentityToken>a.b.c</WebIdentityToken><Expiration>${until}</Expiration></R>`,
    }));
    const at = { region, sts: server.url };
    const found = await awsIdentityToken('https://pass.example.com', at, depsOf(env), soon());
    expect(found).toEqual({ value: 'a.b.c', expiresAt: Date.parse(until) });
    const [call] = server.calls;
    expect(Object.fromEntries(new URLSearchParams(call?.body))).toEqual({
      Action: 'GetWebIdentityToken',
      Version: '2011-06-15',
      'Audience.member.1': 'https://pass.example.com',
      DurationSeconds: '300',
      SigningAlgorithm: 'ES384',
    });
    expect(call?.headers.authorization).toContain(`${region}/sts/aws4_request`);
    expect(call?.headers['x-amz-security-token']).toBe(platform.sessionToken);
    server.instead = () => ({
      status: 200,
      body: `<R><WebIdentityToken>a b</WebIdentityToken><Expiration>${until}</Expiration></R>`,
    });
    expect(await outcomeOf(awsIdentityToken('x', at, depsOf(env), soon()))).toBe('unreachable identity not_understood');
    const code = 'OutboundWebIdentityFederationDisabledException';
    server.instead = () => ({ status: 403, body: `<Error><Code>${code}</Code></Error>` });
    const error = await awsIdentityToken('x', at, depsOf(env), soon()).catch((thrown: UpstreamError) => thrown);
    expect((error as UpstreamError).facts).toMatchObject({ status: 403, code });
  });
});
