import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { newSchema } from '../drivers/postgres-fixture.ts';
import { asking, soon } from '../fixtures.ts';
import {
  closeEach,
  type First,
  follow,
  following,
  issue,
  openFirst,
  openFollower,
  usePostgres,
  write,
} from './first-and-standby.ts';

closeEach();

// The PostgreSQL of a first fails over to a replica that had not come as far: the same positions are written once more.

const { place, superuser } = usePostgres();

const usual = { standby: 'frankfurt', within: 1_000 };
const unconfirmed = { reason: 'unconfirmed' };

/** Two processes of a first, of which the standby asks the second; five entries that it has confirmed are lost then. */
async function failedOver() {
  const schema = newSchema();
  const open = await place(schema);
  const [other, asked] = [await openFirst(open, usual), await openFirst(open, usual)];
  let now = asked;
  const { standby } = await openFollower(() => now);
  await follow(standby);
  await following(standby, issue(other.ledger));
  const client = await superuser();
  const { rows } = await client.query(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = '${schema}' AND tablename NOT LIKE 'index%'`,
  );
  const each = (sql: (name: string) => string) => rows.map(({ name }: { name: string }) => sql(name)).join(';');
  await client.query(
    `CREATE SCHEMA ${schema}_was; ${each((name) => `CREATE TABLE ${schema}_was.${name} AS SELECT * FROM ${schema}.${name}`)}`,
  );
  for (let entry = 0; entry < 5; entry++) await following(standby, issue(other.ledger));
  await follow(standby, 3);
  await client.query(
    `BEGIN; SET session_replication_role = replica; ${each((name) => `DELETE FROM ${schema}.${name}; INSERT INTO ${schema}.${name} SELECT * FROM ${schema}_was.${name}`)}; COMMIT`,
  );
  await client.end();
  return { asked, standby, open, asks: (first: First) => (now = first) };
}

const answered = async ({ ledger }: First) => {
  for (let at = 0; at < 5; at++) await expect(issue(ledger)).rejects.toMatchObject(unconfirmed);
};

it('a process that had confirmed those positions answers nothing that is written at them anew', async () => {
  const { asked } = await failedOver();
  await answered(asked);
});

it('nor does one that is told by the other how far the standby is', async () => {
  const { standby, open } = await failedOver();
  // The standby has the lost ones still, and says so.
  await follow(standby, 4);
  await pause(1_200);
  await follow(standby, 2);
  await pause(200);
  // What the other keeps beside the log may be of the lost tree: its last write can come after the loss.
  await answered(await openFirst(open, usual));
});

it('nor by finding there what another process wrote at them anew, also where the standby asks that one', async () => {
  const { asked, standby, open, asks } = await failedOver();
  const other = await openFirst(open, usual);
  asks(other);
  const records = [0, 1, 2, 3, 4].map(() => asking(write.issuance(write.id())));
  for (const record of records) await expect(other.ledger.append(record, soon())).rejects.toMatchObject(unconfirmed);
  // What the first has now is another history: the standby takes none of it.
  const follows = () => follow(standby, 1).catch(() => {});
  for (let time = 0; time < 4; time++) {
    await pause(1_000);
    await follows();
  }
  for (const record of records) {
    const answer = asked.ledger.append(record, soon());
    answer.catch(() => {});
    await follows();
    await expect(answer).rejects.toMatchObject(unconfirmed);
  }
  await expect(asked.ledger.reader?.list({ type: 'issuance', limit: 9 }, soon())).rejects.toMatchObject(unconfirmed);
});

it('what is kept beside the log is answered by only where the log has that very tree', async () => {
  const open = await place();
  const first = await openFirst(open, usual);
  const { standby } = await openFollower(() => first);
  await follow(standby);
  await following(standby, issue(first.ledger));
  await pause(1_100);
  await follow(standby, 2);
  const { texts, reader } = first.ledger as Required<First['ledger']>;
  const keptText = async () => (await texts.read('standby:frankfurt', soon())) ?? '{}';
  await expect.poll(async () => JSON.parse(await keptText()).root).toBeDefined();
  const next = await openFirst(open, usual);
  const waiting = issue(next.ledger);
  waiting.catch(() => {});
  await pause(50);
  const { base, size } = await reader.head(soon());
  const was = await keptText();
  const claim = { ...JSON.parse(was), confirmed: base + size, at: Date.now() };
  expect(await texts.write('standby:frankfurt', was, JSON.stringify(claim), soon())).toBe(true);
  await expect(waiting).rejects.toMatchObject(unconfirmed);
});

it('a store that was opened anew confirms again what it has, without being asked', async () => {
  const first = await openFirst(await place(), usual);
  const { standby } = await openFollower(() => first);
  await follow(standby);
  const { receipts } = await following(standby, issue(first.ledger));
  await follow(standby, 2);
  const end = (receipts[0]?.index ?? 0) + 1;
  expect(first.confirming.hold(2, () => end, 1)).toBeUndefined();
  first.confirming.doubted?.();
  const held = first.confirming.hold(2, () => end, 1);
  expect(held).toBeInstanceOf(Promise);
  await held;
});
