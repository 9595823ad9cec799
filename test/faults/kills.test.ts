import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

const kills = Number(process.env.HALLPASS_KILLS ?? 6);
const clients = 4;
const minute = 60_000;

const { folder, remove } = temporaryFolder();
let shift = 0;
const now = () => Date.now() + shift;
const issuer = testIssuer('https://issuer.test', 'https://pass.test', now);
let postgres: RealPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.sql('CREATE ROLE orders_rw NOLOGIN');
}, 60_000);
afterAll(async () => {
  await postgres?.remove();
  remove();
});

interface Held {
  readonly id: string;
  readonly data: { readonly url: string };
  readonly receipt: Parameters<typeof verifyReceipt>[0];
}

const accounts = async () =>
  new Set(
    (await postgres.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'hp\\_%'")).rows.map(
      ({ rolname }) => rolname as string,
    ),
  );

/** Where the requests were that a kill met, by what the ledger and PostgreSQL have of them. */
const places = {
  'before its intent was recorded': 0,
  'after the intent, before the account': 0,
  'after the account, before its record': 0,
  'after the record, before the answer': 0,
};

it(`leaves after one sweep no account that no client holds, over ${kills} kill -9 between intent and release`, {
  timeout: 90_000 + kills * 8_000,
}, async () => {
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
    roles: { checkout: ['orders-db'] },
    grants: [
      {
        name: 'checkout',
        identity: { issuer: 'ci', subject: 'svc:checkout' },
        may: ['checkout'],
        ttl: '2h',
        maxTtl: '6h',
      },
    ],
  });
  const env = { TEST_SECRET_admin: JSON.stringify(postgres.admin) };
  const file = writeConfig(folder, config);
  const held = new Map<string, Held>();
  let size = 0;
  let met = 0;

  for (let round = 0; round < kills; round++) {
    const server = await startServer(file, 0, [], env);
    let stopped = false;
    let answers = 0;
    let latency = 0;
    let underWay = 0;
    const client = async () => {
      while (!stopped) {
        underWay++;
        const began = performance.now();
        const issued = await fetch(`${server.url}/v1/credentials/orders-db`, {
          method: 'POST',
          headers: { authorization: `Bearer ${issuer.token()}` },
        })
          .then(async (response) => (await response.json()) as Held)
          .catch(() => undefined);
        if (issued?.receipt === undefined) return;
        held.set(issued.id, issued);
        answers++;
        latency = performance.now() - began;
        underWay--;
      }
    };
    const running = Array.from({ length: clients }, client);
    while (answers < 3 * clients) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1.5 * latency));
    stopped = true;
    await server.kill();
    await Promise.all(running);
    met += underWay;
    // What PostgreSQL was asked last may still be on its way.
    await new Promise((resolve) => setTimeout(resolve, 100));
    size = await place(size, underWay);
  }

  async function place(from: number, underWay: number): Promise<number> {
    const there = await accounts();
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const { size: to } = await source.head();
    const entries = await source.entries(from, to);
    await close();
    const landed = new Set(entries.filter(({ type }) => type === 'issuance').map(({ id }) => id));
    let seen = 0;
    for (const { type, issuance } of entries) {
      if (type !== 'intent' || issuance === null || held.has(issuance)) continue;
      seen++;
      if (landed.has(issuance)) places['after the record, before the answer']++;
      else if (there.has(`hp_${issuance}`)) places['after the account, before its record']++;
      else places['after the intent, before the account']++;
    }
    places['before its intent was recorded'] += underWay - seen;
    return to;
  }

  const left = await accounts();
  const { deployment, send } = await openBroker(config, folder, { env, now });
  const vkey = await deployment.ledger.key(deadlineIn(2_000, now));
  for (const { receipt } of held.values()) verifyReceipt(receipt, vkey);
  // Who has a credential keeps it; what nobody holds is past its time by then.
  shift = 60 * minute;
  for (const id of held.keys()) {
    const headers = { authorization: `Bearer ${issuer.token()}` };
    const { status } = await send(`/v1/leases/${id}/renew`, { method: 'POST', headers });
    expect(status).toBe(200);
  }
  shift = 130 * minute;
  const report = await deployment.sweep(deadlineIn(2 * minute, now), false);
  await deployment.close();

  const begun = met - places['before its intent was recorded'];
  console.log(
    [
      `${kills} kills met ${met} requests under way; ${held.size} credentials held, ${left.size} accounts before the sweep:`,
      ...Object.entries(places).map(([where, count]) => `  ${where.padEnd(40)}${count}`),
      `one sweep ended ${report.undone}; the servers that started in between had ended ${begun - report.undone} (older than 75 s)`,
    ].join('\n'),
  );
  expect([...(await accounts())].sort()).toEqual([...held.keys()].map((id) => `hp_${id}`).sort());
  expect(report).toMatchObject({ failed: [], unrevoked: 0, orphans: [] });
  const [one] = [...held.values()].slice(-1);
  const login = new pg.Client({ connectionString: one?.data.url, ssl: false });
  await login.connect();
  await login.end();
  const verified = runCli(['ledger', 'verify', '--config', file], env);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
});
