import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { depsFor, describeKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type Made, make, type PostgresRig, postgresRig, soon } from './postgres-rig.ts';

let rig: PostgresRig;
/** Each test has a pool of its own. */
let name = '';
let pools = 0;

beforeAll(async () => {
  rig = await postgresRig();
});
afterAll(() => rig?.server.remove());
beforeEach(() => {
  name = `pool-${++pools}`;
});

const open = (size: number, admin: 'superuser' | 'maker' = 'maker') => rig.open({ pool: { size } }, { name }, admin);
const query = async (made: Made, sql: string) => {
  const client = await rig.login(made);
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
};

describeKind(
  'postgres in pool mode',
  { members: ['host', 'port', 'database', 'username', 'password', 'url'], fingerprinted: 'password' },
  async () => ({ entry: rig.entry({ pool: { size: 2 } }), deps: depsFor({ ADMIN: JSON.stringify(rig.server.admin) }) }),
);

describe.each(['superuser', 'maker'] as const)('postgres in pool mode, its admin %s', (admin) => {
  it('hands over users of its own making, one to each, which act as the configured role and carry the issuance', async () => {
    const credential = await open(3, admin);
    const made = await Promise.all([1, 2, 3].map(() => make(credential)));
    expect(new Set(made.map(({ username }) => username)).size).toBe(3);
    for (const one of made) {
      expect(one.username).toMatch(/^hp_pool_[0-9a-f]{16}_[123]$/);
      expect(one.issued.account).toBe(one.username);
      const sql = `SELECT session_user::text, current_user::text, current_setting('application_name') AS application`;
      const application = `hp_${one.request.id}`;
      expect(await query(one, sql)).toEqual([{ session_user: one.username, current_user: rig.role, application }]);
      const comment = `SELECT shobj_description('${one.username}'::regrole, 'pg_authid') AS is`;
      expect(await rig.rows(comment)).toEqual([{ is: `hallpass ${one.request.id} ${name}` }]);
    }
  });

  it('refuses when all are held, says when to ask again, and makes no more', async () => {
    const credential = await open(2, admin);
    await make(credential, { expiresAt: Date.now() + 20_000 });
    await make(credential);
    const refusal = await refusalOf(credential.make(requestFor()));
    expect([refusal.code, refusal.reason]).toEqual(['overloaded', 'pool_held']);
    expect(refusal.options.retryAfter).toBeGreaterThan(15);
    expect(refusal.options.retryAfter).toBeLessThanOrEqual(20);
    const prefix = (await make(await rig.open({ pool: { size: 9 } }, { name }, admin))).username.slice(0, 25);
    expect(await rig.rows(`SELECT count(*)::int FROM pg_roles WHERE starts_with(rolname, '${prefix}')`)).toEqual([
      { count: 9 },
    ]);
  });

  it('ends the sessions and the password of what it takes back, and leaves the next holder alone', async () => {
    const credential = await open(2, admin);
    const [first, other] = [await make(credential), await make(credential)];
    const [idle, busy, others] = [await rig.login(first), await rig.login(first), await rig.login(other)];
    const sleeping = busy.query('SELECT pg_sleep(60)').catch((error: { code?: string }) => error.code);
    await credential.undo(first.lease, soon());
    expect(await sleeping).toBe('57P01');
    await expect(idle.query('SELECT 1')).rejects.toThrow();
    await expect(rig.login(first)).rejects.toMatchObject({ code: '28P01' });
    const second = await make(credential);
    expect(second.username).toBe(first.username);
    const client = await rig.login(second);
    await credential.undo(first.lease, soon());
    await credential.undo({ issuance: first.request.id }, soon());
    await client.query('SELECT 1');
    await others.query('SELECT 1');
    await expect(rig.login(first)).rejects.toMatchObject({ code: '28P01' });
    for (const { lease } of [second, other]) await credential.undo(lease, soon());
    await expect(client.query('SELECT 1')).rejects.toThrow();
  });

  it('takes over what a lease that ran out has held, its sessions with it', async () => {
    const credential = await open(2, admin);
    const kept = await make(credential);
    const first = await make(credential);
    const session = await rig.login(first);
    await credential.renew?.(first.lease, Date.now() - 1, soon());
    const second = await make(credential);
    expect(second.username).toBe(first.username);
    await expect(session.query('SELECT 1')).rejects.toThrow();
    await credential.undo(first.lease, soon());
    await (await rig.login(second)).end();
    expect((await credential.accounts?.(soon()))?.map(({ issuance }) => issuance).sort()).toEqual(
      [kept.request.id, second.request.id].sort(),
    );
  });

  it('gives the next holder none of the settings, nor the password, that the one before has set', async () => {
    const credential = await open(2, admin);
    await make(credential);
    const first = await make(credential);
    await query(
      first,
      `ALTER ROLE CURRENT_USER SET application_name = 'x'; SET ROLE NONE;
       ALTER ROLE CURRENT_USER SET search_path = 'evil';
       ALTER ROLE CURRENT_USER IN DATABASE orders SET search_path = 'worse'`,
    ).catch(() => {});
    await query(
      first,
      `SET ROLE NONE; ALTER ROLE CURRENT_USER SET search_path = 'evil'; ALTER ROLE CURRENT_USER PASSWORD 'chosen';
       ALTER ROLE CURRENT_USER IN DATABASE orders SET search_path = 'worse'`,
    );
    expect(await query({ ...first, password: 'chosen' }, 'SHOW search_path')).toEqual([{ search_path: 'worse' }]);
    await credential.undo(first.lease, soon());
    const second = await make(credential);
    expect(second.username).toBe(first.username);
    expect(await query(second, 'SHOW search_path')).toEqual([{ search_path: '"$user", public' }]);
    expect(await query(second, 'SELECT current_user::text AS is')).toEqual([{ is: rig.role }]);
    await expect(rig.login({ ...second, password: 'chosen' })).rejects.toMatchObject({ code: '28P01' });
  });

  it('takes back what holds its own row, by a change of its password that it never commits', async () => {
    const credential = await open(2, admin);
    const made = await make(credential);
    const clinging = await rig.login(made);
    await clinging.query(`SET ROLE NONE; BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'chosen'`);
    await credential.undo(made.lease, soon(5_000));
    await expect(clinging.query('SELECT 1')).rejects.toThrow();
    await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
  });
});

describe('postgres in pool mode', () => {
  it('never has two holders of a user, nor one twice, with many asking at several instances', async () => {
    const instances = await Promise.all([1, 2, 3].map(() => open(24)));
    for (let round = 0; round < 4; round++) {
      const made = await Promise.all(Array.from({ length: 24 }, (_, at) => make(instances[at % 3] as never)));
      expect(new Set(made.map(({ username }) => username)).size).toBe(24);
      await Promise.all(made.map(async (one) => (await rig.login(one)).end()));
      await Promise.all(made.map(({ lease }, at) => instances[at % 3]?.undo(lease, soon())));
    }
    expect(await instances[0]?.accounts?.(soon())).toEqual([]);
  });

  it('settles who has it when users run out while their leases are taken back late', async () => {
    const instances = await Promise.all([1, 2].map(() => open(4)));
    let served = 0;
    await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        for (let turn = 0; turn < 6; turn++) {
          const credential = instances[at % 2] as (typeof instances)[0];
          const request = requestFor({ expiresAt: Date.now() + 300 });
          const issued = await credential.make(request).catch((error) => {
            if (error.code !== 'overloaded') throw error;
          });
          if (issued === undefined) await new Promise((resolve) => setTimeout(resolve, 50));
          else served++;
          if (issued?.account && turn % 2)
            await credential.undo({ issuance: request.id, account: issued.account }, soon());
        }
      }),
    );
    expect(served).toBeGreaterThan(8);
  });

  it('hands over in one message, and makes no role once all are there', async () => {
    const credential = await open(2);
    await credential.undo((await make(credential)).lease, soon());
    const marked = async (mark: string) => {
      await rig.server.sql(`SELECT '${mark}'`);
      await expect.poll(() => rig.server.log()).toContain(`'${mark}'`);
      return rig.server.log().indexOf(`'${mark}'`);
    };
    const from = await marked('before it');
    const made = await make(credential);
    const until = await marked('after it');
    const log = rig.server.log().slice(from, until);
    // The second is that of the mark.
    expect(log.match(/LOG: {2}statement: /g)).toHaveLength(2);
    expect(log).not.toContain('CREATE ROLE');
    expect(log).toContain(made.request.id);
    for (const form of [made.password, Buffer.from(made.password).toString('base64')]) expect(log).not.toContain(form);
  });

  it('derives the next password from the broker’s secret, and gives another where the secret is another by then', async () => {
    const [credential, elsewhere] = [
      await open(2),
      await rig.open({ pool: { size: 2 } }, { name, derive: async () => new Uint8Array(32) }, 'maker'),
    ];
    const seen = new Set<string>();
    for (const one of [credential, credential, elsewhere, elsewhere, credential]) {
      const made = await make(one);
      await (await rig.login(made)).end();
      await one.undo(made.lease, soon());
      await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
      seen.add(made.password);
    }
    expect(seen.size).toBe(5);
    const silent = await rig.open(
      { pool: { size: 2 } },
      { name, derive: async () => Promise.reject(new Error('no secret')) },
      'maker',
    );
    const made = await make(credential);
    await silent.undo(made.lease, soon());
    await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
    await (await rig.login(await make(credential))).end();
  });

  it('takes back by the issuance alone, and nothing where nothing was handed over', async () => {
    const credential = await open(2);
    const made = await make(credential);
    await credential.undo({ issuance: requestFor().id }, soon());
    await (await rig.login(made)).end();
    await credential.undo({ issuance: made.request.id }, soon());
    await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
    expect((await refusalOf(credential.undo({ issuance: `x' OR true --` }, soon()))).reason).toBe('bad_account');
  });

  it('prolongs for who holds it, and for nobody else', async () => {
    const credential = await open(2);
    const made = await make(credential, { expiresAt: Date.now() + 60_000 });
    const later = Math.floor(Date.now() / 1000) * 1000 + 900_000;
    await credential.renew?.(made.lease, later, soon());
    const until = `SELECT rolvaliduntil AS until FROM pg_roles WHERE rolname = '${made.username}'`;
    expect(await rig.rows(until)).toEqual([{ until: new Date(later) }]);
    const stranger = { issuance: requestFor().id, account: made.username };
    for (const lease of [stranger, { issuance: made.request.id, account: `${made.username}9` }])
      expect((await refusalOf(credential.renew?.(lease, later + 1, soon()) as Promise<void>)).reason).toBe(
        'lease_over',
      );
    expect(await rig.rows(until)).toEqual([{ until: new Date(later) }]);
    await credential.undo(made.lease, soon());
    const refusal = await refusalOf(credential.renew?.(made.lease, later, soon()) as Promise<void>);
    expect([refusal.code, refusal.reason]).toEqual(['store_failed', 'lease_over']);
    await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
  });

  it('fills up what is missing, and uses no more than its size says', async () => {
    const [made, other] = [await make(await open(2)), await make(await open(2))];
    await (await open(2)).undo(made.lease, soon());
    await rig.server.sql(`DROP ROLE ${made.username}`);
    const again = await make(await open(2));
    expect(again.username).toBe(made.username);
    const large = await open(4);
    const more = [await make(large), await make(large)];
    for (const { lease } of [again, other, ...more]) await large.undo(lease, soon());
    const small = await open(2);
    const used = [await make(small), await make(small)].map(({ username }) => username);
    expect(used.sort()).toEqual([made.username, other.username].sort());
    expect((await refusalOf(small.make(requestFor()))).code).toBe('overloaded');
  });

  it('gives its users another role where the entry names another, and ends those of other modes', async () => {
    const credential = await open(2);
    const made = await make(credential);
    await rig.server.sql('CREATE ROLE readers NOLOGIN; GRANT readers TO maker WITH ADMIN TRUE');
    const elsewhere = await rig.open({ pool: { size: 2 }, role: 'readers' }, { name }, 'maker');
    const other = await make(elsewhere);
    expect(other.username.slice(0, 25)).not.toBe(made.username.slice(0, 25));
    const own = await rig.open({}, { name }, 'maker');
    const theirs = await make(own);
    await own.undo(made.lease, soon());
    await credential.undo(theirs.lease, soon());
    await expect(rig.login(made)).rejects.toMatchObject({ code: '28P01' });
    expect(await rig.rows(`SELECT 1 FROM pg_roles WHERE rolname = '${theirs.username}'`)).toEqual([]);
    await elsewhere.undo(other.lease, soon());
  });

  it('works again after the server was restarted', async () => {
    const credential = await open(2);
    const first = await make(credential);
    await rig.server.stop();
    expect((await refusalOf(credential.make(requestFor({ deadline: soon(2_000) })))).code).toBe('store_failed');
    await rig.server.start();
    await credential.undo(first.lease, soon());
    await (await rig.login(await make(credential))).end();
  });

  it('replaces, once, an admin connection that the server has ended meanwhile', async () => {
    const credential = await open(2);
    await make(credential);
    await rig.server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hallpass'`);
    await make(credential);
  });
});
