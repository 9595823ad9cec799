import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { deadlineIn } from '../../src/lib/deadline.ts';
import type { Platform } from '../../src/lib/platform.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { type TestIssuer, testIssuer } from '../support/issuer.ts';

export const users = ['orders_a', 'orders_b'] as const;
export const credential = 'orders-admin';
export const soon = () => deadlineIn(12_000, Date.now);

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** A server with two users that take turns, and `keeper`, who may change their passwords. */
export async function startTurns(): Promise<RealPostgres> {
  const postgres = await startPostgres();
  // As docs/rotation.md says.
  await postgres.sql(`
    CREATE ROLE orders_rw NOLOGIN;
    CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'not-real-either';
    CREATE ROLE orders_a LOGIN IN ROLE orders_rw;
    CREATE ROLE orders_b LOGIN IN ROLE orders_rw;
    ALTER ROLE orders_a SET role = orders_rw;
    ALTER ROLE orders_b SET role = orders_rw;
    GRANT orders_a, orders_b TO keeper WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
    CREATE ROLE powerless LOGIN PASSWORD 'not-real-either'`);
  return postgres;
}

export const keeper: Login = { username: 'keeper', password: 'not-real-either' };

/** Begins anew: `orders_a` has a password and is stored. */
export async function begin(postgres: RealPostgres, broker: OpenBroker): Promise<Login> {
  const login = { username: users[0], password: randomBytes(12).toString('hex') };
  await postgres.sql(`ALTER ROLE orders_a PASSWORD '${login.password}'; ALTER ROLE orders_b PASSWORD NULL`);
  const store = await broker.deployment.openStore('here');
  await store.put('orders', new Secret(JSON.stringify(login)), soon());
  return login;
}

/** A config whose stored `orders` is rotated at this port. */
export function rotatedConfig(
  folder: string,
  issuer: TestIssuer,
  port: number,
  { rotate = {}, ...more }: Record<string, unknown> & { rotate?: object } = {},
) {
  const address = { host: '127.0.0.1', port, database: 'postgres' };
  const admin = { store: 'vars', name: 'ADMIN' };
  return embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'local', path: join(folder, 'store') }, vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: {
      [credential]: {
        kind: 'secret',
        store: 'here',
        name: 'orders',
        rotate: { kind: 'postgres', ...address, admin, users: [...users], ...rotate },
      },
      'orders-db': { kind: 'postgres', ...address, static: { store: 'here', name: 'orders' } },
      other: { kind: 'secret', store: 'here', name: 'other' },
    },
    roles: {
      checkout: ['orders-db'],
      operator: { secrets: 'rotate' },
      auditor: { audit: 'read' },
    },
    grants: [
      {
        name: 'checkout',
        identity: { issuer: 'ci', subject: 'svc:checkout' },
        may: ['checkout'],
        ttl: '10m',
        maxTtl: '1h',
      },
      { name: 'other', identity: { issuer: 'ci', subject: 'svc:other' }, may: ['other'], ttl: '10h' },
      { name: 'operate', identity: { issuer: 'ci', subject: 'svc:operator' }, may: ['operator'] },
    ],
    ...more,
  });
}

export const envOf = (admin: Login = keeper) => ({ TEST_SECRET_ADMIN: JSON.stringify(admin) });

export const newIssuer = (now?: () => number) => testIssuer('https://issuer.test', 'https://pass.test', now);

export const openRotating = (config: unknown, folder: string, platform: Partial<Platform> = {}): Promise<OpenBroker> =>
  openBroker(config, folder, { env: envOf(), ...platform });

/** What is stored now. */
export async function stored({ deployment }: OpenBroker): Promise<Login & { readonly version: string }> {
  const store = await deployment.openStore('here');
  const { value, version } = await store.get('orders', undefined, soon());
  return { ...JSON.parse(value.revealText()), version };
}

/** Logs in, and tells as whom. */
export async function enter(port: number, { username: user, password }: Login): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres', ssl: false });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query('SELECT session_user AS name')).rows[0].name;
  } finally {
    await client.end();
  }
}

/** The records of rotations and of writes, oldest first: `set`, `store-write 2`. */
export async function steps({ deployment }: OpenBroker): Promise<string[]> {
  const entries = (await deployment.ledger.reader?.list({ limit: 200 }, soon())) ?? [];
  return entries
    .map(({ record }) => JSON.parse(record))
    .filter(({ type }) => type === 'rotation' || type === 'store-write')
    .map(({ type, step = type, reason, version }) =>
      [step, reason ?? version].filter((word) => word !== undefined).join(' '),
    )
    .reverse();
}
