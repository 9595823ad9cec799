import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';
import { faultyCommits } from './faulty-commits.ts';

const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', 'https://pass.test');
const commits = faultyCommits(folder, 'ledger');
let postgres: RealPostgres;
let gate: Server;
let broker: OpenBroker;
/** What to do when the broker turns to PostgreSQL: its intent is durable by then. */
let onAsked = () => {};

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.sql('CREATE ROLE orders_rw NOLOGIN');
  await postgres.sql('GRANT CREATE, USAGE ON SCHEMA public TO orders_rw');
  gate = createServer((socket) => {
    socket.on('data', () => onAsked());
    const onward = connect(postgres.port, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    for (const end of [socket, onward]) end.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
  const { port } = gate.address() as AddressInfo;
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: {
      'orders-db': {
        kind: 'postgres',
        host: '127.0.0.1',
        port,
        database: 'postgres',
        admin: { store: 'here', name: 'admin' },
        role: 'orders_rw',
      },
    },
    roles: { checkout: ['orders-db'], auditor: { audit: 'read' } },
  });
  const env = { TEST_SECRET_admin: JSON.stringify(postgres.admin) };
  broker = await openBroker(config, folder, { env, commitWorker: commits.commitWorker });
}, 60_000);

afterAll(async () => {
  await broker?.deployment.close();
  gate?.close();
  await postgres?.remove();
  remove();
});

const accounts = async () =>
  (await postgres.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hp\\_%'")).rows.map(({ rolname }) => rolname);
const types = async () => {
  const entries = await broker.deployment.ledger.reader?.list({ limit: 100 }, deadlineIn(2_000, Date.now));
  return (entries ?? []).map(({ record }) => JSON.parse(record).type).reverse();
};

it('hands over a login that is the issuance, acts as the configured role, and is gone when revoked, open session and all', async () => {
  const response = await broker.ask('/v1/credentials/orders-db', issuer.token());
  const issued = await response.json();
  expect(response.status).toBe(200);
  const client = new pg.Client({ connectionString: issued.data.url, ssl: false });
  const ended = new Promise((resolve) => client.on('error', resolve));
  await client.connect();
  const who = await client.query('SELECT session_user, current_user');
  expect(who.rows).toEqual([{ session_user: `hp_${issued.id}`, current_user: 'orders_rw' }]);
  await client.query('CREATE TABLE made_by_a_lease (n int)');
  const owner = await client.query("SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_a_lease'");
  expect(owner.rows).toEqual([{ tableowner: 'orders_rw' }]);
  expect(JSON.parse(issued.receipt.record).lease).toMatchObject({ account: `hp_${issued.id}`, revocable: true });

  const revoked = await broker.ask(`/v1/leases/${issued.id}`, issuer.token(), 'DELETE');
  expect(revoked.status).toBe(204);
  await ended;
  expect(await accounts()).toEqual([]);
  expect(postgres.log()).not.toContain(issued.data.password);
});

it('answers 503 and leaves no role when the ledger fails between intent and outcome; the next recovery says what became of it', async () => {
  onAsked = () => commits.set('disk full');
  const response = await broker.ask('/v1/credentials/orders-db', issuer.token());
  onAsked = () => {};
  expect(response.status).toBe(503);
  expect((await response.json()).code).toBe('ledger_unavailable');
  expect(postgres.log()).toMatch(/CREATE ROLE "?hp_/);
  expect(await accounts()).toEqual([]);

  commits.set(undefined);
  await broker.deployment.recover(deadlineIn(10_000, Date.now));
  expect((await types()).slice(-3)).toEqual(['intent', 'failure', 'revocation']);
});

it('answers 502 and records the failure when PostgreSQL refuses, without a word of it', async () => {
  await postgres.sql('ALTER ROLE orders_rw RENAME TO orders_gone');
  const response = await broker.ask('/v1/credentials/orders-db', issuer.token());
  const text = await response.text();
  await postgres.sql('ALTER ROLE orders_gone RENAME TO orders_rw');
  expect(response.status).toBe(502);
  expect(text).not.toMatch(/orders_rw|role|42704/i);
  expect((await types()).slice(-2)).toEqual(['intent', 'failure']);
  expect(await accounts()).toEqual([]);
});
