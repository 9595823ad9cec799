import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/ledger/drivers/sqlite/open.ts';
import { openLog } from '../../../src/ledger/log/log.ts';
import { StoreFault } from '../../../src/ledger/log-store.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { depsOf, newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach(removeFolder));

/** A log whose probes wait to be let go, or fail. */
async function probed() {
  const folder = newFolder();
  folders.push(folder);
  const { secrets, writer, origin, platform } = depsOf({}, folder);
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const store = sqlLogStore(openSqliteFile(join(folder, 'ledger.db'), signer.vkey));
  const begun: ((fault?: StoreFault) => void)[] = [];
  const probe = () =>
    new Promise<void>((resolve, reject) => {
      begun.push((fault) => (fault === undefined ? resolve() : reject(fault)));
    });
  const { now, random, log: say } = platform;
  const log = await openLog({ store: { ...store, probe }, signer, ...secrets, writer, now, random, log: say });
  const ask = (many: number) => Promise.allSettled(Array.from({ length: many }, () => log.ready(soon())));
  return { log, begun, ask };
}

const outcomes = (settled: readonly PromiseSettledResult<void>[]) => [...new Set(settled.map(({ status }) => status))];

it('a log is probed once for all who ask whether it is ready, and no append waits for more than that', async () => {
  const { log, begun, ask } = await probed();
  const first = ask(50);
  await expect.poll(() => begun.length).toBe(1);
  const second = ask(50);
  const appended = log.append(asking(scribe(clockAt(Date.now())).denial()), soon());
  begun[0]?.();
  expect((await appended).receipts).toHaveLength(1);
  expect([outcomes(await first), outcomes(await second)]).toEqual([['fulfilled'], ['fulfilled']]);
  expect(begun).toHaveLength(1);
  await log.close();
});

it('a probe that failed is no answer to who asks after it', async () => {
  const { log, begun, ask } = await probed();
  const first = ask(3);
  await expect.poll(() => begun.length).toBe(1);
  begun[0]?.(new StoreFault('disk_full', { harmless: true }));
  expect(outcomes(await first)).toEqual(['rejected']);
  const second = ask(1);
  await expect.poll(() => begun.length).toBe(2);
  begun[1]?.();
  expect(outcomes(await second)).toEqual(['fulfilled']);
  await log.close();
});
