import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AppendRequest } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import type { Refusal } from '../../../src/lib/refusal.ts';
import { refusal } from '../../contracts/ledger.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import {
  adminOf,
  config,
  depsOf,
  emptyTables,
  findings,
  openAt,
  openShard,
  startServer,
  superuser,
} from './postgres-fixture.ts';
import { type PostgresProxy, postgresProxy } from './postgres-proxy.ts';

const schema = 'faults';
let server: RealPostgres;
let client: pg.Client;
let proxy: PostgresProxy;
const open: Log[] = [];

beforeAll(async () => {
  server = await startServer();
  client = await superuser(server);
  await (await openAt(direct())).close();
  proxy = await postgresProxy(server);
});
afterEach(async () => {
  proxy.set(undefined);
  for (const ledger of open.splice(0)) await ledger.close();
  await emptyTables(client, schema);
});
afterAll(async () => {
  await proxy.close();
  await client.end();
  await server.remove();
});

const direct = () => adminOf(server, schema);
async function opened(at = direct(), given = {}): Promise<Log> {
  const ledger = await openShard(config, depsOf(at, given), undefined);
  open.push(ledger);
  return ledger;
}
const throughProxy = (given = {}) => opened({ ...direct(), port: proxy.port }, given);

const newRequest = (): AppendRequest => asking(scribe(clockAt(Date.now())).denial());
const idOf = ({ entries }: AppendRequest) => parseRecord(entries[0]?.record ?? '').id;
const indexOf = async (request: AppendRequest) =>
  (await client.query(`SELECT idx FROM ${schema}.entries WHERE id = '${idOf(request)}'`)).rows.map(({ idx }) =>
    Number(idx),
  );

/** Appends until it is taken: within a second of the end of a fault. */
async function appendAgain(ledger: Log, request = newRequest()) {
  const began = Date.now();
  for (;;) {
    try {
      return (await ledger.append(request, soon(2_500))).receipts[0] as NonNullable<unknown> as {
        index: number;
        proof: string;
        log: string;
        record: string;
      };
    } catch (error) {
      if (Date.now() - began > 5_000) throw error;
    }
  }
}

/** Makes the ledger take turns: another one is first once. */
async function crowd(ledger: Log): Promise<void> {
  const other = await opened();
  await ledger.append(newRequest(), soon());
  const { held, release } = proxy.hold(2);
  const late = ledger.append(newRequest(), soon());
  await held;
  await other.append(newRequest(), soon());
  release();
  await late;
}

describe('a connection that is cut', () => {
  const hows = ['before', 'after'] as const;

  /** Whether an append was answered with its receipt, and whether it was written, with this fault. */
  async function tried(ledger: Log, at: number, how: 'before' | 'after'): Promise<string> {
    const request = newRequest();
    proxy.set({ at, how });
    const answer = await ledger.append(request, soon()).then(
      () => 'acknowledged',
      (error: Refusal) => `${error.code} ${error.reason}`,
    );
    proxy.set(undefined);
    const written = await indexOf(request);
    const again = await appendAgain(ledger, request);
    if (written.length > 0) expect(again.index).toBe(written[0]);
    verifyReceipt(again as never, await ledger.key(soon()));
    expect(await indexOf(request)).toEqual([again.index]);
    return `${answer}, ${written.length === 1 ? 'written' : 'not written'}`;
  }

  const refused = 'ledger_unavailable unreachable';

  it('before and after each statement of an append: written once or not at all, and the same receipt later', async () => {
    const ledger = await throughProxy();
    await ledger.append(newRequest(), soon());
    const outcomes: Record<string, string> = {};
    for (const how of hows)
      for (const [at, name] of ['look-up', 'commit'].entries())
        outcomes[`${how} the ${name}`] = await tried(ledger, at + 1, how);
    expect(outcomes).toEqual({
      'before the look-up': 'acknowledged, written',
      'before the commit': `${refused}, not written`,
      'after the look-up': 'acknowledged, written',
      'after the commit': `${refused}, written`,
    });
    expect(await findings(direct())).toEqual([]);
  });

  it('before and after each statement of an append in its turn, too', async () => {
    // A clock that stands still: turns are taken for as long as the test lasts.
    const at = Date.now();
    const ledger = await throughProxy({ now: () => at });
    await crowd(ledger);
    const outcomes: Record<string, string> = {};
    for (const how of hows)
      for (const [index, name] of ['turn', 'look-up', 'commit', 'end'].entries())
        outcomes[`${how} the ${name}`] = await tried(ledger, index + 1, how);
    expect(outcomes).toEqual({
      'before the turn': 'acknowledged, written',
      'before the look-up': 'acknowledged, written',
      'before the commit': `${refused}, not written`,
      'before the end': `${refused}, not written`,
      'after the turn': 'acknowledged, written',
      'after the look-up': 'acknowledged, written',
      'after the commit': expect.stringContaining(refused),
      'after the end': `${refused}, written`,
    });
    expect(await findings(direct())).toEqual([]);
  });

  it('while the server is in the midst of the commit: nothing of it stays', async () => {
    const ledger = await opened();
    await ledger.append(newRequest(), soon());
    const request = newRequest();
    // The last of the tables that a commit writes to: its head and entries are written by then.
    const lock = server.sql(`BEGIN; LOCK TABLE ${schema}.checkpoints IN EXCLUSIVE MODE; SELECT pg_sleep(0.6)`);
    const waiting = (await untilRow("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Timeout'")) as never;
    expect(waiting).toBeDefined();
    const appended = refusal(ledger.append(request, soon()));
    await untilRow(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'hallpass ledger'",
    );
    expect((await appended).reason).toBe('unreachable');
    await lock;
    expect(await indexOf(request)).toEqual([]);
    await appendAgain(ledger, request);
    expect(await findings(direct())).toEqual([]);
  });

  async function untilRow(sql: string): Promise<unknown> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const { rows } = await server.sql(sql);
      if (rows.length > 0) return rows[0];
    }
    throw new Error('it did not come');
  }
});

/** Refused while it lasts, nothing written; and well again by itself after. */
async function survives(ledger: Log, fault: { start(): unknown; end(): unknown }, reason: string): Promise<void> {
  await ledger.append(newRequest(), soon());
  await fault.start();
  const began = Date.now();
  const lost = newRequest();
  expect(await refusal(ledger.append(lost, soon(3_000)))).toMatchObject({ code: 'ledger_unavailable', reason });
  expect((await refusal(ledger.append(newRequest(), soon(3_000)))).code).toBe('ledger_unavailable');
  expect(Date.now() - began).toBeLessThan(7_000);
  await fault.end();
  await appendAgain(ledger);
  expect(await indexOf(lost)).toEqual([]);
  await ledger.ready(soon());
  expect(await findings(direct())).toEqual([]);
}

describe('a postgres ledger survives', () => {
  it('a server that does not answer: refused by the deadline', async () => {
    const ledger = await throughProxy();
    await survives(
      ledger,
      { start: () => proxy.set({ at: 1, how: 'hang' }), end: () => proxy.set(undefined) },
      'timeout',
    );
  });

  it('a server that others took the place of: what reads does not go on with it', async () => {
    let { port } = proxy;
    const ledger = await openShard(
      config,
      depsOf(() => ({ ...direct(), port })),
      undefined,
    );
    open.push(ledger);
    await ledger.append(newRequest(), soon());
    proxy.set({ at: 1, how: 'hang' });
    port = server.port;
    expect((await refusal(ledger.append(newRequest(), soon()))).reason).toBe('timeout');
    expect((await ledger.append(newRequest(), soon(1_500))).receipts).toHaveLength(1);
    expect(await findings(direct())).toEqual([]);
  });

  it('a database that became read-only', async () => {
    const ledger = await opened();
    const set = async (change: string, value: string) => {
      await client.query(`ALTER SYSTEM ${change}`);
      await client.query('SELECT pg_reload_conf()');
      const shown = async () => (await server.sql('SHOW default_transaction_read_only')).rows[0];
      while ((await shown()).default_transaction_read_only !== value);
    };
    const start = () => set('SET default_transaction_read_only = on', 'on');
    const end = () => set('RESET default_transaction_read_only', 'off');
    await survives(ledger, { start, end }, 'read_only');
  });

  it('a disk that is full, as the server says it (53100)', async () => {
    const ledger = await opened();
    await server.sql(`CREATE OR REPLACE FUNCTION ${schema}.no_space() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END$$`);
    const on = `ON ${schema}.entries`;
    await survives(
      ledger,
      {
        start: () => server.sql(`CREATE TRIGGER no_space BEFORE INSERT ${on} EXECUTE FUNCTION ${schema}.no_space()`),
        end: () => server.sql(`DROP TRIGGER no_space ${on}`),
      },
      'disk_full',
    );
  });

  it.skipIf(!canMount())('a disk that is really full (a tablespace on tmpfs; needs the right to mount)', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'hallpass-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0777', 'tmpfs', disk]);
    const space = join(disk, 'space');
    execFileSync('install', ['-d', '-m', '0700', '-o', 'postgres', space]);
    const moved = (to: string) => server.sql(`ALTER TABLE ${schema}.entries SET TABLESPACE ${to}`);
    try {
      const ledger = await opened();
      await server.sql(`CREATE TABLESPACE small LOCATION '${space}'`);
      await moved('small');
      const write = scribe(clockAt(Date.now()));
      const many = () => ledger.append(asking(...Array.from({ length: 200 }, () => write.denial())), soon());
      let error: Refusal | undefined;
      for (let attempt = 0; attempt < 50 && error === undefined; attempt++)
        error = await many().then(
          () => undefined,
          (cause) => cause,
        );
      expect(error).toMatchObject({ code: 'ledger_unavailable', reason: 'disk_full' });
      execFileSync('mount', ['-o', 'remount,size=16m', disk]);
      expect((await many()).receipts).toHaveLength(200);
      expect(await findings(direct())).toEqual([]);
    } finally {
      await moved('pg_default');
      await server.sql('DROP TABLESPACE small');
      execFileSync('umount', ['-l', disk]);
      rmSync(disk, { recursive: true });
    }
  });

  it('a commit that was told not to be durable: it is not acknowledged', async () => {
    const ledger = await opened();
    await ledger.append(newRequest(), soon());
    await server.sql(`CREATE OR REPLACE FUNCTION ${schema}.hasty() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN NEW; END$$;
      CREATE TRIGGER hasty BEFORE UPDATE ON ${schema}.head FOR EACH ROW EXECUTE FUNCTION ${schema}.hasty()`);
    expect((await refusal(ledger.append(newRequest(), soon()))).reason).toBe('not_durable');
    await server.sql(`DROP TRIGGER hasty ON ${schema}.head`);
    await appendAgain(ledger);
    expect(await findings(direct())).toEqual([]);
  });

  it('a text, or an erasure, that was told not to be durable: it is not acknowledged either', async () => {
    const ledger = await opened();
    const { receipts } = await ledger.append(newRequest(), soon());
    const { texts, erase } = ledger as Required<Pick<typeof ledger, 'texts' | 'erase'>>;
    expect(await texts.write('cursor', undefined, '1', soon())).toBe(true);
    await server.sql(`CREATE OR REPLACE FUNCTION ${schema}.careless() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM set_config('synchronous_commit', 'off', true); RETURN COALESCE(NEW, OLD); END$$`);
    for (const table of ['texts', 'disclosures'])
      await server.sql(`CREATE TRIGGER careless BEFORE INSERT OR UPDATE OR DELETE ON ${schema}.${table} FOR EACH ROW
        EXECUTE FUNCTION ${schema}.careless()`);
    expect((await refusal(texts.write('other', undefined, '1', soon()))).reason).toBe('not_durable');
    expect((await refusal(texts.write('cursor', '1', '2', soon()))).reason).toBe('not_durable');
    expect((await refusal(erase([receipts[0]?.index ?? 0], soon()))).reason).toBe('not_durable');
    for (const table of ['texts', 'disclosures']) await server.sql(`DROP TRIGGER careless ON ${schema}.${table}`);
  });

  it('a crash of the server under load: what was acknowledged is there, and the load goes on', async () => {
    const ledger = await opened();
    const key = await ledger.key(soon());
    const acknowledged: Awaited<ReturnType<typeof appendAgain>>[] = [];
    let going = true;
    let refused = 0;
    const load = Array.from({ length: 8 }, async () => {
      while (going) {
        const request = newRequest();
        try {
          acknowledged.push((await ledger.append(request, soon(2_500))).receipts[0] as never);
        } catch {
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    const enough = async (count: number) => {
      while (acknowledged.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await enough(50);
    await crash(server);
    const before = acknowledged.length;
    await server.start();
    client = await superuser(server);
    await enough(before + 50);
    going = false;
    await Promise.all(load);
    expect(refused).toBeGreaterThan(0);
    for (const receipt of acknowledged) verifyReceipt(receipt as never, key);
    const { rows } = await server.sql(`SELECT idx, record FROM ${schema}.entries`);
    const stored = new Map(rows.map(({ idx, record }) => [Number(idx), record]));
    for (const { index, record } of acknowledged) expect(stored.get(index)).toBe(record);
    expect(await findings(direct())).toEqual([]);
  });
});

describe('two brokers on one log', () => {
  it('append at once without a fork', async () => {
    const [one, two] = [await opened(), await opened()];
    const key = await one.key(soon());
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? one : two).append(newRequest(), soon())),
    );
    expect(new Set(results.map(({ receipts }) => receipts[0]?.index)).size).toBe(200);
    for (const { receipts } of results) verifyReceipt(receipts[0] as never, key);
    expect(await findings(direct())).toEqual([]);
  });

  it('ten, each with one append at a time, all get their turn', async () => {
    const ledgers = await Promise.all(Array.from({ length: 10 }, () => opened()));
    await Promise.all(
      ledgers.map(async (ledger) => {
        for (let many = 0; many < 5; many++) await ledger.append(newRequest(), soon());
      }),
    );
    expect(await findings(direct())).toEqual([]);
  });

  it('with one replay key: one wins', async () => {
    const ledgers = [await opened(), await opened()];
    const write = scribe(clockAt(Date.now()));
    const once = 'k'.repeat(43);
    const all = await Promise.allSettled(
      Array.from({ length: 40 }, (_, at) =>
        (ledgers[at % 2] as Log).append({ ...asking(write.issuance(write.id(), { once })), once }, soon()),
      ),
    );
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('one that stands still in its turn holds the others up for a second, not for ever', async () => {
    const [slow, other] = [await throughProxy(), await opened()];
    await crowd(slow);
    const { held, release } = proxy.hold(3);
    const late = slow.append(newRequest(), soon(10_000)).catch(() => {});
    await held;
    await appendAgain(other);
    release();
    await late;
    await appendAgain(slow);
    expect(await findings(direct())).toEqual([]);
  });
});

/** Kills the server as a loss of power would, but for the disk's own memory. */
async function crash({ sql }: RealPostgres): Promise<void> {
  const { rows } = await sql('SHOW data_directory');
  const pid = Number(readFileSync(join(rows[0].data_directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const backends = (await sql('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()')).rows.map(
    (row) => row.pid,
  );
  for (const one of [pid, ...backends]) process.kill(one, 'SIGKILL');
  while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const place = mkdtempSync(join(tmpdir(), 'hallpass-mount-'));
  try {
    chmodSync(place, 0o755);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', place], { stdio: 'ignore' });
    execFileSync('umount', [place]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
