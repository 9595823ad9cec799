import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundles } from '../../../scripts/bundles.mjs';
import { openIndexReading } from '../../../src/ledger/drivers/sqlite/index-reading.ts';
import type { PlacedEntry } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { type Asked, catchUp } from '../../../src/ledger/questions/catch-up.ts';
import { fitter, rowOf } from '../../../src/ledger/questions/index-row.ts';
import { askedOf } from '../../../src/ledger/questions/questions.ts';
import { batchOf } from '../../../src/ledger/questions/sql-index-rows.ts';
import { asking, clockAt, scribe, soon } from '../fixtures.ts';
import { newFolder, openIn, removeFolder } from './sqlite-fixture.ts';

const folder = newFolder();
const write = scribe(clockAt(Date.now()));
const readerUrl = pathToFileURL(join(folder, 'index-reader.mjs'));
const many = 2_600;
let all: readonly PlacedEntry[];

/** A ledger with more than an index is given at once. */
beforeAll(async () => {
  // libsql is found from where the sources are.
  const libsql = import.meta.resolve('libsql');
  await build({ ...bundles.indexReader(folder), external: [libsql], alias: { libsql } });
  const ledger = await openIn(folder);
  for (let done = 0; done < many; done += 200)
    await ledger.append(
      asking(
        ...Array.from({ length: 200 }, (_, at) =>
          at % 3 === 0 ? write.denial() : write.issuance(write.id(), { credential: `credential-${at % 7}` }),
        ),
      ),
      soon(),
    );
  const { base, size } = await ledger.reader.head(soon());
  all = await ledger.reader.entries(0, base + size, soon());
  await ledger.close();
});
afterAll(() => removeFolder(folder));

const opened = async (url: URL, work: (ledger: Log, log: Asked) => Promise<void>) => {
  const ledger = await openIn(folder, { parts: { readerUrl: url } });
  const [log] = askedOf(ledger);
  await ledger.index?.clear(soon());
  await work(ledger, log as Asked).finally(() => ledger.close());
};

const fitting = (filter: Parameters<typeof fitter>[0]) =>
  all
    .filter((entry) => fitter(filter)(rowOf(entry)))
    .map(({ index }) => index)
    .reverse();

describe('an index that reads a log on a thread of its own', () => {
  it('is the same as one that is given its rows', async () => {
    const reading = openIndexReading(join(folder, 'ledger.db'), readerUrl);
    const forgotten = new Set([3, 700]);
    expect(await reading.read(0, 1_500, forgotten, soon())).toEqual(batchOf(all.slice(0, 1_500).map(rowOf), forgotten));
    await reading.close();
  });

  it('has all of it, and finds by every member', async () => {
    await opened(readerUrl, async (_, log) => {
      const reads: number[] = [];
      const read: NonNullable<Asked['index']>['read'] = async (from, to, deadline) => {
        reads.push(to - from);
        return (await log.index?.read?.(from, to, deadline)) as boolean;
      };
      await catchUp({ ...log, index: { ...(log.index as NonNullable<Asked['index']>), read } }, soon());
      expect(reads).toEqual([2_048]);
      expect(await log.index?.seen(soon())).toBe(all.length);
      for (const filter of [{ type: 'denial' }, { credential: 'credential-3' }, { name: 'shop:*' }, { type: 'policy' }])
        expect(await log.index?.find(filter, 1e9, 1e4, soon()), JSON.stringify(filter)).toEqual(fitting(filter));
    });
  });

  it('leaves out what it was told to forget before it had read it', async () => {
    await opened(readerUrl, async ({ index }, log) => {
      const [last = 0, ...others] = fitting({ name: 'shop:checkout' });
      await index?.forget([last], soon());
      await catchUp(log, soon());
      expect(await index?.find({ name: 'shop:checkout' }, 1e9, 1e4, soon())).toEqual(others);
    });
  });

  it('is given its rows where the thread does not start', async () => {
    writeFileSync(join(folder, 'broken.mjs'), "throw new Error('broken');\n");
    await opened(pathToFileURL(join(folder, 'broken.mjs')), async ({ index }, log) => {
      await catchUp(log, soon());
      expect(await index?.seen(soon())).toBe(all.length);
    });
  });
});
