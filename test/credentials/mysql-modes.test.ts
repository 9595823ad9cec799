import { afterEach, describe, expect, it } from 'vitest';
import type { TargetCredential } from '../../src/credentials/kind.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, describeKind, faultsOf, identity, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type Answer, type FakeMysql, startFakeMysql } from '../fakes/mysql.ts';

const soon = (ms = 5_000) => deadlineIn(ms, Date.now);
const deps = () => depsFor({ ADMIN: '{"username":"maker","password":"not-a-real-password"}' });
const entryAt = (port: number, more = {}) => ({
  kind: 'mysql',
  host: '127.0.0.1',
  port,
  database: 'orders',
  admin: { store: 'vars', name: 'ADMIN' },
  role: 'orders_rw',
  ...more,
});
const open = async (port: number, more: object) => (await openKind(entryAt(port, more), deps())) as TargetCredential;
const pool = { pool: { size: 2 } };
const share = { share: { among: 3 } };
const members = ['host', 'port', 'database', 'username', 'password', 'url'];

const fakes: FakeMysql[] = [];
afterEach(() => {
  for (const fake of fakes.splice(0)) fake.close();
});

const user = 'hp_p_0123456789abcdef_2';
const mysqlVersion = '8.4.3';
const mariadbVersion = '10.11.6-MariaDB';

/** Of a roster that has one user, and lets everybody have a turn; where no answer is given, all is done. */
async function serve(version: string, answer: (text: string) => Answer | undefined = () => undefined) {
  let holder = '';
  const fake = await startFakeMysql(version, (text) => {
    const given = answer(text);
    if (given !== undefined) return given;
    const [, issuance = holder] = /SET issuance = (x?'[0-9a-f]*')/.exec(text) ?? [];
    holder = issuance;
    if (text.includes("issuance <> '' LIMIT")) {
      const account = { account: user, issuance: Buffer.from(holder.slice(2, -1), 'hex').toString() };
      return holder.startsWith('x') ? [account] : [];
    }
    if (text.includes('INTO @one')) return [{ ours: 1, account: user, was: '', version }];
    if (text.includes('ROW_COUNT()')) return [{ ours: 1, fitting: 1 }];
    if (text.includes('FROM mysql.user')) return [{ host: '%' }];
    if (text.includes('VERSION()')) return [{ version }];
    return text.startsWith('SELECT') ? [] : 'done';
  });
  fakes.push(fake);
  return fake;
}

describeKind('mysql with a pool', { members, fingerprinted: 'password' }, async () => ({
  entry: entryAt((await serve(mariadbVersion)).port, pool),
  deps: deps(),
}));

describe('mysql in pool mode', () => {
  it('gives a free user another password and ends what came in meanwhile, before it says so in the roster', async () => {
    let late = 1;
    const fake = await serve(mysqlVersion, (text) => {
      if (text.includes('PROCESSLIST')) return late > 0 ? [{ id: 7 }] : [];
      if (text.startsWith('KILL')) late--;
      return undefined;
    });
    const request = requestFor();
    const issued = await (await open(fake.port, pool)).make(request);
    expect([issued.account, issued.data.username]).toEqual([user, user]);
    const account = `\`${user}\`@\`%\``;
    const hashed =
      /^ALTER USER (\S+) IDENTIFIED WITH caching_sha2_password AS '\$A\$005\$[^']{63}' ACCOUNT UNLOCK; (.*)$/;
    const [take, ...rest] = fake.heard.slice(1);
    expect(take).toContain(`issuance = x'${Buffer.from(request.id).toString('hex')}'`);
    const said = rest.map((text) => hashed.exec(text)?.slice(1).join('; ') ?? text.split(/[ ;]/, 2).join(' '));
    const given = `${account}; GRANT \`orders_rw\` TO ${account}; SET DEFAULT ROLE \`orders_rw\` TO ${account}`;
    expect(said).toEqual([
      'SELECT Host',
      given,
      'SELECT 1',
      'KILL CONNECTION',
      'SELECT 1',
      // One that came in by the old password may have set another.
      'SELECT Host',
      given,
      'SELECT 1',
      'UPDATE `hallpass`.`accounts`',
    ]);
    expect(fake.heard.join()).not.toContain(issued.data.password as string);
  });

  it('shuts first a user whose holder’s time was up', async () => {
    const fake = await serve(mariadbVersion, (text) =>
      text.includes('INTO @one')
        ? [{ ours: 1, account: user, was: requestFor().id, version: mariadbVersion }]
        : undefined,
    );
    await (await open(fake.port, pool)).make(requestFor());
    const [first, second] = fake.heard.filter((text) => text.startsWith('ALTER'));
    expect(first).toBe(`ALTER USER IF EXISTS \`${user}\`@\`%\` ACCOUNT LOCK`);
    expect(second).toMatch(/IDENTIFIED VIA mysql_native_password USING '\*[0-9A-F]{40}' ACCOUNT UNLOCK/);
  });

  it('takes another user where somebody else was faster', async () => {
    let tries = 0;
    const fake = await serve(mysqlVersion, (text) => {
      if (!text.includes('INTO @one')) return undefined;
      return [{ ours: ++tries > 2 ? 1 : 0, account: user, was: '', version: mysqlVersion }];
    });
    await (await open(fake.port, pool)).make(requestFor());
    expect(tries).toBe(3);
  });

  it('makes the roster where there is none, and the users’ rows', async () => {
    let made = 0;
    const fake = await serve(mysqlVersion, (text) => {
      if (text.startsWith('CREATE TABLE')) made = 1;
      if (text.startsWith('INSERT')) made = 2;
      if (text.includes('`hallpass`.`accounts`') && made === 0) return 1146;
      if (text.includes('COUNT(*) AS count')) return [{ count: 0, wait: null }];
      return text.includes('INTO @one') && made === 1 ? [{ ours: 0, account: null, was: null }] : undefined;
    });
    await (await open(fake.port, pool)).make(requestFor());
    expect(fake.heard.find((text) => text.startsWith('INSERT'))?.match(/'hp_p_[0-9a-f]{16}_[12]'/g)).toHaveLength(2);
  });

  it('refuses when all are held, and says when to ask again', async () => {
    const fake = await serve(mysqlVersion, (text) => {
      if (text.includes('COUNT(*) AS count')) return [{ count: 2, wait: 9 }];
      return text.includes('INTO @one') ? [{ ours: 0, account: null, was: null }] : undefined;
    });
    const refusal = await refusalOf((await open(fake.port, pool)).make(requestFor()));
    expect([refusal.code, refusal.reason, refusal.options.retryAfter]).toEqual(['overloaded', 'pool_held', 9]);
    expect(fake.heard.some((text) => /^(ALTER|INSERT|CREATE)/.test(text))).toBe(false);
  });

  it('touches no user that is not one of a pool’s, whatever the roster says', async () => {
    const fake = await serve(mysqlVersion, (text) =>
      text.includes('INTO @one') ? [{ ours: 1, account: "root'@'", was: '', version: mysqlVersion }] : undefined,
    );
    expect((await refusalOf((await open(fake.port, pool)).make(requestFor()))).reason).toBe('bad_account');
    expect(fake.heard.some((text) => text.includes("root'"))).toBe(false);
  });

  it('gives its turn back where the server refuses, and hands over nothing once its turn was another’s', async () => {
    const ends = "worker = '', busy";
    const refused = await serve(mysqlVersion, (text) => (text.startsWith('ALTER') ? 1227 : undefined));
    expect((await refusalOf((await open(refused.port, pool)).make(requestFor()))).reason).toBe('errno_1227');
    expect(refused.heard.at(-1)).toContain(ends);
    const late = await serve(mysqlVersion, (text) => (text.includes(ends) ? [{ ours: 0 }] : undefined));
    expect((await refusalOf((await open(late.port, pool)).make(requestFor()))).code).toBe('store_timeout');
  });

  it('takes back from who holds it only, once it is shut', async () => {
    const { id } = requestFor();
    const lease = { issuance: id, account: user };
    const fake = await serve(mysqlVersion);
    await (await open(fake.port, pool)).undo(lease, soon());
    expect(fake.heard.slice(1).map((text) => text.split(' ', 2).join(' '))).toEqual([
      'SET SESSION',
      'UPDATE `hallpass`.`accounts`',
      'SELECT Host',
      'ALTER USER',
      'SELECT 1',
      'UPDATE `hallpass`.`accounts`',
    ]);
    const others = await serve(mysqlVersion, (text) =>
      text.includes('ROW_COUNT()') ? [{ ours: 0, fitting: 0 }] : undefined,
    );
    await (await open(others.port, pool)).undo(lease, soon());
    expect(others.heard.some((text) => text.startsWith('ALTER'))).toBe(false);
    const busy = await serve(mysqlVersion, (text) =>
      text.includes('ROW_COUNT()') ? [{ ours: 0, fitting: 1 }] : undefined,
    );
    expect((await refusalOf((await open(busy.port, pool)).undo(lease, soon(300)))).code).toBe('store_timeout');
  });

  it('takes back nothing, and lists nothing, where the server has no roster', async () => {
    for (const errno of [1049, 1146, 1142, 1044]) {
      const fake = await serve(mysqlVersion, (text) => (text.includes('`hallpass`') ? errno : undefined));
      const credential = await open(fake.port, pool);
      await credential.undo({ issuance: requestFor().id }, soon());
      expect(await credential.accounts?.(soon())).toEqual([]);
    }
  });
});

describe('mysql in share mode', () => {
  it('asks the server once for what many share, and again for who needs it longer', async () => {
    const fake = await serve(mysqlVersion);
    const credential = await open(fake.port, { share: { among: 50 } });
    const now = Date.now();
    const ask = async (expiresAt: number, more = {}) =>
      (await credential.make(requestFor({ now, expiresAt, ...more }))).data;
    const [first, ...others] = await Promise.all(Array.from({ length: 9 }, () => ask(now + 60_000)));
    for (const other of others) expect(other).toEqual(first);
    const alters = () => fake.heard.filter((text) => text.startsWith('ALTER')).length;
    expect([alters(), credential.revocable]).toEqual([1, false]);
    expect(await ask(now + 90_000)).toEqual(first);
    expect(await ask(now + 80_000)).toEqual(first);
    expect(alters()).toBe(2);
    const other = await ask(now + 60_000, { identity: { ...identity, subject: "canary'; --" } });
    expect(other.username).not.toBe(first?.username);
    expect(fake.heard.join()).not.toContain('canary');
  });

  it('puts the same hash for the same account, so that two who make it at once agree', async () => {
    const hashes = [];
    const request = requestFor();
    for (let turn = 0; turn < 2; turn++) {
      const fake = await serve(mysqlVersion);
      await (await open(fake.port, share)).make(request);
      hashes.push(/AS '([^']+)'/.exec(fake.heard.find((text) => text.startsWith('ALTER')) ?? '')?.[1]);
    }
    expect(hashes[0]).toMatch(/^\$A\$005\$/);
    expect(hashes[1]).toBe(hashes[0]);
  });
});

describe('mysql’s modes in a config', () => {
  const { admin, role, ...address } = { ...entryAt(3306), host: 'db.example.com' };
  const user = { store: 'vars', name: 'APP' };

  it.each([
    { admin, role, ...pool },
    { admin, role, share: {} },
    { admin, role, share: { for: '5m', among: 10 } },
    { static: user },
  ])('takes %j', (more) => expect(faultsOf({ ...address, ...more })).toEqual([]));

  it.each([
    {},
    { admin },
    { role },
    { role, ...pool },
    { admin, role, ...pool, share: {} },
    { admin, role, ...pool, static: user },
    { admin, role, pool: { size: 1 } },
    { admin, role, pool: { size: 1001 } },
    { admin, role, share: { for: '29s' } },
    { static: 'app' },
  ])('refuses %j', (more) => expect(faultsOf({ ...address, ...more })).not.toEqual([]));
});
