// PostgreSQL credentials through the whole broker (its app, its policy, its ledger in a file) and at a real server that
// syncs what it commits. Prints one JSON line.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { inTurns, issueAndSweep, type Mode, openLoad, type PostgresLoad } from '../test/credentials/postgres-load.ts';

const rounds = Number(process.env.HALLPASS_BENCH_ROUNDS ?? 5);
const issuances = Number(process.env.HALLPASS_BENCH_ISSUANCES ?? 10_000);
const callers = 16;
const aTurn = 240;
const starts = 100; // no more than the pool has users: they are not given back

const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
const load = await openLoad(folder, aTurn);
const rates: Record<string, number[]> = {};
const p99: Record<string, number[]> = {};
const firstRow: Record<string, { p50: number; p99: number }> = {};

const quantile = (values: readonly number[], at: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * at))] ?? Number.NaN;

function note(name: string, { took, failed, seconds }: Awaited<ReturnType<typeof inTurns>>): void {
  if (failed.length > 0) throw new Error(`${name}: ${failed.length} failed, the first: ${failed[0]}`);
  rates[name] = [...(rates[name] ?? []), took.length / seconds];
  p99[name] = [...(p99[name] ?? []), quantile(took, 0.99)];
}

async function compareRates(): Promise<void> {
  const { host, port, admin } = load.server;
  const clients = await Promise.all(
    Array.from({ length: callers }, async () => {
      const client = new pg.Client({
        host,
        port,
        user: admin.username,
        password: admin.password,
        database: 'postgres',
      });
      await client.connect();
      return client;
    }),
  );
  let made = 0;
  const bare = (more: () => string) => (_: number, caller: number) =>
    clients[caller]?.query(`CREATE ROLE bare_${made++} ${more()}`) ?? Promise.reject(new Error('no client'));
  const login = () => `LOGIN PASSWORD '${randomBytes(32).toString('base64url')}' VALID UNTIL '2099-01-01'`;
  const ids: string[] = [];
  const issue = (mode: Mode) => async () => ids.push((await load.issue(mode)).id);
  const giveBack = () => inTurns(ids.length, callers, () => load.revoke(ids.pop() as string));
  // Warm first: what is compared is a broker that has been up for a while, and a pool whose users are there.
  for (const mode of ['user', 'once', 'share', 'pool'] as const) await inTurns(aTurn, callers, issue(mode));
  await giveBack();
  for (let round = 0; round < rounds; round++) {
    note(
      'CREATE ROLE, no login',
      await inTurns(
        aTurn,
        callers,
        bare(() => ''),
      ),
    );
    note('CREATE ROLE, a login', await inTurns(aTurn, callers, bare(login)));
    for (const mode of ['user', 'once', 'pool', 'share'] as const) {
      note(mode, await inTurns(aTurn, callers, issue(mode)));
      const count = ids.length;
      const back = await giveBack();
      if (mode !== 'share') note(`${mode}, given back`, { ...back, took: back.took.slice(0, count) });
    }
    process.stderr.write(`round ${round + 1} of ${rounds}\n`);
  }
  for (const client of clients) await client.end();
}

/** From a handler's start to its first row: cold it has nothing, warm it has a credential that is still good. */
async function timeFirstRows(): Promise<void> {
  const tokenUrl = (value: string) => `postgres://tokened:${value}@127.0.0.1:${load.server.port}/postgres`;
  const urlOf = async (mode: Mode) => {
    const { data } = await load.issue(mode);
    return mode === 'token' ? tokenUrl(data.value) : data.url;
  };
  const row = async (connectionString: string) => {
    const client = new pg.Client({ connectionString, ssl: false });
    await client.connect();
    await client.query('SELECT 1');
    await client.end();
  };
  for (const mode of ['static', 'token', 'user', 'once', 'pool', 'share'] as const) {
    const cold = await inTurns(starts, 1, async () => row(await urlOf(mode)));
    const url = await urlOf(mode);
    const warm = await inTurns(starts, 1, () => row(url));
    for (const [name, { took, failed }] of Object.entries({ cold, warm })) {
      if (failed.length > 0) throw new Error(`${mode} ${name}: ${failed[0]}`);
      firstRow[`${mode}, ${name}`] = { p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
    }
  }
}

async function manyOf(load: PostgresLoad) {
  const { failed, unrecorded, left, took, seconds } = await issueAndSweep(load, issuances, callers);
  return {
    failed: failed.length,
    unrecorded,
    left,
    'rate (1/s)': took.length / seconds,
    'p99 (ms)': quantile(took, 0.99),
  };
}

try {
  await compareRates();
  await timeFirstRows();
  console.log(JSON.stringify({ rates, p99, firstRow, many: await manyOf(load), issuances }));
} finally {
  await load.close();
  rmSync(folder, { recursive: true, force: true });
}
