import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { openSqliteFile } from '../../../src/ledger/drivers/sqlite/open.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { openLog } from '../../../src/ledger/log/log.ts';
import type { AnswerGate } from '../../../src/ledger/log/parts.ts';
import { type LogStore, StoreFault } from '../../../src/ledger/log-store.ts';
import { sqlLogStore } from '../../../src/ledger/sql/log-store.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { depsOf, newFolder, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach(removeFolder));

interface Held {
  readonly log: Log;
  /** What happened, in order. */
  readonly events: string[];
  append(): Promise<string>;
  /** Lets the next commit that waits go on, or fail. */
  go(fault?: StoreFault): Promise<void>;
}

/** A log whose every commit waits to be let go. */
async function held(gate?: AnswerGate): Promise<Held> {
  const folder = newFolder();
  folders.push(folder);
  const { secrets, writer, origin, platform } = depsOf({}, folder);
  if (secrets === undefined) throw new Error('no secrets');
  const signer = noteSigner(origin, secrets.checkpointKey);
  const store = sqlLogStore(openSqliteFile(join(folder, 'ledger.db'), signer.vkey));
  const events: string[] = [];
  const waiting: ((fault: StoreFault | undefined) => void)[] = [];
  const holding: LogStore = {
    ...store,
    async commit(change, deadline) {
      events.push(`commit of ${change.entries.length}`);
      const fault = await new Promise<StoreFault | undefined>((resolve) => waiting.push(resolve));
      if (fault !== undefined) throw fault;
      await store.commit(change, deadline);
    },
  };
  const { now, random, log: say } = platform;
  const log = await openLog({
    store: holding,
    ...(gate && { gate }),
    signer,
    ...secrets,
    writer,
    now,
    random,
    log: say,
    gather: setImmediate,
  });
  const write = scribe(clockAt(Date.now()));
  return {
    log,
    events,
    append: () =>
      log.append(asking(write.denial()), soon(20_000)).then(
        ({ receipts }) => {
          events.push('answer');
          return receipts[0]?.proof ?? 'none';
        },
        (error) => {
          events.push('refusal');
          return String(error.reason);
        },
      ),
    async go(fault) {
      while (waiting.length === 0) await setImmediate();
      waiting.shift()?.(fault);
    },
  };
}

const turns = async (until: () => boolean) => {
  while (!until()) await setImmediate();
};
const many = (count: number, make: () => Promise<string>) => Promise.all(Array.from({ length: count }, make));

describe('batches of appends', () => {
  it('are handed to the store, where they are full, before those of the last are answered', async () => {
    const { log, events, append, go } = await held();
    const first = append();
    await turns(() => events.length === 1);
    const rest = many(40, append);
    await go();
    expect(await first).toContain('c2sp.org/tlog-proof@v1\nindex ');
    expect(events.slice(1)).toEqual(['commit of 40', 'answer']);
    await go();
    expect(new Set(await rest).size).toBe(40);
    await log.close();
  });

  it('answer at once where few wait', async () => {
    const { log, events, append, go } = await held();
    const first = append();
    await turns(() => events.length === 1);
    const rest = many(3, append);
    await go();
    await first;
    expect(events.slice(1)).toEqual(['answer']);
    await go();
    await rest;
    await log.close();
  });

  it('answer what is durable also where the next one fails before they have answered', async () => {
    const { log, events, append, go } = await held();
    const first = append();
    await turns(() => events.length === 1);
    const rest = many(40, append);
    await go();
    await go(new StoreFault('disk_full', { harmless: true }));
    expect(await first).toContain('index ');
    expect(new Set(await rest)).toEqual(new Set(['disk_full']));
    // Planned anew, on what is durable: the failed ones left no trace.
    const again = append();
    await go();
    expect(await again).toContain(`index ${Number(/index (\d+)/.exec(await first)?.[1]) + 1}\n`);
    await log.close();
  });

  it('tell whoever holds answers back what is new in them, and that the store was opened anew before the next', async () => {
    const told: unknown[] = [];
    const { log, append, go } = await held({
      admit() {},
      hold: (_, end, many, begin) => void told.push([begin, end(), many]),
      doubted: () => void told.push('doubted'),
      close() {},
    });
    const one = async (fault?: StoreFault) => {
      const answer = append();
      await go(fault);
      return answer;
    };
    await one();
    const [[, end]] = told as [[number, number]];
    expect(told).toEqual([[0, end, 1]]);
    expect(await one(new StoreFault('disk'))).toBe('disk');
    await one();
    expect(told.slice(1)).toEqual(['doubted', [end, end + 1, 1]]);
    await log.close();
  });

  it('are all answered once the log is closed', async () => {
    const { log, events, append, go } = await held();
    const first = append();
    await turns(() => events.length === 1);
    const rest = many(40, append);
    const closing = log.close();
    await go();
    await go();
    await closing;
    expect(events.filter((event) => event === 'answer')).toHaveLength(41);
    await Promise.all([first, rest]);
  });
});
