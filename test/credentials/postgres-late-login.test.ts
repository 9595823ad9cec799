import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { block, endSessionsBy } from '../../src/credentials/postgres/sql.ts';
import { type Data, make, type PostgresRig, postgresRig, soon } from './postgres-rig.ts';

let rig: PostgresRig;
beforeAll(async () => {
  rig = await postgresRig();
});
afterAll(() => rig?.server.remove());

/** A login whose client has the server wait, once it was let in and before anybody can see whose session it is. */
async function drawOut({ username: user, password }: Pick<Data, 'username' | 'password'>, seconds: number) {
  const { host, port } = rig.server;
  const options = `-c post_auth_delay=${seconds}`;
  const client = new pg.Client({ host, port, user, password, database: 'orders', ssl: false, options });
  client.on('error', () => {});
  const isIn = client
    .connect()
    .then(() => client.query('SELECT 1'))
    .then(
      () => true,
      () => false,
    );
  const under = `SELECT 1 FROM pg_locks WHERE classid = 'pg_database'::regclass AND mode = 'RowExclusiveLock'`;
  while ((await rig.rows(under)).length === 0) await sleep(5);
  return { isIn, end: () => client.end().catch(() => {}) };
}

describe.each(['superuser', 'maker'] as const)('an admin that is %s', (admin) => {
  const open = (more = {}) => rig.open(more, { name: `late-${admin}` }, admin);

  it('lets in no login that its holder has drawn out until the account was gone', async () => {
    const credential = await open();
    const made = await make(credential);
    const late = await drawOut(made, 2);
    await credential.undo(made.lease, soon());
    expect(await late.isIn).toBe(false);
    await late.end();
  });

  it('lets in no login that was drawn out until the user of a pool was given back', async () => {
    const credential = await open({ pool: { size: 2 } });
    const made = await make(credential);
    const late = await drawOut(made, 2);
    await credential.undo(made.lease, soon());
    expect(await late.isIn).toBe(false);
    await late.end();
  });

  it('lets in no login that was drawn out until the user of a pool was handed over again', async () => {
    const credential = await open({ pool: { size: 2 } });
    const [one, other] = [await make(credential), await make(credential)];
    const late = await drawOut(one, 2);
    await rig.server.sql(`ALTER ROLE ${one.username} VALID UNTIL '2000-01-01'`);
    const next = await make(credential);
    expect(next.username).toBe(one.username);
    expect(await late.isIn).toBe(false);
    await late.end();
    for (const { lease } of [other, next]) await credential.undo(lease, soon());
  });
});

it.each(['superuser', 'maker', 'maker that may end any session'] as const)(
  'ends no login of another by an admin that is %s, and does not wait for it',
  async (who) => {
    const [admin] = who.split(' ') as ['superuser' | 'maker'];
    await rig.server.sql(`DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'not-real-either'`);
    if (who !== admin) await rig.server.sql('GRANT pg_signal_backend TO maker');
    const credential = await rig.open({}, { name: `strangers-${who.replaceAll(' ', '-')}` }, admin);
    const made = await make(credential);
    const late = await drawOut({ username: 'stranger', password: 'not-real-either' }, 2);
    await credential.undo(made.lease, soon(1_500));
    expect(await late.isIn).toBe(true);
    await late.end();
    await rig.server.sql('REVOKE pg_signal_backend FROM maker');
  },
);

it('lets in no login that became late between two looks at the clock', async () => {
  const credential = await rig.open({ pool: { size: 2 } }, { name: 'between-looks' }, 'maker');
  const made = await make(credential);
  const admin = await rig.login({ username: 'maker', password: 'not-real-either', url: '' });
  const late = await drawOut(made, 3);
  const find = `SELECT oid, rolname INTO one FROM pg_roles WHERE rolname = '${made.username}';`;
  // Telling sessions to end takes longer than a login may.
  const ending = endSessionsBy('PERFORM pg_sleep(0.3);');
  await admin.query(block(`DECLARE one record; joined boolean; BEGIN ${find} ${ending} END`));
  expect(await late.isIn).toBe(false);
  await admin.end();
  await late.end();
});
