import { afterAll, beforeAll, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { temporaryFolder } from '../support/server.ts';
import { inTurns, issueAndSweep, openLoad, type PostgresLoad } from './postgres-load.ts';

const { folder, remove } = temporaryFolder();
let load: PostgresLoad;

beforeAll(async () => {
  load = await openLoad(folder, 20);
});
afterAll(async () => {
  await load?.close();
  remove();
});

it('issues 200 at 16 concurrent callers, each of them in the ledger, and leaves none behind once they are over', async () => {
  const { failed, made, unrecorded, undone, left, orphans } = await issueAndSweep(load, 200, 16);
  expect({ failed, made, unrecorded, left, orphans }).toEqual({
    failed: [],
    made: 200,
    unrecorded: 0,
    left: 0,
    orphans: 0,
  });
  expect(undone).toBe(200);
});

it('hands 20 users of a pool to 200 callers, 16 at a time, and has all of them back', async () => {
  const { failed } = await inTurns(200, 16, async () => load.revoke((await load.issue('pool')).id));
  expect(failed).toEqual([]);
  const held = (await load.accounts()).filter(({ issuance }) => issuance?.length === 26);
  expect(held).toEqual([]);
});

it('ends what was shared once the last lease on it is over', async () => {
  const { failed } = await inTurns(100, 16, () => load.issue('share'));
  expect(failed).toEqual([]);
  const shared = async () => (await load.accounts()).filter(({ account }) => account.startsWith('hp_s_')).length;
  expect(await shared()).toBeGreaterThanOrEqual(2);
  await load.server.sql(
    `DO $$ DECLARE one record; BEGIN FOR one IN SELECT rolname FROM pg_roles WHERE rolname LIKE 'hp\\_s\\_%' LOOP
       EXECUTE format('ALTER ROLE %I VALID UNTIL %L', one.rolname, now()); END LOOP; END $$`,
  );
  load.advance(3_600_000);
  await load.broker.deployment.sweep(deadlineIn(60_000, Date.now), false);
  expect(await shared()).toBe(0);
});
