import { createHash, createHmac } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { awsRdsIam } from '../../src/credentials/aws-rds-iam.ts';
import { describeKind, faultsOf, requestFor } from '../contracts/kind.ts';
import { type FakeAws, startAws } from '../fakes/aws.ts';
import type { Role } from '../fakes/aws-sts.ts';
import { makeAsserter } from '../fakes/federation.ts';
import { openCloud, type World } from './clouds.ts';

const role = 'arn:aws:iam::123456789012:role/db-login';
const started: FakeAws[] = [];
afterAll(() => Promise.all(started.map((aws) => aws.close())));

const at = { region: 'eu-west-1', host: 'orders.rds.example', database: 'orders' };

/** A fake AWS whose role trusts us, and a credential that logs in to a database by it. */
async function rig(more: Record<string, unknown> = {}, trust: Partial<Role> = {}, world: Partial<World> = {}) {
  const us = makeAsserter({ store: 'it', ...(world.now && { now: world.now }) });
  const { issuer, subject, keys } = us;
  const aws = await startAws([{ role, issuer, subject, keys, audience: 'sts.amazonaws.com', ...trust }]);
  if (world.now !== undefined) aws.now = world.now;
  started.push(aws);
  const entry = { kind: 'aws-rds-iam', engine: 'postgres', ...at, username: 'app', role, sts: aws.url, ...more };
  return { aws, us, entry, ...(await openCloud(entry, { us, ...world })) };
}

async function rigOnPlatform(world: Partial<World> = {}) {
  const env: Record<string, string> = {};
  const made = await rig({ role: undefined }, {}, { env, ...world });
  Object.assign(env, made.aws.platform());
  return { ...made, env };
}

/** What a database of Amazon's checks of a token (rds-db:connect): whose session signed it, for whom, until when. */
function login(aws: FakeAws, password: unknown, host: string, user: string, now: number): string | undefined {
  const url = new URL(`https://${password}`);
  const get = (name: string) => url.searchParams.get(name) ?? '';
  const [id = '', day = '', region = '', service = '', end] = get('X-Amz-Credential').split('/');
  const by = aws.sts.sessions.get(id);
  if (by === undefined || get('X-Amz-Security-Token') !== by.sessionToken || by.until <= now) return 'unknown session';
  if (url.host !== host || get('DBUser') !== user || get('Action') !== 'connect') return 'another login';
  if (service !== 'rds-db' || end !== 'aws4_request' || get('X-Amz-SignedHeaders') !== 'host') return 'another scope';
  const signedAt = Date.parse(get('X-Amz-Date').replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'));
  const seconds = Number(get('X-Amz-Expires'));
  if (!(seconds >= 1 && seconds <= 900) || now < signedAt || now >= signedAt + seconds * 1000) return 'expired';
  const query = url.search
    .slice(1)
    .split('&')
    .filter((pair) => !pair.startsWith('X-Amz-Signature='))
    .sort()
    .join('&');
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const canonical = `GET\n/\n${query}\nhost:${host}\n\nhost\n${hash('')}`;
  const scope = [day, region, service, end].join('/');
  const text = ['AWS4-HMAC-SHA256', get('X-Amz-Date'), scope, hash(canonical)].join('\n');
  const hmac = (key: string | Buffer, part: string) => createHmac('sha256', key).update(part).digest();
  const key = [day, region, service, end].reduce<string | Buffer>(hmac, `AWS4${by.secretAccessKey}`);
  return hmac(key, text).toString('hex') === get('X-Amz-Signature') ? undefined : 'signature';
}

const members = ['host', 'port', 'database', 'username', 'password', 'url'];

describeKind('aws-rds-iam', { members, fingerprinted: 'password', alike: true }, async () => {
  const { entry, deps } = await rig();
  return { entry, deps };
});

describe('a login token', () => {
  it('logs one user in at one database, until the lease is over and no longer', async () => {
    const clock = { now: Date.now() };
    const { aws, read } = await rig({}, {}, { now: () => clock.now });
    const expiresAt = clock.now + 300_000;
    const { data, expiresAt: sooner } = await read({ ttl: 300, expiresAt });
    const host = 'orders.rds.example:5432';
    expect(sooner).toBeUndefined();
    const seconds = Math.floor(clock.now / 1000) * 1000;
    expect(login(aws, data.password, host, 'app', seconds + 299_000)).toBeUndefined();
    expect(login(aws, data.password, host, 'app', seconds + 300_000)).toBe('expired');
    expect(login(aws, data.password, host, 'admin', seconds)).toBe('another login');
    expect(login(aws, data.password, 'other.rds.example:5432', 'app', seconds)).toBe('another login');
    expect(data).toMatchObject({ host: 'orders.rds.example', port: 5432, database: 'orders', username: 'app' });
  });

  it('ends with the lease, however long it took to get a session to sign it', async () => {
    const clock = { now: Math.floor(Date.now() / 1000) * 1000 };
    const { aws, read } = await rig({}, {}, { now: () => clock.now });
    const expiresAt = clock.now + 300_000;
    aws.server.instead = () => {
      clock.now += 7_000;
      aws.server.instead = undefined;
      return undefined;
    };
    const { data, expiresAt: sooner } = await read({ ttl: 300, expiresAt });
    expect(sooner).toBeUndefined();
    expect(login(aws, data.password, 'orders.rds.example:5432', 'app', expiresAt - 1_000)).toBeUndefined();
    expect(login(aws, data.password, 'orders.rds.example:5432', 'app', expiresAt)).toBe('expired');
  });

  it.each([
    ['postgres', {}, 5432, 'postgres://app:PASSWORD@orders.rds.example:5432/orders'],
    ['mysql', {}, 3306, 'mysql://app:PASSWORD@orders.rds.example:3306/orders'],
    ['mysql', { port: 3307, database: undefined }, 3307, 'mysql://app:PASSWORD@orders.rds.example:3307/'],
    ['postgres', { username: "o'neil ü" }, 5432, "postgres://o'neil%20%C3%BC:PASSWORD@orders.rds.example:5432/orders"],
    ['postgres', { host: '::1' }, 5432, 'postgres://app:PASSWORD@[::1]:5432/orders'],
  ])('of %s with %j comes with a URL', async (engine, more: Record<string, unknown>, port, url) => {
    const { read } = await rig({ engine, ...more });
    const { data } = await read();
    expect(data.port).toBe(port);
    expect(data.url).toBe(url.replace('PASSWORD', encodeURIComponent(String(data.password))));
    const parsed = new URL(String(data.url));
    expect(decodeURIComponent(parsed.password)).toBe(data.password);
    expect(decodeURIComponent(parsed.username)).toBe(data.username);
  });

  it('is signed by a session that is kept, whoever asks', async () => {
    const clock = { now: Date.now() };
    const { aws, us, read } = await rig({}, {}, { now: () => clock.now });
    const issued = await Promise.all(Array.from({ length: 20 }, () => read()));
    expect(aws.sts.assumed.length).toBe(1);
    expect(us.made.length).toBe(1);
    expect(aws.sts.assumed[0]?.tags).toMatchObject({ 'hallpass-credential': 'it' });
    expect(new Set(issued.map(({ data }) => data.username))).toEqual(new Set(['app']));
    clock.now += 41 * 60_000;
    await read({ expiresAt: clock.now + 600_000 });
    expect(aws.sts.assumed.length).toBe(2);
  });

  it('ends with the session that signed it', async () => {
    const clock = { now: Math.floor(Date.now() / 1000) * 1000 };
    const { aws, read, refused } = await rig({}, {}, { now: () => clock.now });
    await read();
    aws.server.instead = () => ({ status: 503 });
    clock.now += 55 * 60_000;
    const asked = requestFor({ ttl: 900, expiresAt: clock.now + 900_000 });
    const { data, expiresAt } = await read(asked);
    expect(expiresAt).toBe(clock.now + 300_000);
    expect(login(aws, data.password, 'orders.rds.example:5432', 'app', clock.now + 299_000)).toBeUndefined();
    clock.now += 6 * 60_000;
    expect(await refused()).toBe('store_failed server_error');
  });

  it('is refused where the role does not trust us', async () => {
    const { refused, lines } = await rig({}, { subject: 'broker:other.example' });
    expect(await refused()).toBe('store_failed denied');
    expect(lines).toMatchObject([{ kind: 'aws-rds-iam', step: 'exchange', code: 'AccessDenied' }]);
  });

  it('is signed by what the platform runs us as, where no role is named, and nobody is asked', async () => {
    const { aws, us, read, refused, env } = await rigOnPlatform();
    const { data, expiresAt } = await read({ ttl: 900 });
    expect(login(aws, data.password, 'orders.rds.example:5432', 'app', Date.now() + 1_000)).toBeUndefined();
    expect(expiresAt).toBeUndefined();
    expect([aws.server.calls, us.made]).toEqual([[], []]);
    env.AWS_SESSION_TOKEN = '';
    expect(await refused()).toBe('store_failed long_lived_key');
  });

  it('is for 15 minutes at most, as AWS takes no longer one', async () => {
    const { credential, read, aws } = await rig();
    expect(credential.maxTtl).toBe(900);
    const { data } = await read({ ttl: 3600 });
    expect(new URL(`https://${data.password}`).searchParams.get('X-Amz-Expires')).toBe('900');
    expect(login(aws, data.password, 'orders.rds.example:5432', 'app', Date.now() + 1_000)).toBeUndefined();
  });
});

describe('the config of an aws-rds-iam', () => {
  const entry = { kind: 'aws-rds-iam', engine: 'mysql', ...at, username: 'app' };

  it.each([{}, { role }, { role, audience: 'x' }, { database: undefined }, { port: 1 }, { ttl: '15m' }])(
    'takes %j',
    (more) => expect(faultsOf({ ...entry, ...more })).toEqual([]),
  );

  it.each([
    { engine: 'oracle' },
    { region: undefined },
    { host: 'a/b' },
    { host: 'a@b' },
    { username: '' },
    { username: 'a\nb' },
    { username: 'a\0' },
    { username: 'x'.repeat(64) },
    { audience: 'x' },
    { password: 'x' },
    { ttl: '16m' },
  ])('refuses %j', (more) => expect(faultsOf({ ...entry, ...more })).not.toEqual([]));

  it('makes an assertion only for a role', () => {
    expect(awsRdsIam.assertion?.(entry)).toBeUndefined();
    expect(awsRdsIam.assertion?.({ ...entry, role })?.audience).toBe('sts.amazonaws.com');
  });
});
