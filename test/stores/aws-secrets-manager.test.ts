import { afterAll, describe, expect, it, vi } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import * as s from '../../src/lib/schema/index.ts';
import { Secret } from '../../src/lib/secret.ts';
import { guide } from '../../src/stores/aws-secrets-manager/guide.ts';
import { awsSecretsManager as plugIn } from '../../src/stores/aws-secrets-manager.ts';
import { openStores, type StoreEntry, type StoresDeps } from '../../src/stores/open.ts';
import { StoreError } from '../../src/stores/store.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { type FakeAws, refuse, startAws } from '../fakes/aws.ts';
import { Refused } from '../fakes/aws-secrets.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import type { FakeAnswer, FakeFault } from '../fakes/server.ts';
import { storesDeps } from './deps.ts';

const role = 'arn:aws:iam::123456789012:role/hallpass';
const started: FakeAws[] = [];
afterAll(() => Promise.all(started.map((aws) => aws.close())));

interface Options {
  readonly entry?: Record<string, unknown>;
  readonly deps?: Partial<StoresDeps>;
  readonly us?: Asserter;
}

/** A fake AWS that trusts us, and a store that logs in there by assertion. */
async function rig({ entry = {}, deps = {}, us = makeAsserter() }: Options = {}) {
  const { issuer, subject, keys } = us;
  const aws = await startAws([{ role, issuer, subject, keys, audience: 'sts.amazonaws.com' }]);
  started.push(aws);
  const written = { kind: plugIn.name, region: 'eu-west-1', assume: role, endpoint: aws.url, sts: aws.url, ...entry };
  const config = s.parse(plugIn.schema, written) as StoreEntry;
  const lines: unknown[] = [];
  const own = {
    assertFor: (_: string, terms: Parameters<Asserter['assert']>[0]) => us.assert(terms),
    log: (...line: unknown[]) => void lines.push(line),
    ...deps,
  };
  const stores = openStores({ here: config }, storesDeps(own));
  return { aws, us, lines, read: stores.read, store: await stores.open('here') };
}

async function make() {
  const { aws, store } = await rig();
  const secretOf = (name: string) => aws.secrets.kept.get(name) as NonNullable<ReturnType<typeof aws.secrets.kept.get>>;
  const instead = (fault: FakeFault) => async () => {
    aws.server.instead = () => fault;
  };
  return {
    store,
    seed: async (name: string, value: string) => aws.secrets.create(name, value),
    provoke: {
      denied: async (name: string) => {
        secretOf(name).denied = true;
      },
      disabled: async (name: string) => {
        secretOf(name).keyDisabled = true;
      },
      unreachable: instead('reset'),
      slow: instead('hang'),
    },
  };
}

describeStore('aws-secrets-manager', { writable: true, hostile: ['a b', 'a:b', 'arn:aws:s3:::x'], never: {} }, make);

/** The error itself; anything but a StoreError fails the test. */
async function errorOf(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => new Error('it did not reject'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}

/** What a caller or the operator could come to see of an error; its cause stays inside. */
const shown = ({ fault, facts, message }: StoreError): string =>
  JSON.stringify([fault, message, { ...facts, cause: undefined }]);

describe('aws-secrets-manager', () => {
  it('proves itself by an assertion that names store and session, and CloudTrail the session record', async () => {
    const { aws, us, store } = await rig({ entry: { tags: { team: 'payments' }, sourceIdentity: 'hallpass' } });
    await store.list(soon());
    const [assumed] = aws.sts.assumed;
    const jti = us.made[0]?.jti as string;
    expect(assumed?.claims['https://aws.amazon.com/tags']).toEqual({
      principal_tags: { team: ['payments'], 'hallpass-store': ['here'], 'hallpass-session': [jti] },
      transitive_tag_keys: [],
    });
    expect(assumed?.claims['https://aws.amazon.com/source_identity']).toBe('hallpass');
    expect(assumed).toMatchObject({ role, seconds: 3600, name: `${jti}@pass.example.com` });
  });

  it('names a session in what AWS takes for a name, however the broker is called', async () => {
    const us = makeAsserter({ subject: `broker:[::1]:${'9'.repeat(4)}/${'x'.repeat(80)}` });
    const { aws, store } = await rig({ us });
    await store.list(soon());
    expect(aws.sts.assumed[0]?.name).toMatch(/^[\w+=,.@-]{64}$/);
  });

  it('asks for as long a session as the config says', async () => {
    const { aws, store } = await rig({ entry: { session: '15m' } });
    await store.list(soon());
    expect(aws.sts.assumed[0]?.seconds).toBe(900);
  });

  it.each([
    ['a wrong audience', { aud: 'sts.example.com' }, 'denied', 'AccessDenied', undefined],
    ['a subject that is not trusted', { sub: 'broker:evil.example' }, 'denied', 'AccessDenied', undefined],
    [
      'an assertion that is over when it comes',
      { iat: 1, nbf: 1, exp: 2 },
      'denied',
      'ExpiredTokenException',
      'clock_skew',
    ],
  ])('says at the exchange that AWS refused %s', async (_, changes, fault, code, reason) => {
    const us = makeAsserter();
    const assertFor: StoresDeps['assertFor'] = (_store, terms) => us.assert(terms, changes);
    const { store } = await rig({ us, deps: { assertFor } });
    const error = await errorOf(store.get('STRIPE', undefined, soon()));
    expect([error.fault, error.facts.step, error.facts.code, error.facts.reason]).toEqual([
      fault,
      'exchange',
      code,
      reason,
    ]);
    expect(shown(error)).not.toContain('canary');
  });

  it('says that nobody can sign where nobody can', async () => {
    const { store, aws } = await rig({ deps: { assertFor: undefined } });
    const { fault, facts } = await errorOf(store.list(soon()));
    expect([fault, facts.step, facts.reason]).toEqual(['denied', 'assertion', 'nobody_signs']);
    expect(aws.server.calls).toEqual([]);
  });

  it('makes one login and one read of a thousand that come at once', async () => {
    const { aws, read, store } = await rig();
    aws.secrets.create('STRIPE', 'not-a-key');
    const ref = { store: 'here', name: 'STRIPE' };
    const found = await Promise.all(Array.from({ length: 1_000 }, () => read(ref, soon())));
    expect(new Set(found.map(({ value }) => value.revealText()))).toEqual(new Set(['not-a-key']));
    await store.list(soon());
    expect([aws.calls('GetSecretValue'), aws.calls('AssumeRoleWithWebIdentity')]).toEqual([1, 1]);
  });

  it('logs in anew when two thirds of the session are over', async () => {
    const clock = { now: Date.now() };
    const us = makeAsserter({ now: () => clock.now });
    const { aws, store } = await rig({ us, deps: { now: () => clock.now } });
    aws.now = () => clock.now;
    const ask = () => store.list(deadlineIn(5_000, () => clock.now));
    await ask();
    clock.now += 39 * 60_000;
    await ask();
    expect(aws.sts.assumed.length).toBe(1);
    clock.now += 2 * 60_000;
    await ask();
    expect(aws.sts.assumed.length).toBe(2);
  });

  it('logs in once more, and no further, when AWS takes its session no longer', async () => {
    const { aws, store } = await rig();
    aws.secrets.create('STRIPE', 'not-a-key');
    await store.list(soon());
    for (const session of aws.sts.sessions.values()) Object.assign(session, { until: 0 });
    expect((await store.get('STRIPE', undefined, soon())).value.revealText()).toBe('not-a-key');
    expect(aws.sts.assumed.length).toBe(2);
    aws.server.instead = (call) =>
      call.headers['x-amz-target'] === undefined ? undefined : refuse(new Refused('ExpiredTokenException'));
    const error = await errorOf(store.get('STRIPE', undefined, soon()));
    expect([error.fault, error.facts.code]).toEqual(['denied', 'ExpiredTokenException']);
    expect(aws.sts.assumed.length).toBe(3);
  });

  it('signs by the clock it is given, and says so when AWS finds it wrong', async () => {
    const { aws, store } = await rig({ deps: { now: () => Date.now() - 7 * 60_000 } });
    const late = deadlineIn(5_000, () => Date.now() - 7 * 60_000);
    aws.secrets.create('STRIPE', 'not-a-key');
    for (const _ of [1, 2]) {
      const { fault, facts } = await errorOf(store.get('STRIPE', undefined, late));
      expect([fault, facts.step, facts.reason]).toEqual(['denied', 'read', 'clock_skew']);
    }
    aws.now = () => Date.now() - 7 * 60_000;
    expect((await store.get('STRIPE', undefined, late)).value.revealText()).toBe('not-a-key');
  });

  const big = JSON.stringify({ SecretString: 'canary'.repeat(200_000), VersionId: 'x'.repeat(36) });
  it.each<[string, FakeAnswer | FakeFault, string, string, object]>([
    ['throttles', refuse(new Refused('ThrottlingException')), 'throttled', 'throttled', { status: 400 }],
    [
      'answers 429',
      { status: 429, headers: { 'retry-after': '7' }, body: '{}' },
      'throttled',
      'throttled',
      { retryAfter: 7 },
    ],
    [
      'fails inside',
      refuse(new Refused('InternalServiceError', 'canary', 500)),
      'unreachable',
      'server_error',
      { status: 500 },
    ],
    [
      'answers 503 with a page',
      { status: 503, body: '<html>canary</html>' },
      'unreachable',
      'server_error',
      { status: 503 },
    ],
    [
      'answers 403 in XML',
      { status: 403, body: '<Error><Code>canary</Code></Error>' },
      'denied',
      'denied',
      { status: 403 },
    ],
    ['answers no JSON', { status: 200, body: '<html>canary</html>' }, 'unreachable', 'not_json', { status: 200 }],
    ['answers with nothing in it', { status: 200, body: '{}' }, 'unreachable', 'not_understood', {}],
    ['redirects', { status: 307, headers: { location: 'http://127.0.0.1:9/canary' } }, 'unreachable', 'redirect', {}],
    ['breaks off', 'cut', 'unreachable', 'truncated', {}],
    ['never ends', { status: 200, body: big }, 'unreachable', 'too_large', {}],
    ['resets', 'reset', 'unreachable', 'connection_reset', {}],
    [
      'wants another right',
      refuse(new Refused('AccessDeniedException')),
      'denied',
      'denied',
      { code: 'AccessDeniedException' },
    ],
    ['cannot decrypt', refuse(new Refused('DecryptionFailure')), 'disabled', 'disabled', { code: 'DecryptionFailure' }],
    ['finds the signature wrong', refuse(new Refused('InvalidSignatureException')), 'denied', 'denied', {}],
    ['names a skew', refuse(new Refused('RequestTimeTooSkewed', 'canary', 403)), 'denied', 'clock_skew', {}],
    ['has an odd code', refuse(new Refused('canary said <b>')), 'invalid', 'invalid', { code: undefined }],
  ])('tells the operator exactly, and nobody a word, when AWS %s', async (_, answer, fault, reason, more) => {
    const { aws, store, lines, read } = await rig();
    await store.list(soon());
    const calls = aws.server.calls.length;
    aws.server.instead = () => answer;
    const error = await errorOf(store.get('STRIPE', undefined, soon()));
    expect(error.fault).toBe(fault);
    expect(error.facts).toMatchObject({ step: 'read', ...more });
    expect(error.facts.reason ?? error.fault).toBe(reason);
    expect(shown(error)).not.toContain('canary');
    expect(aws.server.calls.length).toBe(calls + 1);
    const refusal = await read({ store: 'here', name: 'STRIPE' }, soon()).catch((thrown: unknown) => thrown);
    expect(`${refusal}`).toMatch(/^Refusal: store_failed/);
    expect(lines).toContainEqual([
      'warn',
      'store_failed',
      expect.objectContaining({ store: 'here', step: 'read', reason }),
    ]);
    expect(JSON.stringify(lines)).not.toContain('canary');
  });

  it('reads a version by its id or its label, by name or ARN, text or bytes', async () => {
    const { aws, store } = await rig();
    const first = await store.put('prod/stripe', new Secret('first'), soon());
    await store.put('prod/stripe', new Secret(Uint8Array.of(0xff, 0)), soon());
    const arn = aws.secrets.kept.get('prod/stripe')?.arn as string;
    const get = async (name: string, version?: string) => [...(await store.get(name, version, soon())).value.reveal()];
    expect(await get(arn)).toEqual([0xff, 0]);
    expect(await get('prod/stripe', 'AWSCURRENT')).toEqual([0xff, 0]);
    for (const version of [first.version, 'AWSPREVIOUS'])
      expect(await get(arn, version)).toEqual([...Buffer.from('first')]);
    expect(await faultOf(store.get(arn, 'AWSPENDING', soon()))).toBe('absent');
  });

  it('reads what a service of AWS itself keeps there', async () => {
    const { aws, store } = await rig();
    const name = 'rds!cluster-0a1b2c3d';
    aws.secrets.create(name, 'of the database');
    expect((await store.get(name, undefined, soon())).value.revealText()).toBe('of the database');
    const arn = aws.secrets.kept.get(name)?.arn as string;
    expect((await store.get(arn, undefined, soon())).value.revealText()).toBe('of the database');
  });

  it('describes when it was made and how it rotates', async () => {
    const { aws, store } = await rig();
    aws.now = () => 1_795_348_800_000;
    aws.secrets.create('STRIPE', 'not-a-key');
    aws.now = Date.now;
    const kept = aws.secrets.kept.get('STRIPE');
    expect(await store.describe('STRIPE', soon())).toEqual({
      name: 'STRIPE',
      version: kept?.versions[0]?.id,
      versions: 1,
      createdAt: '2026-11-22T12:00:00Z',
    });
    if (kept) kept.rotation = { enabled: true, next: 1_795_435_200.5, last: 1_795_348_800 };
    expect((await store.describe('STRIPE', soon())).rotation).toEqual({
      enabled: true,
      next: '2026-11-23T12:00:00Z',
      last: '2026-11-22T12:00:00Z',
    });
  });

  it('lists page after page, and no more than it can bear', async () => {
    const { aws, store } = await rig();
    for (let at = 0; at < 250; at++) aws.secrets.create(`S${at}`, 'x');
    expect((await store.list(soon())).length).toBe(250);
    expect(aws.calls('ListSecrets')).toBe(3);
    aws.server.instead = () => ({ status: 200, body: JSON.stringify({ SecretList: [], NextToken: 'more' }) });
    const { facts } = await errorOf(store.list(soon()));
    expect([facts.reason, aws.calls('ListSecrets')]).toEqual(['too_many', 103]);
  });

  it('writes no second version when the session ends in the middle of a write', async () => {
    const { aws, store } = await rig();
    await store.put('STRIPE', new Secret('first'), soon());
    let written = 0;
    aws.server.instead = (call) => {
      if (!String(call.headers['x-amz-target']).endsWith('PutSecretValue') || written++ > 0) return undefined;
      // It did arrive; only its answer says otherwise.
      aws.secrets.actions.PutSecretValue?.(JSON.parse(call.body));
      return refuse(new Refused('ExpiredTokenException'));
    };
    const { version } = await store.put('STRIPE', new Secret('second'), soon());
    expect(
      aws.secrets.kept
        .get('STRIPE')
        ?.versions.map(({ id }) => id)
        .slice(1),
    ).toEqual([version]);
  });

  it('takes a secret that waits for its deletion for absent, and brings none back', async () => {
    const { store } = await rig();
    await store.put('STRIPE', new Secret('first'), soon());
    await store.remove('STRIPE', soon());
    for (const work of [store.get('STRIPE', undefined, soon()), store.describe('STRIPE', soon())]) {
      const { fault, facts } = await errorOf(work);
      expect([fault, facts.reason]).toEqual(['absent', 'scheduled_for_deletion']);
    }
    const { fault, facts } = await errorOf(store.put('STRIPE', new Secret('second'), soon()));
    expect([fault, facts.reason]).toEqual(['disabled', 'scheduled_for_deletion']);
  });

  it('says invalid to an empty value, to one above 64 KiB, and to an ARN that is not there', async () => {
    const { store } = await rig();
    expect(await faultOf(store.put('A', new Secret(''), soon()))).toBe('invalid');
    expect(await faultOf(store.put('A', new Secret(new Uint8Array(65_537)), soon()))).toBe('invalid');
    await store.put('A', new Secret('x'.repeat(65_536)), soon());
    const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:nothing-AbCdEf';
    expect(await faultOf(store.put(arn, new Secret('x'), soon()))).toBe('absent');
  });

  it('looks for nothing in the environment of the process that the SDK would look for', async () => {
    const tempting = {
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: 'http://127.0.0.1:9',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'ASIAOFSOMEBODYELSE',
      AWS_SECRET_ACCESS_KEY: 'not-a-secret',
      AWS_RETRY_MODE: 'adaptive',
      AWS_MAX_ATTEMPTS: '5',
      AWS_DEFAULTS_MODE: 'auto',
      AWS_PROFILE: 'nobody',
    };
    for (const [name, value] of Object.entries(tempting)) vi.stubEnv(name, value);
    try {
      const { aws, store } = await rig();
      await store.list(soon());
      aws.server.instead = () => refuse(new Refused('InternalServiceError', 'canary', 500));
      await errorOf(store.list(soon()));
      expect(aws.calls('ListSecrets')).toBe(2);
      expect(aws.server.calls.at(-1)?.headers.authorization).toContain('/eu-west-1/secretsmanager/aws4_request');
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('sends what it signs and neither credentials nor assertions anywhere else', async () => {
    const { aws, us, store } = await rig();
    await store.list(soon());
    const [exchange, list] = aws.server.calls;
    expect(exchange?.headers.authorization).toBeUndefined();
    expect(exchange?.url.search).toBe('');
    expect(list?.body).not.toContain('eyJ');
    expect(Object.values(list?.headers ?? {}).join()).not.toContain('eyJ');
    expect(us.made.length).toBe(1);
  });
});

describe('a config entry of aws-secrets-manager', () => {
  const good = { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: role };
  const fine = (changes: object) => s.safeParse(plugIn.schema, { ...good, ...changes }).success;

  it.each([
    { region: 'EU-WEST-1' },
    { region: 'eu-west-1.evil.example/' },
    { assume: 'hallpass' },
    { assume: 'arn:aws:iam::123456789012:user/hallpass' },
    { endpoint: 'http://secrets.example.com' },
    { endpoint: 'https://vpce.example.com/path' },
    { audience: 'a b' },
    { tags: { 'a<b': 'c' } },
    { sourceIdentity: 'a b' },
    { session: '10m' },
    { session: '2h' },
    { accessKeyId: 'ASIANOTAKEY' },
  ])('refuses %j', (changes) => expect(fine(changes)).toBe(false));

  it.each([{ region: 'us-gov-east-1' }, { region: 'cn-north-1' }, { region: 'eusc-de-east-1' }, { session: '15m' }])(
    'takes %j',
    (changes) => expect(fine(changes)).toBe(true),
  );

  it('takes what belongs to a role with a role only, and leaves AWS and us our own tags', () => {
    const { assume: _, ...ambient } = good;
    expect(plugIn.check?.({ ...ambient, audience: 'x', session: '15m' }).map(({ path }) => path)).toEqual([
      ['audience'],
      ['session'],
    ]);
    expect(plugIn.check?.({ ...good, tags: { 'aws:x': '', 'hallpass-store': '', team: '' } })).toHaveLength(2);
    expect(plugIn.assertion?.(ambient)).toBeUndefined();
    expect(plugIn.assertion?.(good)).toMatchObject({ audience: 'sts.amazonaws.com', ttl: 300 });
  });
});

describe('the guide to aws-secrets-manager', () => {
  const facts = {
    store: 'here',
    issuer: 'https://pass.example.com/eu',
    jwksUri: 'https://pass.example.com/eu/.well-known/jwks.json',
    audience: 'sts.amazonaws.com',
    subject: 'broker:pass.example.com',
    algorithm: 'ES256',
    names: [],
  } as const;
  const show = (changes: object) =>
    guide({ kind: plugIn.name, region: 'cn-north-1', assume: role.replace('aws', 'aws-cn'), ...changes }, facts);

  it('makes the issuer known, then a role that trusts us alone, then lets it read', () => {
    const [issuer, trust, rights, ...more] = show({});
    expect(more).toEqual([]);
    expect(issuer?.shell).toBe(
      "aws iam create-open-id-connect-provider --url 'https://pass.example.com/eu' --client-id-list 'sts.amazonaws.com'",
    );
    expect(trust?.file?.json).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Federated: 'arn:aws-cn:iam::123456789012:oidc-provider/pass.example.com/eu' },
          Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession'],
          Condition: {
            StringEquals: {
              'pass.example.com/eu:aud': 'sts.amazonaws.com',
              'pass.example.com/eu:sub': 'broker:pass.example.com',
            },
          },
        },
      ],
    });
    expect(rights?.file?.json.Statement).toEqual([
      {
        Effect: 'Allow',
        Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
        Resource: 'arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:*',
      },
    ]);
    for (const step of [trust, rights]) expect(step?.shell).toContain(`file://${step?.file?.name}`);
  });

  it('leaves a role what it may read in another region', () => {
    const [here, there] = ['eu-west-1', 'eu-central-1'].map((region) => show({ region }).at(-1)?.shell);
    expect(here).toContain('--policy-name hallpass-read-eu-west-1');
    expect(there).toContain('--policy-name hallpass-read-eu-central-1');
  });

  it('asks for the right to set a source identity where one is set, and keeps the path of a role', () => {
    const [, trust] = show({ assume: 'arn:aws:iam::123456789012:role/apps/eu/hallpass', sourceIdentity: 'hallpass' });
    expect(JSON.stringify(trust?.file?.json)).toContain('"sts:SetSourceIdentity"');
    expect(trust?.shell).toContain("--role-name 'hallpass' \\\n  --path '/apps/eu/'");
  });

  it('has nothing to show where the platform itself is who we are', () => {
    expect(show({ assume: undefined })).toEqual([]);
  });
});
