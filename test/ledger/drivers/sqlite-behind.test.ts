import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundles } from '../../../scripts/bundles.mjs';
import { catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { askedOf } from '../../../src/ledger/questions/questions.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import { newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

const folder = newFolder();
const write = scribe(clockAt(Date.now()));
const readerUrl = pathToFileURL(join(folder, 'index-reader.mjs'));

beforeAll(async () => {
  const libsql = import.meta.resolve('libsql');
  await build({ ...bundles.indexReader(folder), external: [libsql], alias: { libsql } });
});
afterAll(() => removeFolder(folder));

const threads = () => readdirSync('/proc/self/task');
/** The 19th value of proc_pid_stat(5); the name before it may hold anything. */
const nicenessOf = (thread: string): number => {
  const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
};

/** Appends as much as an index is read on a thread for, and asks; which threads came for the appends, and which for the rest. */
async function ask() {
  const ledger = await openIn(folder, { parts: { readerUrl } });
  const before = threads();
  for (let done = 0; done < 1_100; done += 220)
    await ledger.append(asking(...Array.from({ length: 220 }, () => write.denial())), soon());
  const appended = threads();
  const [log] = askedOf(ledger);
  if (log === undefined) throw new Error('no log');
  await catchUp(log, soon());
  const seen = await ledger.index?.seen(soon());
  const later = threads().filter((thread) => !appended.includes(thread));
  const niceness = {
    main: nicenessOf(String(process.pid)),
    appending: appended.filter((thread) => !before.includes(thread)).map(nicenessOf),
    indexing: later.map(nicenessOf),
  };
  await ledger.close();
  return { seen, niceness };
}

describe.runIf(process.platform === 'linux')('the threads of an index', () => {
  it('come after those that serve and commit, and no other thread does', async () => {
    const own = getPriority();
    const { seen, niceness } = await ask();
    // With the record of the key that came first.
    expect(seen).toBe(1_101);
    expect(niceness.main).toBe(own);
    expect(new Set(niceness.appending)).toEqual(new Set([own]));
    // The one that reads the log and the one that keeps the index.
    const behind = Math.min(19, own + 5);
    expect(niceness.indexing.filter((nice) => nice === behind)).toHaveLength(2);
    expect(getPriority()).toBe(own);
  });
});
