import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eraseAt, erasingOf } from '../../../src/ledger/erasure/erasing.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { answerQuestion, askedOf } from '../../../src/ledger/questions/questions.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import type { RealPostgres } from '../../real-servers/postgres.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import {
  adminOf,
  config,
  depsOf,
  inspectPostgresLedger,
  newSchema,
  openAt,
  startServer,
  superuser,
} from './postgres-fixture.ts';

const schema = newSchema();
const write = scribe(clockAt(Date.now()));
let server: RealPostgres;
let client: pg.Client;
let ledger: Log;
/** The position of the only issuance. */
let issued: number;

/** A ledger whose index has seen all but its newest entry, and somebody forgotten in it. */
beforeAll(async () => {
  server = await startServer();
  client = await superuser(server);
  ledger = await openAt(adminOf(server, schema));
  await ledger.append(asking(write.denial(), write.denial(), write.denial()), soon());
  const fingerprint = `hmac-sha256:${'f'.repeat(43)}`;
  const marked = { kind: 'secret', fingerprint, fingerprintKey: 'k'.repeat(11) };
  const { receipts } = await ledger.append(asking(write.issuance(write.id(), marked)), soon());
  issued = receipts[0]?.index as number;
  await ledger.append(asking(write.denial(), write.denial()), soon());
  const [log] = erasingOf(ledger);
  if (log === undefined) throw new Error('no log');
  await catchUp(log, soon());
  await eraseAt(log, [1], soon());
  await ledger.append(asking(write.denial()), soon());
});
afterAll(async () => {
  await ledger.close();
  await client.end();
  await server.remove();
});

async function found(index: boolean) {
  const { source, close } = await inspectPostgresLedger(config, depsOf(adminOf(server, schema)));
  try {
    return (await verifyLog(source, { needIntent: new Set(), index })).findings;
  } finally {
    await close();
  }
}

describe('the index tables of a PostgreSQL ledger', () => {
  it('are as the records are, also where they have not seen the newest, and forgot what was erased', async () => {
    expect(await found(true)).toEqual([]);
  });

  it.each([
    ['a row of an entry that is gone', 'DELETE FROM index_rows WHERE idx = $1'],
    ['another time', 'UPDATE index_rows SET time = time + 86400000 WHERE idx = $1'],
    ['a digest that is another', 'UPDATE index_rows SET by_type = 1 WHERE idx = $1'],
    ['a digest that is gone', 'UPDATE index_rows SET by_credential = NULL WHERE idx = $1'],
    [
      'a name that was not forgotten',
      'UPDATE index_rows SET by_name = (SELECT by_name FROM index_rows WHERE idx = $1) WHERE idx = 1',
    ],
    ['another name', "UPDATE index_names SET name = 'another' WHERE $1 > 0"],
    ['a day that ends sooner', 'UPDATE index_times SET last = 1 WHERE $1 > 0'],
    ['a minute that is gone', 'DELETE FROM index_times WHERE unit = 60000 AND $1 > 0'],
    ['fewer fingerprints than there are', 'UPDATE index_keys SET n = 0 WHERE $1 > 0'],
    ['entries that were not seen', 'UPDATE index_seen SET seen = 2 WHERE $1 > 0'],
    ['entries seen that are not there', 'UPDATE index_seen SET seen = 1000 WHERE $1 > 0'],
  ])('are found to have %s', async (_, sql) => {
    const tables = ['index_rows', 'index_names', 'index_times', 'index_keys', 'index_seen'];
    await client.query(`SET search_path = ${schema}`);
    for (const table of tables) await client.query(`CREATE TEMP TABLE kept_${table} AS SELECT * FROM ${table}`);
    try {
      await client.query(sql, [issued]);
      const question = { filter: { type: 'issuance' }, limit: 10 };
      if (sql.startsWith('DELETE FROM index_rows'))
        expect((await answerQuestion(askedOf(ledger), question, soon())).entries).toEqual([]);
      expect(await found(false)).toEqual([]);
      const findings = await found(true);
      expect(findings).not.toEqual([]);
      for (const { code } of findings) expect(code).toBe('index_differs');
    } finally {
      for (const table of tables)
        await client.query(
          `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}; DROP TABLE kept_${table}`,
        );
    }
    expect(await found(true)).toEqual([]);
  });
});
