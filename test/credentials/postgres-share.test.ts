import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KindDeps, TargetCredential } from '../../src/credentials/kind.ts';
import { sha256 } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import {
  depsFor,
  describeKind,
  hostileSubjects,
  identity,
  openKind,
  refusalOf,
  requestFor,
} from '../contracts/kind.ts';
import { make, type PostgresRig, postgresRig, soon } from './postgres-rig.ts';

let rig: PostgresRig;

beforeAll(async () => {
  rig = await postgresRig();
});
afterAll(() => rig?.server.remove());

/** All within one window, wherever it begins. */
const now = Date.now();
const who = (subject: string) => ({ ...identity, subject });
const open = (more = {}, deps: Partial<KindDeps> = {}) =>
  rig.open({ share: { for: '60s', among: 3, ...more } }, deps, 'maker');
const untilOf = async (username: string) =>
  (await rig.rows(`SELECT rolvaliduntil AS until FROM pg_roles WHERE rolname = '${username}'`))[0]?.until;
const undo = (credential: TargetCredential, { lease }: Awaited<ReturnType<typeof make>>) =>
  credential.undo(lease, soon());

describeKind(
  'postgres in share mode',
  { members: ['host', 'port', 'database', 'username', 'password', 'url'], fingerprinted: 'password' },
  async () => ({ entry: rig.entry({ share: {} }), deps: depsFor({ ADMIN: JSON.stringify(rig.server.admin) }) }),
);

describe('postgres in share mode', () => {
  it('gives one identity one account, whichever instance it asks, and another identity another', async () => {
    const instances = await Promise.all([open({}, { name: 'mine' }), open({}, { name: 'mine' })]);
    const [here, there] = [await make(instances[0], { now }), await make(instances[1], { now })];
    expect([there.username, there.password]).toEqual([here.username, here.password]);
    expect(here.username).toMatch(/^hp_s_[0-9a-f]{26}$/);
    expect([here.issued.account, instances[0].revocable]).toEqual([here.username, false]);
    const client = await rig.login(here);
    const { rows } = await client.query('SELECT session_user::text, current_user::text');
    expect(rows).toEqual([{ session_user: here.username, current_user: rig.role }]);
    await client.end();
    for (const other of [
      who('repo:acme/other'),
      { ...identity, iss: 'https://other.example.com' },
      { ...identity, issuer: 'other' },
    ]) {
      const made = await make(instances[0], { now, identity: other });
      expect(made.username).not.toBe(here.username);
      expect(made.password).not.toBe(here.password);
    }
  });

  it('derives from the broker’s secret, the credential’s name and the role as well', async () => {
    const names = await Promise.all(
      [
        open({}, { name: 'one' }),
        open({}, { name: 'two' }),
        open({}, { name: 'one', derive: async (purpose) => sha256('another secret', purpose) }),
      ].map(async (opening) => (await make(await opening, { now })).username),
    );
    expect(new Set(names).size).toBe(3);
  });

  it('makes a new one for the next window, and one more where too many share it here', async () => {
    const credential = await open({}, { name: 'windows' });
    const made = [];
    for (let turn = 0; turn < 7; turn++) made.push((await make(credential, { now })).username);
    expect(made.slice(0, 3)).toEqual(Array(3).fill(made[0]));
    expect(made.slice(3, 6)).toEqual(Array(3).fill(made[3]));
    expect(new Set(made).size).toBe(3);
    expect(made).not.toContain((await make(credential, { now: now + 60_000 })).username);
  });

  it('lives as long as its longest lease, whichever came first', async () => {
    const credential = await open({ among: 9 }, { name: 'longest' });
    const end = Math.floor(now / 1000) * 1000 + 600_000;
    const made = await make(credential, { now, expiresAt: end });
    await make(await open({ among: 9 }, { name: 'longest' }), { now, expiresAt: end - 300_000 });
    expect(await untilOf(made.username)).toEqual(new Date(end));
    await make(credential, { now, expiresAt: end + 1_000 });
    expect(await untilOf(made.username)).toEqual(new Date(end + 1_000));
    await credential.renew?.(made.lease, end + 9_000, soon());
    expect(await untilOf(made.username)).toEqual(new Date(end + 9_000));
    await credential.renew?.(made.lease, end, soon());
    expect(await untilOf(made.username)).toEqual(new Date(end + 9_000));
  });

  it('lets nobody end it for the others, and ends it once its last lease is over', async () => {
    const credential = await open({}, { name: 'ends' });
    const [first, second] = [await make(credential, { now }), await make(credential, { now })];
    const session = await rig.login(second);
    await undo(credential, first);
    await credential.undo({ issuance: first.request.id }, soon());
    await session.query('SELECT 1');
    await (await rig.login(second)).end();
    await rig.server.sql(`ALTER ROLE ${first.username} VALID UNTIL '2020-01-01'`);
    await undo(credential, second);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await untilOf(first.username)).toBeUndefined();
    await undo(credential, first);
    const refusal = await refusalOf(credential.renew?.(first.lease, Date.now() + 60_000, soon()) as Promise<void>);
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'sqlstate_42704']);
  });

  it('is ended with another that is, where it lived longer than any lease that a record was left of', async () => {
    const credential = await open({}, { name: 'left behind' });
    const left = await make(credential, { now });
    const others = await make(await open({}, { name: 'of others' }), { now });
    const session = await rig.login(left);
    await undo(credential, left);
    for (const { username } of [left, others]) await rig.server.sql(`ALTER ROLE ${username} VALID UNTIL '2020-01-01'`);
    const next = await make(credential, { now, identity: who('repo:acme/next') });
    await undo(credential, next);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await untilOf(left.username)).toBeUndefined();
    expect(await untilOf(next.username)).toBeDefined();
    expect(await untilOf(others.username)).toBeDefined();
  });

  it('is made once by all who ask for it at once, here and at other instances', async () => {
    const instances = await Promise.all([1, 2, 3].map(() => open({ among: 50 }, { name: 'at once' })));
    const made = await Promise.all(
      Array.from({ length: 45 }, (_, at) => make(instances[at % 3] as TargetCredential, { now })),
    );
    expect(new Set(made.map(({ username }) => username)).size).toBe(1);
    const listed = await instances[0]?.accounts?.(soon());
    expect(listed).toEqual([{ account: made[0]?.username, issuance: expect.any(String) }]);
    expect(made.map(({ request }) => request.id)).toContain(listed?.[0]?.issuance);
  });

  it('puts the password back that a holder has changed', async () => {
    const credential = await open({}, { name: 'changed' });
    const first = await make(credential, { now });
    const client = await rig.login(first);
    await client.query(`SET ROLE NONE; ALTER ROLE CURRENT_USER PASSWORD 'chosen'`);
    await client.end();
    await make(await open({}, { name: 'changed' }), { now });
    await (await rig.login(first)).end();
  });

  it.each([...hostileSubjects, '\u0000', '\n', '\u202e', `\${x}{{y}}`])(
    'shows the server nothing of %j',
    async (subject) => {
      const credential = await open({}, { name: 'hostile' });
      const made = await make(credential, { now, identity: who(`canary ${subject}`) });
      await (await rig.login(made)).end();
      expect(made.username).toMatch(/^hp_s_[0-9a-f]{26}$/);
      expect(rig.server.log()).not.toContain('canary');
    },
  );
});

describe('postgres in static mode', () => {
  const stored = { username: 'app user@', password: 'not/a real:one' };
  const read: KindDeps['read'] = async ({ name, store }) => {
    const values: Record<string, string> = { app: JSON.stringify(stored), text: 'just text' };
    return { value: new Secret(values[name] as string), version: '7', store };
  };
  const entry = (user: string) => ({
    kind: 'postgres',
    host: rig.server.host,
    port: rig.server.port,
    database: 'orders',
    static: { store: 'vars', name: user },
  });
  const request = () => requestFor();

  it('hands over the stored user as it is, with no admin, in the shape of the other modes', async () => {
    await rig.server.sql(`CREATE ROLE "app user@" LOGIN PASSWORD 'not/a real:one'`);
    const credential = await openKind(entry('app'), { ...depsFor(), read });
    if (credential.made !== 'read') throw new Error('it is read');
    const issued = await credential.read(request());
    expect([issued.store, issued.version, issued.fingerprinted?.revealText()]).toEqual(['vars', '7', stored.password]);
    expect(issued.data).toMatchObject({ ...stored, database: 'orders', port: rig.server.port });
    const { Client } = (await import('pg')).default;
    const client = new Client({ connectionString: issued.data.url as string });
    await client.connect();
    expect((await client.query('SELECT session_user::text AS is')).rows).toEqual([{ is: stored.username }]);
    await client.end();
  });

  it('refuses what is no login', async () => {
    const credential = await openKind(entry('text'), { ...depsFor(), read });
    if (credential.made !== 'read') throw new Error('it is read');
    expect((await refusalOf(credential.read(request()))).reason).toBe('bad_user');
  });
});
