import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/ledger/drivers/sqlite/open.ts';
import { openLog } from '../../../src/ledger/log/log.ts';
import { HeadMoved, type LogStore, StoreFault, TooMuch } from '../../../src/ledger/log-store.ts';
import type { RecordText } from '../../../src/ledger/records/record.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { seeded } from '../../policy/worlds.ts';
import { depsOf, newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach(removeFolder));

/** A log on a store that is slow, or not, and fails now and then, in every way that a store may. */
async function troubled(random: () => number, slow: boolean) {
  const clock = clockAt(Date.now());
  const folder = newFolder();
  folders.push(folder);
  const { secrets, writer, origin, platform } = depsOf({ now: () => clock.now() }, folder);
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const store = sqlLogStore(openSqliteFile(join(folder, 'ledger.db'), signer.vkey));
  const durable = new Set<string>();
  const commit = async (change: Parameters<LogStore['commit']>[0], deadline: Parameters<LogStore['commit']>[1]) => {
    const chance = random();
    if (chance < 0.03) throw new HeadMoved();
    if (chance < 0.06) throw new StoreFault('before');
    if (chance < 0.1 && change.entries.length > 3) throw new TooMuch();
    if (slow) clock.at += 3;
    await store.commit(change, deadline);
    for (const { id } of change.entries) durable.add(id);
    if (chance > 0.98) throw new StoreFault('after');
  };
  const failing: LogStore = {
    ...store,
    commit: (change, deadline) => {
      if (random() < 0.02) throw new StoreFault('at once');
      return commit(change, deadline);
    },
  };
  const { now, random: bytes, log: say } = platform;
  const parts = { store: failing, signer, ...secrets, writer, now, random: bytes, log: say, gather: setImmediate };
  return { log: await openLog(parts), write: scribe(clock), durable };
}

/** What became of two hundred appends, of which the last come after the log was closed. */
async function outcomesOf(seed: number): Promise<string[]> {
  const random = seeded(seed);
  const { log, write, durable } = await troubled(random, random() < 0.6);
  const told: number[] = [];
  const answers: Promise<string>[] = [];
  const texts: RecordText[] = [];
  const append = async (): Promise<string> => {
    // Now and then all that wait together are there already, and nothing is committed for them.
    const again = texts.length > 0 && random() < 0.4;
    const fresh = random() < 0.5 ? write.denial() : write.issuance(write.id());
    const text = again ? (texts[Math.floor(random() * texts.length)] as RecordText) : fresh;
    texts.push(text);
    try {
      const { receipts } = await log.append(asking(text), soon(20_000));
      if (!again) told.push(receipts[0]?.index ?? -1);
      return durable.has(JSON.parse(text.record).id) ? 'durable' : 'not durable';
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return 'refused';
    }
  };
  const closeAt = 120 + Math.floor(random() * 60);
  let closed: Promise<void> | undefined;
  for (let nth = 0; nth < 200; nth++) {
    if (nth === closeAt) closed = log.close();
    answers.push(append());
    if (random() < 0.6) await setImmediate();
  }
  await closed;
  const outcomes = await Promise.all(answers);
  expect(new Set(outcomes.slice(closeAt)), `seed ${seed}`).toEqual(new Set(['refused']));
  expect(told, `seed ${seed}`).toEqual([...new Set(told)].sort((a, b) => a - b));
  return outcomes;
}

it('whatever the store does, each is answered once, when it is durable, in the order of the log', async () => {
  const count = { durable: 0, 'not durable': 0, refused: 0 } as Record<string, number>;
  for (let seed = 1; seed <= 12; seed++)
    for (const outcome of await outcomesOf(seed)) count[outcome] = (count[outcome] ?? 0) + 1;
  expect(count['not durable']).toBe(0);
  // Of 1,800 that came in time most find a store that is well.
  expect(count.durable).toBeGreaterThan(600);
});
