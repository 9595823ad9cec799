// Lone appends to a log of many rows and to an empty one, turn by turn in one run, with sqlite and with PostgreSQL; then
// many callers of one PostgreSQL log and of four shards. Its last line is JSON.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LedgerDriverDeps } from '../src/ledger/drivers/driver.ts';
import { initPostgresLedger } from '../src/ledger/drivers/postgres/init.ts';
import { openPostgresLedger } from '../src/ledger/drivers/postgres/open.ts';
import { postgresLogStore } from '../src/ledger/drivers/postgres/store.ts';
import { openSqliteFile, openSqliteLedger } from '../src/ledger/drivers/sqlite/open.ts';
import type { Ledger } from '../src/ledger/ledger.ts';
import { catchUp } from '../src/ledger/questions/catch-up.ts';
import { askedOf } from '../src/ledger/questions/questions.ts';
import { sqlLogStore } from '../src/ledger/sql/log-store.ts';
import { noteSigner } from '../src/ledger/tree/note.ts';
import { deadlineIn } from '../src/lib/deadline.ts';
import {
  adminOf,
  depsOf,
  laneTo,
  newSchema,
  openAt,
  startServer as startDatabase,
} from '../test/ledger/drivers/postgres-fixture.ts';
import type { RealPostgres } from '../test/real-servers/postgres.ts';
import { fillLog, issuanceOf } from './fill-log.ts';
import { summary } from './median.mjs';

const rows = Number(process.env.BENCH_ROWS ?? 10_000_000);
const rounds = 7;
const perRound = 500;
const workerUrl = new URL(
  'src/ledger/drivers/sqlite/commit-worker.mjs',
  new URL(process.env.BENCH_ROOT ?? '', 'file:///'),
);
const indexUrl = new URL('index-worker.mjs', workerUrl);
const key = new Uint8Array(32).fill(7);
const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
/** Where filled logs stay for the next run, as filling takes longest; a folder of its own for each number of rows. */
const kept = process.env.HALLPASS_BENCH_KEEP && join(process.env.HALLPASS_BENCH_KEEP, String(rows));
if (kept) mkdirSync(kept, { recursive: true });
/** Whether the index knows all rows first and is kept going; it is not, where one only asks what the log itself costs. */
const index = process.env.HALLPASS_BENCH_INDEX !== 'off';
const origin = 'pass.test/ledger';

function sqliteDeps(): LedgerDriverDeps {
  const platform = {
    runtime: 'node' as const,
    now: Date.now,
    random: (bytes: number) => randomBytes(bytes),
    fetch: () => Promise.reject(new Error('no network')),
    log: () => {},
    env: {},
    folder,
    instance: 'bench',
  };
  const writer = { name: 'https://pass.example.com', instance: 'bench', version: '0.1.0' };
  return { platform, origin, writer, secrets: { checkpointKey: key, keys: { assertions: [] } } };
}

async function sqliteOf(name: string, filled: number): Promise<Ledger> {
  const signer = noteSigner(origin, key);
  const path = join(filled > 0 && kept ? kept : folder, name);
  if (filled > 0 && !existsSync(path)) {
    const sql = openSqliteFile(path, signer.vkey, { workerUrl });
    await fillLog(sqlLogStore(sql), signer, filled);
    await sql.close();
  }
  return openSqliteLedger({ kind: 'sqlite', path }, sqliteDeps(), { workerUrl, indexUrl });
}

/** Until the index beside the ledger knows all that is in it. */
async function indexed(ledger: Ledger): Promise<Ledger> {
  for (const log of index ? askedOf(ledger) : [])
    for (;;) {
      await catchUp(log, deadlineIn(10_000, Date.now), { most: 50_000 });
      const deadline = deadlineIn(10_000, Date.now);
      const { base, size } = await log.reader.head(deadline);
      const seen = await log.index?.seen(deadline);
      if (seen === base + size) break;
      process.stderr.write(`index: ${seen} of ${base + size} rows\n`);
    }
  return ledger;
}

/** Keeps the index going beside what is measured, as a server does. */
async function withIndexKept<T>(ledger: Ledger, measured: () => Promise<T>): Promise<T> {
  let going = true;
  const keeping = (async () => {
    while (going && index) {
      for (const log of askedOf(ledger)) await catchUp(log, deadlineIn(10_000, Date.now));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  try {
    return await measured();
  } finally {
    going = false;
    await keeping;
  }
}

/** Milliseconds of lone appends, sorted. */
async function appends(ledger: Ledger): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < perRound; n++) {
    const { record, disclosure } = issuanceOf(n, Date.now());
    const started = performance.now();
    await ledger.append({ entries: [{ record, disclosure }], epoch: 0 }, deadlineIn(10_000, Date.now));
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b);
}

async function postgresOf(server: RealPostgres, filled: number): Promise<Ledger> {
  const schema = filled === 0 ? newSchema() : 'filled';
  const at = adminOf(server, schema);
  const there = await server.sql(`SELECT 1 FROM pg_namespace WHERE nspname = '${schema}'`);
  if (there.rowCount === 1 && filled > 0) return openAt(at, { origin });
  await server.sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const made = await openAt(at, { origin });
  if (filled === 0) return made;
  await made.close();
  const lanes = { writes: laneTo(at, 1), reads: laneTo(at, 2) };
  const store = postgresLogStore({ ...lanes, schema, log: 0, now: Date.now });
  await fillLog(store, noteSigner(origin, key), filled);
  await store.close();
  await server.sql('VACUUM ANALYZE');
  return openAt(at, { origin });
}

const callers = 64;
const burstMs = 4_000;

/** Appends a second of many callers that wait for each of theirs. */
async function throughput(ledger: Ledger): Promise<number> {
  const until = performance.now() + burstMs;
  let done = 0;
  const caller = async () => {
    while (performance.now() < until) {
      const { record, disclosure } = issuanceOf(done, Date.now());
      await ledger.append({ entries: [{ record, disclosure }], epoch: 0 }, deadlineIn(10_000, Date.now));
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done / (burstMs / 1_000);
}

async function shards(server: RealPostgres) {
  const open = async (count: number) => {
    const at = adminOf(server, newSchema());
    await server.sql(`DROP SCHEMA IF EXISTS ${at.schema} CASCADE`);
    const config = { kind: 'postgres' as const, url: { store: 'vars', name: 'LEDGER' }, shards: count };
    const deps = depsOf(at, { origin });
    await initPostgresLedger(config, deps);
    return openPostgresLedger(config, deps);
  };
  const [one, four] = [await open(1), await open(4)];
  const rates = { one: [] as number[], four: [] as number[] };
  for (let round = 0; round < 5; round++) {
    rates.one.push(await throughput(one));
    rates.four.push(await throughput(four));
  }
  await one.close();
  await four.close();
  return {
    [`postgres, ${callers} callers, 1 log (1/s)`]: summary(rates.one),
    [`postgres, ${callers} callers, 4 shards (1/s)`]: summary(rates.four),
    'postgres, 4 shards / 1 log': summary(rates.four.map((rate, round) => rate / (rates.one[round] as number))),
  };
}

const at = (sorted: readonly number[], share: number) => sorted[Math.floor(sorted.length * share)] as number;

async function compare(name: string, empty: Ledger, full: Ledger) {
  const lone = (ledger: Ledger) => withIndexKept(ledger, () => appends(ledger));
  for (const ledger of [empty, full]) await lone(ledger);
  const ratios = { p50: [] as number[], p99: [] as number[] };
  const p50s = { empty: [] as number[], full: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const [few, many] = [await lone(empty), await lone(full)];
    ratios.p50.push(at(many, 0.5) / at(few, 0.5));
    ratios.p99.push(at(many, 0.99) / at(few, 0.99));
    p50s.empty.push(at(few, 0.5));
    p50s.full.push(at(many, 0.5));
  }
  await empty.close();
  await full.close();
  const [p50, p99] = [summary(ratios.p50), summary(ratios.p99)];
  const named = `${name} append at ${rows} rows / empty`;
  return {
    figures: {
      [`${name} append, empty, p50 (ms)`]: summary(p50s.empty),
      [`${name} append, ${rows} rows, p50 (ms)`]: summary(p50s.full),
      [`${named}, p50`]: p50,
      [`${named}, p99`]: p99,
    },
    targets: [
      { name: `${named}, p50`, value: p50.median, atMost: 1.1 },
      { name: `${named}, p99`, value: p99.median, atMost: 1.5 },
    ],
  };
}

const parts = (process.env.BENCH_DRIVERS ?? 'sqlite,postgres').split(',');
const cluster = kept && join(kept, 'postgres');
if (cluster) mkdirSync(cluster, { recursive: true });
const server = await startDatabase(
  { max_wal_size: '4GB' },
  cluster ? { parent: cluster, made: existsSync(join(cluster, 'data')) } : {},
);
try {
  // Filled first, so that what is compared afterwards has the machine to itself.
  const pairs = new Map<string, readonly [Ledger, Ledger]>();
  if (parts.includes('sqlite'))
    pairs.set('sqlite', [await sqliteOf('empty.db', 0), await indexed(await sqliteOf('full.db', rows))]);
  if (parts.includes('postgres'))
    pairs.set('postgres', [await postgresOf(server, 0), await indexed(await postgresOf(server, rows))]);
  process.stderr.write('filled; comparing\n');
  const compared = [];
  for (const [name, [empty, full]] of pairs) compared.push(await compare(name, empty, full));
  const figures = Object.assign(
    {},
    ...compared.map((one) => one.figures),
    parts.includes('postgres') && (await shards(server)),
  );
  console.log(JSON.stringify({ figures, targets: compared.flatMap(({ targets }) => targets) }));
} finally {
  await (kept ? server.stop() : server.remove());
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
