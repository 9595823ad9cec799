import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TargetCredential } from '../../src/credentials/kind.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { depsFor, openKind } from '../contracts/kind.ts';
import { faultyCommits } from '../faults/faulty-commits.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const password = 'not-a-real-password';
const database = { database: 'orders', role: 'orders_rw' };
const kinds = {
  mysql: { server: 'mariadb', entry: database },
  redis: { server: 'redis', entry: { rules: ['~orders:*', '+@read'] } },
} as const;

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('a lease of %s at a real server', (kind) => {
  const { server: name, entry } = kinds[kind];
  const lacking = lacks(name);
  const { folder, remove } = temporaryFolder();
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  const commits = faultyCommits(folder, 'ledger');
  let server: RealServer;
  let port: number;
  let front: Server;
  let broker: OpenBroker;
  /** What to do when the broker turns to the server: its intent is durable by then. */
  let onConnect = () => {};
  let isDown = false;

  beforeAll(async () => {
    if (lacking !== undefined) return;
    server = await startReal(name);
    port = Number(new URL(server.url).port);
    if (kind === 'mysql') {
      const root = await mysql.createConnection({
        host: '127.0.0.1',
        port,
        user: 'admin',
        password,
        disableEval: true,
      });
      await root.query('CREATE ROLE orders_rw');
      await root.end();
    }
    front = createServer((socket) => {
      onConnect();
      if (isDown) return socket.destroy();
      const onward = connect(port, '127.0.0.1');
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on('error', () => socket.destroy());
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const at = { host: '127.0.0.1', port: (front.address() as AddressInfo).port };
    const config = embeddedConfig(folder, issuer, {
      stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
      credentials: { orders: { kind, ...at, admin: { store: 'here', name: 'admin' }, ...entry } },
      roles: { checkout: ['orders'], auditor: { audit: 'read' } },
    });
    const env = { TEST_SECRET_admin: JSON.stringify({ username: 'admin', password }) };
    broker = await openBroker(config, folder, { env, commitWorker: commits.commitWorker });
  });
  afterAll(async () => {
    await broker?.deployment.close();
    front?.close();
    await server?.stop();
    remove();
  });

  const soon = () => deadlineIn(10_000, Date.now);
  const accounts = async () => {
    const deps = { ...depsFor({ ADMIN: JSON.stringify({ username: 'admin', password }) }), name: 'orders' };
    const direct = { kind, host: '127.0.0.1', port, admin: { store: 'vars', name: 'ADMIN' }, ...entry };
    const credential = (await openKind(direct, deps)) as TargetCredential;
    return (await credential.accounts?.(soon()))?.map(({ account }) => account);
  };
  const types = async () => {
    const entries = await broker.deployment.ledger.reader?.list({ limit: 100 }, soon());
    return (entries ?? []).map(({ record }) => JSON.parse(record).type).reverse();
  };

  it.skipIf(lacking !== undefined)('is an account while it lives, and none once it is revoked', async () => {
    const response = await broker.ask('/v1/credentials/orders', issuer.token());
    const issued = await response.json();
    expect(response.status).toBe(200);
    expect(issued.data.username).toBe(`hp_${issued.id}`);
    expect(JSON.parse(issued.receipt.record).lease).toMatchObject({ account: `hp_${issued.id}`, revocable: true });
    expect(await accounts()).toEqual([`hp_${issued.id}`]);
    expect((await broker.ask(`/v1/leases/${issued.id}`, issuer.token(), 'DELETE')).status).toBe(204);
    expect(await accounts()).toEqual([]);
  });

  it.skipIf(lacking !== undefined)('is none where the ledger failed between intent and outcome', async () => {
    onConnect = () => commits.set('disk full');
    const response = await broker.ask('/v1/credentials/orders', issuer.token());
    onConnect = () => {};
    expect(response.status).toBe(503);
    expect(await accounts()).toEqual([]);
    commits.set(undefined);
    await broker.deployment.recover(soon());
    expect((await types()).slice(-3)).toEqual(['intent', 'failure', 'revocation']);
  });

  it.skipIf(lacking !== undefined)('is ended by the sweeper where the server was down at its revocation', async () => {
    const { id } = await (await broker.ask('/v1/credentials/orders', issuer.token())).json();
    isDown = true;
    expect((await broker.ask(`/v1/leases/${id}`, issuer.token(), 'DELETE')).status).toBe(202);
    const failed = { id, credential: 'orders', reason: 'unreachable' };
    const vain = await broker.deployment.sweep(soon(), false);
    expect([vain.unrevoked, vain.failed]).toEqual([1, [failed]]);
    isDown = false;
    expect(await accounts()).toEqual([`hp_${id}`]);
    const swept = await broker.deployment.sweep(soon(), false);
    expect([swept.undone, swept.unrevoked]).toEqual([1, 0]);
    expect(await accounts()).toEqual([]);
  });
});
