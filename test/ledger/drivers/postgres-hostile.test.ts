import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readAddress } from '../../../src/ledger/drivers/postgres/address.ts';
import { connectToWrite } from '../../../src/ledger/drivers/postgres/connection.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { refusal } from '../../contracts/ledger.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import {
  adminOf,
  config,
  depsOf,
  findings,
  initPostgresLedger,
  laneTo,
  newSchema,
  openShard,
  startServer,
  superuser,
  urlOf,
} from './postgres-fixture.ts';

let server: RealPostgres;
let client: pg.Client;
const open: Log[] = [];

beforeAll(async () => {
  server = await startServer();
  client = await superuser(server);
  await client.query('SET synchronous_commit = local');
  await client.query("CREATE ROLE broker LOGIN PASSWORD 'not-real'");
});
afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  await client.query('ALTER ROLE broker RESET ALL');
});
afterAll(async () => {
  await client.end();
  await server.remove();
});

const at = (schema: string) => adminOf(server, schema);

/** The tables of a ledger, and a role that may do anything with their rows. */
async function made(): Promise<string> {
  const schema = newSchema();
  await initPostgresLedger(config, depsOf(at(schema)));
  await client.query(
    `GRANT USAGE ON SCHEMA ${schema} TO broker; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO broker`,
  );
  return schema;
}

async function opened(schema: string): Promise<Log> {
  const ledger = await openShard(config, depsOf({ ...at(schema), user: 'broker', password: 'not-real' }), undefined);
  open.push(ledger);
  return ledger;
}

describe('what somebody set for the role or the database', () => {
  it.each([
    'array_nulls = off',
    'bytea_output = escape',
    'client_encoding = latin1',
    'default_transaction_isolation = serializable',
    'idle_in_transaction_session_timeout = 1',
    'lock_timeout = 1',
    'standard_conforming_strings = off',
    'statement_timeout = 1',
  ])('changes nothing of what is stored: %s', async (setting) => {
    const schema = await made();
    await client.query(`ALTER ROLE broker SET ${setting}`);
    const ledger = await opened(schema);
    const write = scribe(clockAt(Date.now()));
    const id = write.id();
    for (const record of [write.denial(), write.intent(id), write.issuance(id), write.revocation(id)])
      await ledger.append(asking(record), soon());
    expect(await findings(at(schema))).toEqual([]);
  });

  it('lets nobody wait for another broker for less time than a commit may take', async () => {
    await client.query("ALTER ROLE broker SET lock_timeout = '1ms'; ALTER ROLE broker SET transaction_timeout = '1s'");
    const lane = laneTo({ ...at('public'), user: 'broker', password: 'not-real' });
    const text =
      "SELECT current_setting('lock_timeout') AS lock, current_setting('transaction_timeout') AS transaction";
    expect(await lane.run({ text }, [], soon())).toEqual([{ lock: '0', transaction: '0' }]);
    lane.close();
  });
});

it.each(['run', 'script'] as const)('takes no transaction that had failed for committed: %s', async (how) => {
  const connection = await connectToWrite(readAddress(urlOf(at('public'))), soon());
  const run = (text: string) =>
    how === 'run' ? connection.run([{ statement: { text } }], soon()) : connection.script(text, soon());
  await run('BEGIN');
  await expect(run('SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
  await expect(run('COMMIT')).rejects.toMatchObject({ reason: 'rolled_back' });
});

describe('the environment of the process', () => {
  const given = { PGOPTIONS: '-c work_mem=123kB', PGREPLICATION: 'database', PGPASSWORD: 'not-real' };
  beforeAll(() => void Object.assign(process.env, given));
  afterAll(() => {
    for (const name of Object.keys(given)) delete process.env[name];
  });

  it('sets nothing of a session, and no password where the URL has none', async () => {
    const lane = laneTo({ ...at('public'), user: 'broker', password: 'not-real' });
    expect(await lane.run({ text: 'SHOW work_mem' }, [], soon())).toEqual([{ work_mem: '4MB' }]);
    lane.close();
    const without = laneTo({ ...at('public'), user: 'broker', password: '' });
    await expect(without.run({ text: 'SELECT 1' }, [], soon())).rejects.toMatchObject({ name: 'StoreFault' });
    without.close();
  });
});

describe('what somebody made of the tables', () => {
  it('is no way to hide a lockdown: a policy that would leave out rows is refused', async () => {
    const schema = await made();
    const write = scribe(clockAt(Date.now()));
    await (await opened(schema)).append(asking(write.lockdown('add', 'all', 1)), soon());
    await client.query(`ALTER TABLE ${schema}.lockdowns ENABLE ROW LEVEL SECURITY;
      CREATE POLICY adding ON ${schema}.lockdowns FOR INSERT WITH CHECK (true)`);
    const ledger = await opened(schema);
    expect(await refusal(ledger.append(asking(write.intent(write.id())), soon()))).toMatchObject({
      code: 'ledger_unavailable',
      reason: 'denied',
    });
  });

  it('is no way to leave out rows: what a trigger takes away is not acknowledged, and nothing of it stays', async () => {
    const schema = await made();
    const ledger = await opened(schema);
    const write = scribe(clockAt(Date.now()));
    await ledger.append(asking(write.denial()), soon());
    await client.query(`CREATE FUNCTION ${schema}.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
    const id = write.id();
    for (const table of ['entries', 'disclosures', 'checkpoints', 'issuances']) {
      await client.query(`CREATE TRIGGER none BEFORE INSERT ON ${schema}.${table} FOR EACH ROW
        EXECUTE FUNCTION ${schema}.none()`);
      expect(await refusal(ledger.append(asking(write.intent(id)), soon())), table).toMatchObject({
        code: 'ledger_unavailable',
        reason: 'altered',
      });
      await expect(opened(schema)).rejects.toThrow('a trigger that may change what is written');
      await client.query(`DROP TRIGGER none ON ${schema}.${table}`);
    }
    await ledger.append(asking(write.intent(id)), soon());
    expect(await findings(at(schema))).toEqual([]);
  });

  it('makes nobody’s lost race a fault of the ledger’s own', async () => {
    const schema = await made();
    const ledger = await opened(schema);
    await client.query(`CREATE FUNCTION ${schema}.first() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN RAISE EXCEPTION 'another was first' USING ERRCODE = '40001'; END$$`);
    for (const table of ['texts', 'head'])
      await client.query(`CREATE TRIGGER first BEFORE INSERT OR UPDATE ON ${schema}.${table} FOR EACH ROW
        EXECUTE FUNCTION ${schema}.first()`);
    expect((await refusal(ledger.texts.write('cursor', undefined, '1', soon()))).reason).toBe('contended');
    expect((await refusal(ledger.ready(soon()))).reason).toBe('contended');
  });

  it('is looked at in those of the ledger only: others may lie in the same schema', async () => {
    const schema = await made();
    await client.query(`CREATE UNLOGGED TABLE ${schema}.other (id integer);
      CREATE FUNCTION ${schema}.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER none BEFORE INSERT ON ${schema}.other FOR EACH ROW EXECUTE FUNCTION ${schema}.none()`);
    await (await opened(schema)).append(asking(scribe(clockAt(Date.now())).denial()), soon());
  });

  it('may keep entries from ever being changed or removed', async () => {
    const schema = await made();
    await client.query(`CREATE FUNCTION ${schema}.never() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN RAISE EXCEPTION 'never'; END$$`);
    for (const table of ['entries', 'checkpoints', 'spent'])
      await client.query(`CREATE TRIGGER never BEFORE UPDATE OR DELETE ON ${schema}.${table} FOR EACH ROW
          EXECUTE FUNCTION ${schema}.never();
        CREATE TRIGGER none BEFORE TRUNCATE ON ${schema}.${table} EXECUTE FUNCTION ${schema}.never()`);
    const ledger = await opened(schema);
    await ledger.append(asking(scribe(clockAt(Date.now())).denial()), soon());
    expect(await findings(at(schema))).toEqual([]);
  });

  it.each([
    ['disclosures', 'DELETE'],
    ['head', 'UPDATE'],
    ['lockdowns', 'UPDATE'],
  ])('has no trigger that takes away what is to be done: %s %s', async (table, event) => {
    const schema = await made();
    await client.query(`CREATE FUNCTION ${schema}.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER none BEFORE ${event} ON ${schema}.${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.none()`);
    await expect(opened(schema)).rejects.toThrow('a trigger that may change what is written');
  });

  it('may have a trigger that only looks on', async () => {
    const schema = await made();
    await client.query(`CREATE FUNCTION ${schema}.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER copied AFTER INSERT ON ${schema}.entries FOR EACH ROW EXECUTE FUNCTION ${schema}.none()`);
    const ledger = await opened(schema);
    await ledger.append(asking(scribe(clockAt(Date.now())).denial()), soon());
    expect(await findings(at(schema))).toEqual([]);
  });
});

describe('a server that ceases to keep what it acknowledges', () => {
  const newRequest = () => asking(scribe(clockAt(Date.now())).denial());

  async function setTo(name: string, value: string): Promise<void> {
    await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    await client.query('SELECT pg_reload_conf()');
    while ((await client.query(`SHOW ${name}`)).rows[0][name] !== value);
  }

  it('is found out at the next commit: full_page_writes=off', async () => {
    const schema = await made();
    const ledger = await opened(schema);
    await ledger.append(newRequest(), soon());
    await setTo('full_page_writes', 'off');
    // A session takes its server's new settings some time after they are there.
    const later = async () => {
      for (;;) await ledger.append(newRequest(), soon());
    };
    expect((await refusal(later())).reason).toBe('not_durable');
    expect((await refusal(ledger.ready(soon()))).reason).toBe('not_durable');
    await setTo('full_page_writes', 'on');
    await ledger.append(newRequest(), soon());
  });

  it.each(['local', 'remote_write'])('or no longer waits for its standbys: synchronous_commit=%s', async (how) => {
    const schema = await made();
    const ledger = await opened(schema);
    await ledger.append(newRequest(), soon());
    await client.query(`CREATE FUNCTION ${schema}.hasty() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM set_config('synchronous_commit', '${how}', true); RETURN NEW; END$$;
      CREATE TRIGGER hasty BEFORE UPDATE ON ${schema}.head FOR EACH ROW EXECUTE FUNCTION ${schema}.hasty()`);
    expect((await refusal(ledger.append(newRequest(), soon()))).reason).toBe('not_durable');
    expect((await refusal(ledger.ready(soon()))).reason).toBe('not_durable');
  });

  describe('as its standby is away', () => {
    afterEach(() => setTo('synchronous_standby_names', ''));

    const waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

    /** What somebody does to the session that waits for the standby. */
    async function toWaiting(does: 'pg_cancel_backend' | 'pg_terminate_backend'): Promise<void> {
      for (;;) {
        const { rows } = await client.query(`SELECT ${does}(pid) FROM (${waiting}) w`);
        if (rows.length > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }

    /** The server waits for one from some time after it was told to. */
    async function standbyGone(): Promise<void> {
      await setTo('synchronous_standby_names', 'nobody');
      const other = await superuser(server);
      await other.query('SET synchronous_commit = on');
      for (let waits = false; !waits; ) {
        let done = false;
        const written = other.query("COMMENT ON ROLE broker IS 'known'").then(() => {
          done = true;
        });
        while (!done && !waits)
          waits = (await client.query(`SELECT pg_cancel_backend(pid) FROM (${waiting}) w`)).rows.length > 0;
        await written;
      }
      await other.end();
    }

    it.each(['pg_cancel_backend', 'pg_terminate_backend'] as const)(
      'and %s ends the wait: neither is acknowledged, nor when it is asked again',
      async (does) => {
        const schema = await made();
        const ledger = await opened(schema);
        await ledger.append(newRequest(), soon());
        await standbyGone();
        const request = newRequest();
        const first = refusal(ledger.append(request, soon()));
        await toWaiting(does);
        expect((await first).code).toBe('ledger_unavailable');
        expect((await client.query(`SELECT 1 FROM ${schema}.entries`)).rows).toHaveLength(3);
        expect((await refusal(ledger.append(request, soon()))).code).toBe('ledger_unavailable');
        const other = await opened(schema);
        expect((await refusal(other.append(request, soon()))).code).toBe('ledger_unavailable');
        await setTo('synchronous_standby_names', '');
        for (const one of [ledger, other]) expect((await one.append(request, soon())).receipts[0]?.index).toBe(2);
        expect(await findings(at(schema))).toEqual([]);
      },
    );

    it('and the end of the wait is heard of, whatever the role is told of', async () => {
      const schema = await made();
      await client.query('ALTER ROLE broker SET client_min_messages = error');
      const ledger = await opened(schema);
      await ledger.append(newRequest(), soon());
      await standbyGone();
      const first = refusal(ledger.append(newRequest(), soon()));
      await toWaiting('pg_cancel_backend');
      expect((await first).reason).toBe('not_durable');
    });

    it('and an erasure that did not reach it is not done because nothing is left to erase here', async () => {
      const schema = await made();
      const ledger = await opened(schema);
      await ledger.append(newRequest(), soon());
      await standbyGone();
      const first = refusal(ledger.erase([1], soon()));
      await toWaiting('pg_cancel_backend');
      expect((await first).reason).toBe('not_durable');
      expect((await client.query(`SELECT 1 FROM ${schema}.disclosures`)).rows).toHaveLength(0);
      expect((await refusal(ledger.erase([1], soon(2_000)))).code).toBe('ledger_unavailable');
      await setTo('synchronous_standby_names', '');
      await ledger.erase([1], soon());
    });
  });
});

describe('a standby that took over without the newest entries', () => {
  const tables = ['head', 'entries', 'disclosures', 'checkpoints', 'subtrees', 'issuances', 'seen', 'spent'];
  const newRequest = () => asking(scribe(clockAt(Date.now())).denial());

  async function keep(schema: string): Promise<() => Promise<void>> {
    for (const table of tables)
      await client.query(`CREATE TABLE ${schema}_${table} AS SELECT * FROM ${schema}.${table}`);
    return async () => {
      for (const table of tables)
        await client.query(`DELETE FROM ${schema}.${table};
          INSERT INTO ${schema}.${table} SELECT * FROM ${schema}_${table}`);
    };
  }

  it('is refused by the broker that was answered, however far another one has gone on', async () => {
    const schema = await made();
    const [answered, other] = [await opened(schema), await opened(schema)];
    await answered.append(newRequest(), soon());
    const takeOver = await keep(schema);
    await answered.append(newRequest(), soon());
    await takeOver();
    for (let more = 0; more < 3; more++) await other.append(newRequest(), soon());
    expect((await refusal(answered.append(newRequest(), soon()))).reason).toBe('past_changed');
    for (let more = 0; more < 2; more++)
      expect((await refusal(answered.append(newRequest(), soon()))).reason).toBe('damaged');
  });

  it('is not rolled by it either', async () => {
    const schema = await made();
    const [answered, other] = [await opened(schema), await opened(schema)];
    await answered.append(newRequest(), soon());
    const takeOver = await keep(schema);
    await answered.append(newRequest(), soon());
    await takeOver();
    for (let more = 0; more < 3; more++) await other.append(newRequest(), soon());
    expect((await refusal(answered.roll({}, soon()))).reason).toBe('past_changed');
    expect((await other.reader.head(soon())).generation).toBe(1);
  });

  it('is gone on with where it has the same entries under other checkpoints', async () => {
    const schema = await made();
    const [answered, other] = [await opened(schema), await opened(schema)];
    await answered.append(newRequest(), soon());
    await other.append(newRequest(), soon());
    await client.query(`DELETE FROM ${schema}.checkpoints WHERE ends = 2`);
    expect((await refusal(answered.append(newRequest(), soon()))).reason).toBe('past_changed');
    expect((await answered.append(newRequest(), soon())).receipts[0]?.index).toBe(3);
  });
});
