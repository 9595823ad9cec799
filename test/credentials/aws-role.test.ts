import { afterAll, describe, expect, it } from 'vitest';
import { awsRole } from '../../src/credentials/aws-role.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { describeKind, faultsOf, hostileSubjects, identity, refusalOf, requestFor } from '../contracts/kind.ts';
import { type FakeAws, startAws } from '../fakes/aws.ts';
import { type Role, refusal } from '../fakes/aws-sts.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { openCloud, type World } from './clouds.ts';

const role = 'arn:aws:iam::123456789012:role/teams/shop/orders';
const started: FakeAws[] = [];
afterAll(() => Promise.all(started.map((aws) => aws.close())));

const policy = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::orders/*' }],
};

/** A fake AWS with one role that trusts us, and a credential of that role. */
async function rig(more: Record<string, unknown> = {}, trust: Partial<Role> = {}, world: Partial<World> = {}) {
  const us = makeAsserter({ store: 'it' });
  const { issuer, subject, keys } = us;
  const aws = await startAws([{ role, issuer, subject, keys, audience: 'sts.amazonaws.com', ...trust }]);
  started.push(aws);
  const entry = { kind: 'aws-role', role, region: 'eu-west-1', sts: aws.url, ...more };
  return { aws, us, entry, ...(await openCloud(entry, { us, ...world })) };
}

const ambient = { login: 'ambient' };
const principals = ['ASIAOFTHEPLATFORM00'];

/** What AWS answers for an issuance, changed. */
function answer(id: string, changes: Record<string, string | undefined> = {}) {
  const good = {
    Arn: 'arn:aws:sts::123456789012:assumed-role/orders/NAME',
    AccessKeyId: 'ASIAOFNOBODY0000',
    SecretAccessKey: 'not-a-secret',
    SessionToken: 'not-a-token',
    Expiration: new Date(Date.now() + 900_000).toISOString(),
  };
  const all = Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined);
  const body = all.map(([name, value]) => `<${name}>${value?.replace('NAME', `hp_${id}`)}</${name}>`).join('');
  return { status: 200, body: `<R>${body}</R>` };
}

/** The same, by what the platform runs us as. */
async function rigOnPlatform(more: Record<string, unknown> = {}, trust: Partial<Role> = {}) {
  const env: Record<string, string> = {};
  const made = await rig({ ...ambient, ...more }, { principals, ...trust }, { env });
  Object.assign(env, made.aws.platform());
  return { ...made, env };
}

const members = ['accessKeyId', 'secretAccessKey', 'sessionToken', 'expiration', 'roleArn'];

describeKind('aws-role', { members, fingerprinted: 'secretAccessKey' }, async () => {
  const { entry, deps } = await rig();
  return { entry, deps };
});

describeKind('aws-role on a platform', { members, fingerprinted: 'secretAccessKey' }, async () => {
  const { entry, deps } = await rigOnPlatform();
  return { entry, deps };
});

describe('a session of a role', () => {
  it('is named, tagged and marked after its issuance, by one assertion that says so', async () => {
    const { aws, us, read, credential } = await rig({ policy, policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'] });
    const request = requestFor({ ttl: 1800 });
    const { data, fingerprinted } = await read(request);
    const [assumed] = aws.sts.assumed;
    expect(assumed).toMatchObject({
      role,
      name: `hp_${request.id}`,
      seconds: 1800,
      source: `hp_${request.id}`,
      tags: { hallpass: request.id, 'hallpass-credential': 'it' },
      policy: JSON.stringify(policy),
      policyArns: ['arn:aws:iam::aws:policy/ReadOnlyAccess'],
    });
    expect(credential.account?.(request.id)).toBe(`hp_${request.id}`);
    expect(data).toMatchObject({ accessKeyId: assumed?.accessKeyId, roleArn: role });
    expect(fingerprinted?.revealText()).toBe(aws.sts.sessions.get(String(data.accessKeyId))?.secretAccessKey);
    await read();
    // One for each issuance: none says two.
    expect(us.made.length).toBe(2);
    expect(new Set(us.made.map(({ jti }) => jti)).size).toBe(2);
  });

  it('is asked for without a signature, at one address, with nothing of the identity in it', async () => {
    const { aws, read } = await rig();
    const claims = { ...identity.claims, sub: 'who-asked', repository: 'what-asked' };
    await read({ identity: { ...identity, subject: 'who-asked', name: 'who-asked', claims } });
    const [call] = aws.server.calls;
    expect(aws.server.calls.length).toBe(1);
    expect(call?.url.href).toBe('http://fake/');
    expect(call?.headers.authorization).toBeUndefined();
    const token = new URLSearchParams(call?.body).get('WebIdentityToken') as string;
    const said = `${call?.body} ${Buffer.from(token.split('.')[1] as string, 'base64url')}`;
    expect(said).not.toMatch(/who-asked|what-asked|acme/);
  });

  it.each([
    [30, 900],
    [899, 900],
    [900, 900],
    [3600, 3600],
  ])('of %i s is asked of AWS for %i s, the shortest it makes', async (ttl, seconds) => {
    const { aws, read } = await rig();
    const { data, expiresAt } = await read({ ttl });
    expect(aws.sts.assumed.map((one) => one.seconds)).toEqual([seconds]);
    const left = Date.parse(String(data.expiration)) - Date.now();
    expect(Math.abs(left - seconds * 1000)).toBeLessThan(5_000);
    // AWS writes whole seconds, as the lease does: where the two meet it may be the sooner.
    expect(expiresAt ?? Number.POSITIVE_INFINITY).toBeGreaterThan(Date.now() + ttl * 1000 - 2_000);
  });

  it('that AWS ends sooner than asked ends the lease with it', async () => {
    const { aws, read } = await rig();
    const request = requestFor({ ttl: 3600 });
    const until = new Date(Math.floor(Date.now() / 1000) * 1000 + 1_000_000);
    aws.server.instead = () => answer(request.id, { Expiration: until.toISOString().replace('.000', '') });
    const { data, expiresAt } = await read(request);
    expect(data.expiration).toBe(until.toISOString().replace('.000', ''));
    expect(expiresAt).toBe(until.getTime());
  });

  it('is believed to last no longer than was asked for', async () => {
    const { aws, read } = await rig();
    const request = requestFor({ ttl: 1800 });
    aws.server.instead = () => answer(request.id, { Expiration: '2099-01-01T00:00:00Z' });
    const { data } = await read(request);
    expect(Date.parse(String(data.expiration))).toBeLessThan(Date.now() + 1_800_001);
  });

  it('is never that of two issuances at once', async () => {
    const { aws, read } = await rig();
    const issued = await Promise.all(Array.from({ length: 20 }, () => read()));
    expect(new Set(issued.map(({ data }) => data.accessKeyId)).size).toBe(20);
    expect(new Set(aws.sts.assumed.map(({ name }) => name)).size).toBe(20);
    expect(aws.sts.assumed.every(({ name, claims, source }) => source === name && claims.sub !== undefined)).toBe(true);
  });

  it.each([
    ['has no end that is to come', { Expiration: '2020-01-01T00:00:00Z' }, 'session_over'],
    ['is of another account', { Arn: 'arn:aws:sts::999999999999:assumed-role/orders/NAME' }, 'foreign_session'],
    ['is of another role', { Arn: 'arn:aws:sts::123456789012:assumed-role/admin/NAME' }, 'foreign_session'],
    ['is of another issuance', { Arn: 'arn:aws:sts::123456789012:assumed-role/orders/hp_other' }, 'foreign_session'],
    ['does not say whose it is', { Arn: undefined }, 'foreign_session'],
    ['has no session token', { SessionToken: undefined }, 'not_understood'],
    ['has a line break in its key', { SecretAccessKey: 'canary\ncanary' }, 'not_understood'],
  ])('that %s is not handed over', async (_, changes: Record<string, string | undefined>, reason) => {
    const { aws, refused } = await rig();
    const request = requestFor();
    aws.server.instead = () => answer(request.id, changes);
    expect(await refused(request)).toBe(`store_failed ${reason}`);
  });

  it.each([
    ['sends what is no XML', { status: 200, body: '{"canary":1}' }, 'store_failed not_understood'],
    ['sends nothing', { status: 200, body: '' }, 'store_failed not_understood'],
    ['sends half of it', 'cut' as const, 'store_failed truncated'],
    ['hangs up', 'reset' as const, 'store_failed connection_reset'],
    ['sends us elsewhere', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }, 'store_failed redirect'],
    ['is broken', { status: 500, body: 'canary' }, 'store_failed server_error'],
    ['has no policy it can pack', refusal(400, 'PackedPolicyTooLarge'), 'store_failed policy_too_large'],
    ['does not know our keys yet', refusal(400, 'InvalidIdentityToken'), 'store_failed denied'],
    ['cannot reach our keys', refusal(400, 'IDPCommunicationError'), 'store_failed unreachable'],
    ['has another clock', refusal(400, 'ExpiredTokenException'), 'store_failed clock_skew'],
    ['is switched off in the region', refusal(403, 'RegionDisabledException'), 'store_failed denied'],
  ])('is refused for its own reason when AWS %s', async (_, said, outcome) => {
    const { aws, lines, refused } = await rig();
    aws.server.instead = () => said;
    expect(await refused()).toBe(outcome);
    expect(lines).toMatchObject([
      { credential: 'it', kind: 'aws-role', step: 'exchange', reason: outcome.split(' ')[1] },
    ]);
  });

  it('is refused by the deadline when AWS says nothing', async () => {
    const { aws, refused } = await rig();
    aws.server.instead = () => 'hang';
    const started = Date.now();
    expect(await refused({ deadline: deadlineIn(200, Date.now) })).toBe('store_timeout slow');
    expect(Date.now() - started).toBeLessThan(2_000);
  });

  it('is refused for as long as AWS asks us to wait', async () => {
    const { aws, read } = await rig();
    aws.server.instead = () => ({ ...refusal(400, 'Throttling'), headers: { 'retry-after': '7' } });
    const refused = await refusalOf(read());
    expect([refused.code, refused.reason, refused.options.retryAfter]).toEqual(['store_failed', 'throttled', 7]);
  });

  it.each([
    ['longer than the role allows', { ttl: 7200 }, {}, 'session_too_long'],
    ['with tags that the role does not take', {}, { untagged: true }, 'no_tag_session'],
    ['of a role that does not trust us', {}, { subject: 'broker:other.example' }, 'denied'],
    ['of a role for another audience', {}, { audience: 'https://other.example' }, 'denied'],
    ['by a key it does not know', {}, { keys: [] }, 'denied'],
  ])('%s is refused, and the operator told why', async (_, more, trust, reason) => {
    const { refused, lines, aws } = await rig({ ttl: '12h' }, trust);
    expect(await refused(more)).toBe(`store_failed ${reason}`);
    expect(lines.map((line) => line.reason)).toEqual([reason]);
    expect(aws.sts.assumed).toEqual([]);
  });

  it('of a role that allows it lasts twelve hours', async () => {
    const { aws, read, credential } = await rig({ ttl: '12h' }, { maxSeconds: 43_200, needsSource: true });
    await read({ ttl: 43_200 });
    expect([aws.sts.assumed[0]?.seconds, credential.maxTtl]).toEqual([43_200, 43_200]);
  });

  it('is not asked for where nobody signs for us, or the ledger will not', async () => {
    const nobody = await rig({}, {}, { assert: undefined as never });
    expect(await nobody.refused()).toBe('store_failed nobody_signs');
    const denies = async () => Promise.reject(new Refusal('denied', 'mint'));
    const denied = await rig({}, {}, { assert: denies });
    expect(await denied.refused()).toBe('store_failed mint');
    const fails = async () => Promise.reject(new Refusal('ledger_unavailable', 'down', { retryAfter: 1 }));
    const unrecorded = await rig({}, {}, { assert: fails });
    expect(await unrecorded.refused()).toBe('ledger_unavailable down');
    for (const { aws } of [nobody, denied, unrecorded]) expect(aws.server.calls).toEqual([]);
  });

  it.each(['x', '../../x', `hp_${requestFor().id}`, '01JD9M00000000000000000000', ''])(
    'is named after no issuance id like %j',
    async (id) => {
      const { aws, refused } = await rig();
      expect(await refused({ id })).toBe('store_failed bad_account');
      expect(aws.server.calls).toEqual([]);
    },
  );

  it('is the same assertion on the ledger’s side, and none that speaks of no issuance', () => {
    const terms = awsRole.assertion?.({ kind: 'aws-role', role });
    const about = { store: 'orders', session: 's', subject: 'broker:x', issuance: requestFor().id };
    expect(terms?.claims?.(about)).toEqual(terms?.claims?.({ ...about }));
    expect(() => terms?.claims?.({ store: 'orders', session: 's', subject: 'broker:x' })).toThrow(Refusal);
    expect(() => terms?.claims?.({ ...about, issuance: hostileSubjects[0] as string })).toThrow(Refusal);
  });
});

describe('a session of a role, by what the platform runs us as', () => {
  it('is asked for with a signature, and marked after its issuance', async () => {
    const { aws, us, read } = await rigOnPlatform({ policy });
    const request = requestFor();
    const { data } = await read(request);
    expect(aws.sts.assumed).toMatchObject([
      {
        name: `hp_${request.id}`,
        source: `hp_${request.id}`,
        tags: { hallpass: request.id, 'hallpass-credential': 'it' },
        policy: JSON.stringify(policy),
        accessKeyId: data.accessKeyId,
      },
    ]);
    expect(us.made).toEqual([]);
    expect(aws.server.calls.map(({ headers }) => headers['x-amz-security-token'])).toEqual(['not-a-token']);
  });

  it('is asked for once more with a new session of the platform, where the old one is over', async () => {
    const { aws, env, read, refused } = await rigOnPlatform();
    await read();
    const old = aws.sts.sessions.get('ASIAOFTHEPLATFORM00') as NonNullable<ReturnType<typeof aws.sts.sessions.get>>;
    aws.sts.sessions.set('ASIAOFTHEPLATFORM00', { ...old, sessionToken: 'not-a-newer-token' });
    env.AWS_SESSION_TOKEN = 'not-a-newer-token';
    await read();
    expect(aws.server.calls.length).toBe(3);
    env.AWS_SESSION_TOKEN = 'not-a-known-token';
    aws.sts.sessions.delete('ASIAOFTHEPLATFORM00');
    expect(await refused()).toBe('store_failed denied');
    expect(aws.server.calls.length).toBe(5);
  });

  it('is refused where a key lives long, where there is none, and where the role trusts another', async () => {
    const { env, refused, aws } = await rigOnPlatform();
    env.AWS_SESSION_TOKEN = '';
    expect(await refused()).toBe('store_failed long_lived_key');
    delete env.AWS_ACCESS_KEY_ID;
    expect(await refused()).toBe('store_failed no_ambient_identity');
    expect(aws.server.calls).toEqual([]);
    expect(await (await rigOnPlatform({}, { principals: [] })).refused()).toBe('store_failed denied');
  });

  it('lasts an hour at most, as AWS has it', async () => {
    const { refused, credential, aws, read } = await rigOnPlatform({}, { maxSeconds: 43_200 });
    expect(credential.maxTtl).toBe(3600);
    await read({ ttl: 3600 });
    expect(await refused({ ttl: 3601 })).toBe('store_failed session_too_long');
    expect(aws.sts.assumed.length).toBe(1);
  });
});

describe('the config of an aws-role', () => {
  const entry = { kind: 'aws-role', role };
  const filled = (length: number) => ({
    ...policy,
    Id: 'x'.repeat(length - JSON.stringify({ ...policy, Id: '' }).length),
  });

  it.each([
    {},
    { region: 'eu-west-1', ttl: '12h', audience: 'https://pass.example.com' },
    { policy },
    { policy: filled(2048) },
    { policyArns: ['arn:aws:iam::123456789012:policy/a/b', 'arn:aws:iam::aws:policy/ReadOnlyAccess'] },
    { login: 'ambient', ttl: '1h' },
    { role: 'arn:aws-cn:iam::123456789012:role/x', region: 'cn-north-1' },
  ])('takes %j', (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]));

  it.each([
    { role: 'orders' },
    { role: 'arn:aws:iam::123456789012:user/orders' },
    { role: 'arn:aws-cn:iam::123456789012:role/x' },
    { region: 'here' },
    { sts: 'http://sts.example.com' },
    { sts: 'https://sts.example.com/path' },
    { policy: {} },
    { policy: '{}' },
    { policy: { ...policy, Id: '€' } },
    { policy: filled(2049) },
    { policyArns: [] },
    { policyArns: ['ReadOnlyAccess'] },
    { policyArns: Array(11).fill('arn:aws:iam::aws:policy/ReadOnlyAccess') },
    { login: 'ambient', audience: 'x' },
    { login: 'ambient', ttl: '61m' },
    { login: 'key' },
    { accessKeyId: 'x' },
    { ttl: '13h' },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));
});
