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
  readonly write: ReturnType<typeof scribe>;
  /** Lets the next commit that waits go on, or fail; it took so many milliseconds. */
  go(fault?: StoreFault, ms?: number): Promise<void>;
}

/** A log whose every commit waits to be let go. */
async function held(gate?: AnswerGate): Promise<Held> {
  const clock = clockAt(Date.now());
  const folder = newFolder();
  folders.push(folder);
  const { secrets, writer, origin, platform } = depsOf({ now: () => clock.now() }, folder);
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
  const write = scribe(clock);
  return {
    log,
    write,
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
    async go(fault, ms = 0) {
      while (waiting.length === 0) await setImmediate();
      clock.at += ms;
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

describe('batches for a slow store', () => {
  /** One after another, each commit as long. */
  async function commits({ append, go }: Held, count: number, ms: number): Promise<void> {
    for (let time = 0; time < count; time++) {
      const answer = append();
      await go(undefined, ms);
      await answer;
    }
  }

  /** What happens once a commit is done while one more waits. */
  async function afterOne({ append, go, events }: Held, ms: number): Promise<readonly string[]> {
    events.length = 0;
    const first = append();
    await turns(() => events.length === 1);
    const second = append();
    await go(undefined, ms);
    await first;
    const then = events.slice(1);
    await go(undefined, ms);
    await second;
    return then;
  }

  it('are handed to it before those of the last are answered, however few wait', async () => {
    const slow = await held();
    await commits(slow, 8, 2);
    expect(await afterOne(slow, 2)).toEqual(['commit of 1', 'answer']);
    await commits(slow, 1, 1);
    expect(await afterOne(slow, 2)).toEqual(['answer']);
    await slow.log.close();
  });

  it('are told also where the next comes to nothing, or fails', async () => {
    const slow = await held();
    const { log, events, append, go, write } = slow;
    await commits(slow, 8, 2);
    for (const fault of [undefined, new StoreFault('disk_full', { harmless: true })]) {
      events.length = 0;
      const first = append();
      await turns(() => events.length === 1);
      const next = fault ? write.issuance(write.id()) : write.issuance(write.id(), { epoch: 9 });
      const refused = log.append({ ...asking(next), epoch: fault ? 0 : 9 }, soon()).catch(({ reason }) => reason);
      await go(undefined, 2);
      expect(await first).toContain('index ');
      if (fault !== undefined) await go(fault);
      expect(await refused).toBe(fault ? 'disk_full' : 'stale');
    }
    await log.close();
  });

  it('are all told once the log is closed', async () => {
    const slow = await held();
    const { log, events, append, go } = slow;
    await commits(slow, 8, 2);
    events.length = 0;
    const first = append();
    await turns(() => events.length === 1);
    const rest = [first, append()];
    const closing = log.close();
    await go(undefined, 2);
    await go(undefined, 2);
    await closing;
    expect((await Promise.all(rest)).every((proof) => proof.includes('index '))).toBe(true);
  });
});
