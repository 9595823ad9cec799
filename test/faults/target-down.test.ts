import { afterAll, beforeAll, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
let shift = 0;
const now = () => Date.now() + shift;
const issuer = testIssuer('https://issuer.test', 'https://pass.test', now);
let postgres: RealPostgres;
let broker: OpenBroker;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.sql('CREATE ROLE orders_rw NOLOGIN');
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: {
      'orders-db': {
        kind: 'postgres',
        host: '127.0.0.1',
        port: postgres.port,
        database: 'postgres',
        admin: { store: 'here', name: 'admin' },
        role: 'orders_rw',
      },
    },
    roles: { checkout: ['orders-db'], operator: { leases: 'revoke' } },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '2h' },
      { name: 'operate', identity: { issuer: 'ci', subject: 'svc:operator' }, may: ['operator'] },
    ],
  });
  const env = { TEST_SECRET_admin: JSON.stringify(postgres.admin) };
  broker = await openBroker(config, folder, { env, now });
}, 60_000);

afterAll(async () => {
  await broker?.deployment.close();
  await postgres?.remove();
  remove();
});

const operator = () => issuer.token({ sub: 'svc:operator' });
const accounts = async () => (await postgres.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hp\\_%'")).rows;
const reasons = async (id: string) =>
  (await broker.deployment.ledger.issuance(id, deadlineIn(2_000, now))).flatMap(
    ({ record }) => JSON.parse(record).reason ?? [],
  );

it('answers 202 while PostgreSQL is down, keeps the lease listed for an hour, and ends it when it is back', {
  timeout: 60_000,
}, async () => {
  const { id } = await (await broker.ask('/v1/credentials/orders-db', issuer.token())).json();
  await postgres.stop();
  const revoke = async (token: string) => (await broker.ask(`/v1/leases/${id}`, token, 'DELETE')).status;
  expect(await revoke(issuer.token())).toBe(202);

  for (let minutes = 0; minutes < 65; minutes++) {
    shift += 60_000;
    await broker.deployment.recover(deadlineIn(30_000, now));
    const list = await broker.ask('/v1/leases?state=unrevoked', operator(), 'GET');
    const { items } = await list.json();
    expect(items).toMatchObject([{ id, account: `hp_${id}`, reason: 'requested', failed: { tries: minutes + 1 } }]);
  }
  expect(await revoke(operator())).toBe(202);
  const report = await (await broker.ask('/v1/leases/sweep', operator())).json();
  expect(report).toMatchObject({ undone: 0, unrevoked: 1, failed: [{ id, credential: 'orders-db' }] });
  expect(broker.deployment.metrics.render()).toContain('hallpass_leases_unrevoked{credential="orders-db"} 1\n');
  expect(await reasons(id)).toEqual(['requested', 'unrevoked', 'unrevoked']);

  await postgres.start();
  expect(await accounts()).toEqual([{ rolname: `hp_${id}` }]);
  shift += 60_000;
  await broker.deployment.recover(deadlineIn(30_000, now));
  expect(await accounts()).toEqual([]);
  expect(await reasons(id)).toEqual(['requested', 'unrevoked', 'unrevoked', 'done']);
  expect(broker.deployment.metrics.render()).toContain('hallpass_leases_unrevoked{credential="orders-db"} 0\n');
  expect(await revoke(issuer.token())).toBe(204);
});
