import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { credential, type Login, newIssuer, openRotating, rotatedConfig, steps, stored } from '../rotation/rig.ts';
import type { OpenBroker } from '../support/broker.ts';
import { temporaryFolder } from '../support/server.ts';

const lacking = lacks('mariadb');
const host = '127.0.0.1';
const password = 'not-a-real-password';
const keeper = { username: 'keeper', password };
const soon = () => deadlineIn(12_000, Date.now);
const { folder, remove } = temporaryFolder();
const issuer = newIssuer();

let server: RealServer;
let port: number;
let root: mysql.Connection;
let open: OpenBroker[] = [];
let count = 0;

beforeAll(async () => {
  if (lacking !== undefined) return;
  server = await startReal('mariadb');
  port = Number(new URL(server.url).port);
  root = await mysql.createConnection({ host, port, user: 'admin', password, multipleStatements: true });
  // As docs/rotation.md says.
  await root.query(`
    CREATE DATABASE orders;
    CREATE USER keeper@'%' IDENTIFIED BY '${password}';
    GRANT CREATE USER ON *.* TO keeper@'%';
    CREATE USER powerless@'%' IDENTIFIED BY '${password}';
    CREATE USER orders_a@'%'; CREATE USER orders_b@'%';
    GRANT SELECT ON orders.* TO orders_a@'%'; GRANT SELECT ON orders.* TO orders_b@'%'`);
}, 120_000);
afterAll(async () => {
  for (const { deployment } of open) await deployment.close();
  await root?.end();
  await server?.stop();
  remove();
});

let login: Login;
let at: string;
beforeEach(async () => {
  for (const { deployment } of open.splice(0)) await deployment.close();
  at = mkdtempSync(join(folder, 'one-'));
  count++;
  login = { username: 'orders_a', password: `first-${count}` };
  await root?.query(
    `ALTER USER orders_a@'%' IDENTIFIED BY '${login.password}'; ALTER USER orders_b@'%' IDENTIFIED BY 'unknown'`,
  );
});

async function openOne(rotate: object = {}, admin: Login = keeper): Promise<OpenBroker> {
  const config = rotatedConfig(at, issuer, port, { rotate: { kind: 'mysql', database: 'orders', ...rotate } });
  const broker = await openRotating(config, at, { env: { TEST_SECRET_ADMIN: JSON.stringify(admin) } });
  open = [...open, broker];
  return broker;
}

async function openFirst(...about: Parameters<typeof openOne>): Promise<OpenBroker> {
  const broker = await openOne(...about);
  const store = await broker.deployment.openStore('here');
  await store.put('orders', new Secret(JSON.stringify(login)), soon());
  return broker;
}

const rotate = ({ deployment }: OpenBroker) => deployment.rotate(credential, soon(), { force: true });

async function enter({ username: user, password }: Login): Promise<string> {
  const client = await mysql.createConnection({ host, port, user, password, database: 'orders' });
  const [rows] = await client.query<mysql.RowDataPacket[]>('SELECT CURRENT_USER() AS name');
  await client.end();
  return rows[0]?.name;
}

describe.skipIf(lacking !== undefined)('rotation at a real MariaDB', () => {
  it('lets two users take turns, and tells the server no password', async () => {
    const broker = await openFirst();
    expect(await rotate(broker)).toEqual({ credential, version: '2', previous: '1' });
    const second = await stored(broker);
    expect(await enter(second)).toBe('orders_b@%');
    expect(await enter(login)).toBe('orders_a@%');
    await rotate(broker);
    const third = await stored(broker);
    expect(await enter(third)).toBe('orders_a@%');
    expect(await enter(second)).toBe('orders_b@%');
    await expect(enter(login)).rejects.toMatchObject({ errno: 1045 });
    const said = readFileSync(join(server.folder, 'statements.log'), 'utf8');
    for (const secret of [second.password, third.password]) expect(said).not.toContain(secret);
  });

  it('needs no admin where both may change users, and makes the first value where there is one', async () => {
    await root.query("GRANT CREATE USER ON *.* TO orders_a@'%'; GRANT CREATE USER ON *.* TO orders_b@'%'");
    const broker = await openFirst({ admin: undefined });
    for (const name of ['orders_b@%', 'orders_a@%']) {
      await rotate(broker);
      expect(await enter(await stored(broker))).toBe(name);
    }
    await root.query("REVOKE CREATE USER ON *.* FROM orders_a@'%'; REVOKE CREATE USER ON *.* FROM orders_b@'%'");
    at = mkdtempSync(join(folder, 'first-'));
    const first = await openOne();
    expect(await rotate(first)).toEqual({ credential, version: '1' });
    expect(await enter(await stored(first))).toBe('orders_a@%');
  });

  it('is one at a time, however many ask', async () => {
    const brokers = [await openFirst(), await openOne(), await openOne({ users: ['orders_b', 'orders_a'] })];
    const reports = await Promise.all([...brokers, ...brokers].map(rotate));
    expect(new Set(reports.map(({ version }) => version))).toEqual(new Set(['2']));
    expect(await enter(await stored(brokers[0] as OpenBroker))).toBe('orders_b@%');
  });

  it.each([
    ['has another password', { username: 'keeper', password: 'wrong' }, 'errno_1045'],
    ['may not change it', { username: 'powerless', password }, /^errno_1(227|396)$/],
    ['is one of the two', { username: 'orders_b', password }, 'bad_admin'],
  ])('leaves the current value when the admin %s', async (_, admin, reason) => {
    const broker = await openFirst({}, admin);
    const refused = await rotate(broker).catch((error) => error);
    expect(refused).toBeInstanceOf(Refusal);
    expect(refused.reason).toMatch(reason);
    expect(await stored(broker)).toMatchObject({ ...login, version: '1' });
    expect(await enter(login)).toBe('orders_a@%');
  });

  it('does not write where its lock was lost with its session', async () => {
    const broker = await openFirst();
    const { ledger } = broker.deployment;
    const { append } = ledger;
    ledger.append = async (request, deadline) => {
      if (request.entries.some(({ record }) => record.includes('"step":"tried"'))) await root.query('KILL USER keeper');
      return append(request, deadline);
    };
    const refused = await rotate(broker).catch((error) => error);
    expect(refused).toMatchObject({ code: 'store_failed' });
    expect((await steps(broker)).slice(-2)).toEqual(['tried', `failed ${refused.reason}`]);
    expect(await enter(await stored(broker))).toBe('orders_a@%');
    ledger.append = append;
    await rotate(broker);
    expect(await enter(await stored(broker))).toBe('orders_b@%');
  });
});
