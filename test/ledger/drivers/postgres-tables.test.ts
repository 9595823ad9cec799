import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import { readAddress } from '../../../src/ledger/drivers/postgres/address.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { fakeTerminal } from '../../cli/fake-terminal.ts';
import { type RealPostgres, startPostgres } from '../../real-servers/postgres.ts';
import { temporaryFolder, writeConfig } from '../../support/server.ts';
import { asking, scribe, soon } from '../fixtures.ts';
import {
  type At,
  adminOf,
  config,
  depsOf,
  findings,
  initPostgresLedger,
  inspectPostgresLedger,
  laneTo,
  newSchema,
  openAt,
  openPostgresLedger,
  openShard,
  startServer,
  superuser,
  urlOf,
} from './postgres-fixture.ts';

let server: RealPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startServer();
  client = await superuser(server);
});
afterAll(async () => {
  await client.end();
  await server.remove();
});

const at = (schema: string) => adminOf(server, schema);
const write = scribe({
  get at() {
    return Date.now();
  },
  now: Date.now,
});
const opening = (where: At, given = {}) => openShard(config, depsOf(where, given), undefined);

describe('the tables of a postgres ledger', () => {
  it('are made by init, once, and never by opening', async () => {
    const where = at(newSchema());
    await expect(opening(where)).rejects.toThrow('run hallpass ledger init');
    await expect(inspectPostgresLedger(config, depsOf(where))).rejects.toThrow('run hallpass ledger init');
    expect(await initPostgresLedger(config, depsOf(where))).toBe('made');
    expect(await initPostgresLedger(config, depsOf(where))).toBe('there');
    const ledger = await opening(where);
    await ledger.append(asking(write.denial()), soon());
    await ledger.close();
    expect(await initPostgresLedger(config, depsOf(where))).toBe('there');
    expect(await findings(where)).toEqual([]);
  });

  it('are made once by several at the same time', async () => {
    const where = at(newSchema());
    const done = await Promise.all([1, 2, 3].map(() => initPostgresLedger(config, depsOf(where))));
    expect(done.filter((each) => each === 'made')).toHaveLength(1);
  });

  it('of another origin or key are refused', async () => {
    const where = at(newSchema());
    await initPostgresLedger(config, depsOf(where));
    for (const [given, word] of [
      [{ origin: 'other.example.com/ledger' }, 'ledger.origin'],
      [{ checkpointKey: new Uint8Array(32).fill(8) }, 'ledger.seed'],
    ] as const) {
      await expect(opening(where, given)).rejects.toThrow(word);
      await expect(initPostgresLedger(config, depsOf(where, given))).rejects.toThrow(word);
    }
  });

  it('of another version are refused', async () => {
    const schema = newSchema();
    await initPostgresLedger(config, depsOf(at(schema)));
    await client.query(`UPDATE ${schema}.made SET version = 0`);
    await expect(opening(at(schema))).rejects.toThrow('earlier version: run hallpass ledger init');
    await client.query(`UPDATE ${schema}.made SET version = 99`);
    await expect(opening(at(schema))).rejects.toThrow('later version');
    await expect(initPostgresLedger(config, depsOf(at(schema)))).rejects.toThrow('later version');
  });

  it('of something else, and UNLOGGED ones, are refused', async () => {
    const schema = newSchema();
    await client.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.orders (id integer)`);
    await expect(initPostgresLedger(config, depsOf(at(schema)))).rejects.toThrow('tables of something else');
    await client.query(`DROP TABLE ${schema}.orders`);
    await initPostgresLedger(config, depsOf(at(schema)));
    await client.query(`ALTER TABLE ${schema}.entries SET UNLOGGED`);
    await expect(opening(at(schema))).rejects.toThrow('UNLOGGED');
  });

  it.each([
    ['an entry changed', "UPDATE entries SET record = replace(record, 'no_grant', 'no_grand')"],
    ['the last entry gone', 'DELETE FROM entries WHERE idx = (SELECT max(idx) FROM entries)'],
    ['an older head', 'UPDATE head SET size = size - 1'],
    ['a hash changed', "UPDATE entries SET leaf = decode(repeat('00', 32), 'hex') WHERE idx = 2"],
    ['another checkpoint', 'UPDATE head SET checkpoint = (SELECT note FROM checkpoints ORDER BY ends LIMIT 1)'],
  ])('with %s are refused, and verify finds it', async (_, sql) => {
    const schema = newSchema();
    const ledger = await openAt(at(schema));
    for (let many = 0; many < 4; many++) await ledger.append(asking(write.denial()), soon());
    await ledger.close();
    await client.query(`SET search_path = ${schema}; ${sql}`);
    await expect(opening(at(schema))).rejects.toThrow('damaged');
    expect(await findings(at(schema))).not.toEqual([]);
  });

  it('hold several logs, each for itself, and their number stays', async () => {
    const where = at(newSchema());
    const sharded = { ...config, shards: 3 };
    await initPostgresLedger(sharded, depsOf(where));
    const ledger = await openPostgresLedger(sharded, depsOf(where));
    const appends = Array.from({ length: 24 }, () => ledger.append(asking(write.denial()), soon()));
    const logs = (await Promise.all(appends)).map(({ receipts }) => receipts[0]?.log);
    expect(new Set(logs)).toEqual(new Set([0, 1, 2].map((shard) => `pass.example.com/ledger/${shard}`)));
    const sizes = await Promise.all(
      (ledger.shards ?? []).map(async (log) => (await log.reader?.head(soon()))?.size ?? 0),
    );
    expect(sizes.filter((size) => size > 1)).toHaveLength(3);
    await ledger.close();
    for (const shard of [0, 1, 2]) expect(await findings(where, { shard })).toEqual([]);
    for (const shards of [2, 4])
      await expect(initPostgresLedger({ ...config, shards }, depsOf(where))).rejects.toThrow('ledger.shards');
    await expect(openPostgresLedger({ ...config, shards: 4 }, depsOf(where))).rejects.toThrow('ledger.shards');
  });

  it('of one shard are those of a ledger without shards', async () => {
    const where = at(newSchema());
    await initPostgresLedger({ ...config, shards: 1 }, depsOf(where));
    for (const given of [config, { ...config, shards: 1 }]) {
      const ledger = await openPostgresLedger(given, depsOf(where));
      expect((await ledger.append(asking(write.denial()), soon())).receipts[0]?.log).toBe('pass.example.com/ledger');
      expect(ledger.shards).toBeUndefined();
      await ledger.close();
    }
    expect(await findings(where)).toEqual([]);
    await expect(initPostgresLedger({ ...config, shards: 2 }, depsOf(where))).rejects.toThrow('another origin');
  });
});

it('init, key, checkpoint and verify work by the commands, and say where the URL was looked for', async () => {
  const { folder, remove } = temporaryFolder();
  const file = writeConfig(folder, {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' } },
    stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
  });
  const run = async (env: Record<string, string>, ...command: string[]) => {
    const terminal = fakeTerminal({ folder, env });
    const code = await runCommand(['ledger', ...command, '--config', file], terminal);
    return { code, ...terminal.said };
  };
  const env = { TEST_SECRET_LEDGER: urlOf(at(newSchema())) };
  for (const command of ['init', 'verify'])
    expect((await run({}, command)).err).toContain('ledger.url: the store vars has no secret LEDGER');
  const wrong = { TEST_SECRET_LEDGER: urlOf({ ...at('x'), password: 'not-the-password' }) };
  expect((await run(wrong, 'init')).err).toMatch(
    /^(?!.*not-the-password).*the database refused the login in ledger\.url/s,
  );
  expect((await run(env, 'verify')).err).toContain('run hallpass ledger init');
  const made = await run(env, 'init');
  expect([made.code, made.err]).toEqual([0, expect.stringContaining('pass.test/ledger is made')]);
  expect((await run(env, 'key')).out).toBe(made.out);
  expect((await run(env, 'verify')).err).toContain('0 entries, 0 open, nothing wrong found');
  remove();
});

describe('the rights that docs/ledger.md gives', () => {
  const docs = readFileSync(new URL('../../../docs/ledger.md', import.meta.url), 'utf8');
  const grants = [...docs.matchAll(/```sql\n(GRANT[^`]*)```/g)].map(([, sql]) => sql as string);
  const schema = 'hallpass_ledger';
  let broker: At;

  beforeAll(async () => {
    await initPostgresLedger(config, depsOf(at(schema)));
    for (const role of ['hallpass_broker', 'hallpass_eraser'])
      await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'not-real'`);
    for (const sql of grants) await client.query(sql);
    await client.query('GRANT hallpass_broker TO hallpass_eraser');
    broker = { ...at(schema), user: 'hallpass_broker', password: 'not-real' };
  });

  it('are enough for a broker', async () => {
    const ledger = await opening(broker);
    const [id, other] = [write.id(), write.id()];
    const max = { holder: 'h'.repeat(43), most: 5 };
    await ledger.append({ ...asking(write.intent(id)), max }, soon());
    const once = 'k'.repeat(43);
    await ledger.append({ ...asking(write.intent(other, { once })), once }, soon());
    await ledger.append(asking(write.issuance(id)), soon());
    await ledger.append(asking(write.revocation(id)), soon());
    await ledger.append(asking(write.revocation(id, { reason: 'done' })), soon());
    const lockdown = write.lockdown('add', 'all', 1);
    await ledger.append(asking(lockdown), soon());
    await ledger.append({ ...asking(write.lockdown('lift', parseRecord(lockdown.record).id, 2)), epoch: 1 }, soon());
    await ledger.roll({}, soon());
    expect(await ledger.texts.write('cursor', undefined, '1', soon())).toBe(true);
    expect(await ledger.texts.write('cursor', '1', '2', soon())).toBe(true);
    expect(await ledger.texts.write('cursor', '2', null, soon())).toBe(true);
    expect(await ledger.index?.add([{ index: 0, time: 0, type: 'denial', name: 'ci:acme' }], 0, 1, soon())).toBe(true);
    await ledger.index?.forget([0], soon());
    await ledger.index?.clear(soon());
    await ledger.ready(soon());
    await ledger.close();
  });

  it('are told at the start where one is missing, before it is missed', async () => {
    const said: unknown[] = [];
    const starting = async () => {
      const deps = depsOf(broker);
      const log = (...line: unknown[]) => void (line[1] === 'ledger_rights' && said.push(line));
      const ledger = await openShard(config, { ...deps, platform: { ...deps.platform, log } }, undefined);
      await ledger.append(asking(write.denial({ epoch: 2 })), soon()).catch(() => {});
      await ledger.close();
    };
    await starting();
    expect(said).toEqual([]);
    const rights = [`INSERT ON ${schema}.lockdowns`, `DELETE ON ${schema}.held`, `UPDATE (epoch) ON ${schema}.head`];
    for (const right of rights) await client.query(`REVOKE ${right} FROM hallpass_broker`);
    await starting();
    for (const right of rights) await client.query(`GRANT ${right} TO hallpass_broker`);
    expect(said).toEqual([
      ['warn', 'ledger_rights', { error: 'lacks DELETE held, INSERT lockdowns, UPDATE head.epoch' }],
    ]);
  });

  it('let it change, remove or empty nothing that a checkpoint covers', async () => {
    const lane = laneTo(broker);
    const tables = ['entries', 'disclosures', 'checkpoints', 'subtrees', 'ended', 'spent', 'seen'];
    const tries = [
      ...tables.flatMap((table) => [`UPDATE ${schema}.${table} SET log = log`, `DELETE FROM ${schema}.${table}`]),
      ...tables.map((table) => `TRUNCATE ${schema}.${table}`),
      `DELETE FROM ${schema}.head`,
      `DELETE FROM ${schema}.lockdowns`,
      `DELETE FROM ${schema}.issuances`,
      `UPDATE ${schema}.head SET vkey = ''`,
      `INSERT INTO ${schema}.head SELECT 7, vkey, 1, 0, 0, '', root, 0, '' FROM ${schema}.head`,
      `UPDATE ${schema}.made SET version = 2`,
      `ALTER TABLE ${schema}.entries DISABLE TRIGGER ALL`,
      `DROP TABLE ${schema}.entries`,
      `CREATE TABLE ${schema}.more (id integer)`,
    ];
    for (const text of tries)
      await expect(lane.run({ text }, [], soon()), text).rejects.toMatchObject({ reason: 'denied' });
    lane.close();
  });

  it('let only the one that erases forget disclosures', async () => {
    const ledger = await opening(broker);
    const { receipts } = await ledger.append({ ...asking(write.denial({ epoch: 2 })), epoch: 2 }, soon());
    const head = await ledger.reader.head(soon());
    const position = head.base + head.size - 1;
    await expect(ledger.erase([position], soon())).rejects.toMatchObject({ reason: 'denied' });
    await ledger.close();
    const eraser = await opening({ ...broker, user: 'hallpass_eraser' });
    await eraser.erase([position], soon());
    expect(await eraser.reader.entries(position, position + 1, soon())).toMatchObject([
      { record: receipts[0]?.record, disclosure: null },
    ]);
    await eraser.close();
    expect(await findings(at(schema))).toEqual([]);
  });
});

describe('a server that may lose what it acknowledged', () => {
  it('is refused with full_page_writes=off', async () => {
    const where = at(newSchema());
    await initPostgresLedger(config, depsOf(where));
    await setTo('full_page_writes', 'off');
    await expect(opening(where)).rejects.toThrow('full_page_writes=off');
    await setTo('full_page_writes', 'on');
  });

  it('is refused with fsync=off', async () => {
    const careless = await startPostgres({ log_statement: 'none' });
    try {
      await expect(initPostgresLedger(config, depsOf(adminOf(careless, 'public')))).rejects.toThrow('fsync=off');
    } finally {
      await careless.remove();
    }
  });

  it('is told to wait for the disk where its default is not to', async () => {
    await client.query('ALTER ROLE postgres SET synchronous_commit = off');
    const lane = laneTo(at('public'));
    expect(await lane.run({ text: 'SHOW synchronous_commit' }, [], soon())).toEqual([{ synchronous_commit: 'on' }]);
    lane.close();
    await client.query('ALTER ROLE postgres RESET synchronous_commit');
  });

  async function setTo(name: string, value: string): Promise<void> {
    await client.query(`ALTER SYSTEM SET ${name} = ${value}`);
    await client.query('SELECT pg_reload_conf()');
    while ((await server.sql(`SHOW ${name}`)).rows[0][name] !== value);
  }
});

describe('the address of a postgres ledger', () => {
  const base = 'postgres://broker:p%40ss@db.example.com/ledger';

  it('is a URL with a login', () => {
    const expected = { user: 'broker', password: 'p@ss', database: 'ledger', schema: 'hallpass_ledger' };
    expect(readAddress(base)).toEqual({ ...expected, host: 'db.example.com', port: 5432, tls: true });
    expect(readAddress('postgresql://b:c@[::1]:6000/d?schema=other')).toMatchObject({
      host: '::1',
      port: 6000,
      tls: false,
      schema: 'other',
    });
  });

  it('means verified TLS, but on loopback', () => {
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      expect(readAddress(`${base}?sslmode=${mode}`).tls).toBe(true);
      expect(readAddress(`postgres://b:c@127.0.0.1/d?sslmode=${mode}`).tls).toBe(true);
    }
    expect(readAddress('postgres://b:c@localhost/d').tls).toBe(false);
    for (const mode of ['disable', 'allow', 'prefer'])
      expect(() => readAddress(`${base}?sslmode=${mode}`)).toThrow('sslmode');
  });

  it.each([
    'something',
    'mysql://broker:p%40ss@db.example.com/ledger',
    'postgres://db.example.com/ledger',
    'postgres://broker:p%40ss@db.example.com',
    'postgres://broker:p%40ss@/ledger',
    `${base}?options=-c%20fsync%3Doff`,
    `${base}?schema=pg;drop`,
    'postgres://broker:p%zz@db.example.com/ledger',
  ])('is refused as %s without a word of it', (text) => {
    let message = '';
    try {
      readAddress(text);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('ledger.url');
    expect(message).not.toMatch(/p%40ss|p@ss|db\.example|broker:p/);
  });

  it('is not gone back on: a server without TLS is refused where TLS was asked for', async () => {
    const lane = laneTo(at('public'), 1, 'require');
    await expect(lane.run({ text: 'SELECT 1' }, [], soon())).rejects.toMatchObject({ name: 'StoreFault' });
    lane.close();
  });
});
