import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inspectPostgresLedger } from '../../src/ledger/drivers/postgres/inspect.ts';
import { adminOf, depsOf, startServer as startDatabase, urlOf } from '../ledger/drivers/postgres-fixture.ts';
import { startLoad } from '../real/load.ts';
import type { RealPostgres } from '../real-servers/postgres.ts';
import { embeddedConfig } from '../support/config.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

const kills = Number(process.env.HALLPASS_KILLS ?? 2);
const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', 'https://pass.test');
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
let postgres: RealPostgres;
const brokers: RunningServer[] = [];

beforeAll(async () => {
  postgres = await startDatabase();
}, 60_000);
afterAll(async () => {
  for (const broker of brokers) await broker.kill();
  await postgres?.remove();
  remove();
});

it(`keeps every record a client holds a receipt for, over ${kills} kill -9 of a broker or of PostgreSQL under load`, {
  timeout: 60_000 + kills * 12_000,
}, async () => {
  const at = adminOf(postgres, 'hallpass_ledger');
  const secrets = {
    KILL_LEDGER: urlOf(at),
    KILL_STRIPE: 'not-a-real-key',
    KILL_SEED: randomBytes(32).toString('hex'),
  };
  const ref = (name: string) => ({ store: 'vars', name });
  const file = writeConfig(
    folder,
    embeddedConfig(folder, issuer, {
      broker: { url: 'https://pass.test', signer: { kind: 'local', path: join(folder, 'keys') } },
      ledger: { kind: 'postgres', url: ref('LEDGER'), seed: ref('SEED') },
      stores: { vars: { kind: 'env', prefix: 'KILL_' } },
      credentials: {
        'stripe-key': { kind: 'secret', store: 'vars', name: 'STRIPE' },
        partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
      },
    }),
  );
  const made = runCli(['ledger', 'init', '--config', file], secrets);
  expect(made.code, made.stderr).toBe(0);
  const key = made.stdout.trim();
  // Two brokers that write the same tables, each for itself.
  const ports = [await freePort(), await freePort()];
  for (const port of ports) brokers.push(await startServer(file, port, [], secrets));
  const loads = brokers.map(({ url }) => startLoad(url, issuer, key, 6));

  for (let kill = 0; kill < kills; kill++) {
    await sleep(300 + Math.random() * 700);
    if (kill % 2 === 0) {
      await postgres.kill();
      await postgres.start();
    } else {
      const which = Math.floor(Math.random() * brokers.length);
      await (brokers[which] as RunningServer).kill();
      brokers[which] = await startServer(file, ports[which], [], secrets);
    }
  }
  await sleep(1_000);
  for (const load of loads) await load.stop();

  const verified = runCli(['ledger', 'verify', '--config', file], secrets);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const held = loads.flatMap((load) => [...load.held]);
  const { source, close } = await inspectPostgresLedger({ kind: 'postgres', url: ref('LEDGER') }, depsOf(at));
  const { size } = await source.head();
  const records = new Map((await source.entries(0, size)).map(({ index, record }) => [index, record]));
  await close();
  expect(held.length).toBeGreaterThan(kills * 10);
  expect(held.filter(([index, record]) => records.get(index) !== record)).toEqual([]);
  console.log(`${kills} kills: ${held.length} acknowledged records in ${size} entries, none missing`);
});
