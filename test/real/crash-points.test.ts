import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import { appendOne, openIn } from '../ledger/drivers/sqlite-fixture.ts';
import { repository, temporaryFolder } from '../support/server.ts';
import { type Operation, readTrace } from './syscall-trace.ts';

const points = Number(process.env.HALLPASS_CRASH_POINTS ?? 300);
const seed = Number(process.env.HALLPASS_SEED ?? 1);
const appends = 160;
const files = ['ledger.db', 'ledger.db-wal'];
const sector = 512;

const { folder, remove } = temporaryFolder();
afterAll(remove);
const hasStrace = (() => {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Mulberry32: the same points for the same seed. */
function seeded(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function traced(): Promise<Operation[]> {
  const live = join(folder, 'live');
  mkdirSync(live);
  const script = join(folder, 'traced-appends.mjs');
  await build({
    entryPoints: [join(repository, 'test/real/traced-appends.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['libsql'],
    logLevel: 'error',
  });
  execFileSync('ln', ['-s', join(repository, 'node_modules'), join(folder, 'node_modules')]);
  const worker = new URL('../../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url).href;
  const trace = join(folder, 'trace');
  const calls = 'trace=pwrite64,write,fsync,fdatasync,ftruncate';
  const watch = ['-f', '-y', '-xx', '-s', '70000', '-o', trace, '-e', calls, '--signal=none'];
  const run = [...watch, process.execPath, script, live, String(appends), worker];
  execFileSync('strace', run, { stdio: 'ignore', timeout: 240_000 });
  const lines = createInterface({ input: createReadStream(trace) });
  return readTrace(lines, live, files);
}

/** A file as it grows: what lies in it whatever happens, and what was written since its last sync. */
class CrashFile {
  #durable: Buffer = Buffer.alloc(0);
  #pending: Extract<Operation, { kind: 'write' | 'truncate' }>[] = [];

  take(operation: Operation): void {
    if (operation.kind === 'write' || operation.kind === 'truncate') this.#pending.push(operation);
    if (operation.kind !== 'sync') return;
    for (const one of this.#pending) this.#durable = apply(this.#durable, one);
    this.#pending = [];
  }

  /** Any of what was not synced may be lost, and the last write be torn. */
  crash(random: () => number): Buffer {
    let image: Buffer = Buffer.from(this.#durable);
    for (const [at, one] of this.#pending.entries()) {
      if (random() < 0.5) continue;
      const torn = one.kind === 'write' && at === this.#pending.length - 1;
      image = apply(image, torn ? { ...one, data: one.data.subarray(0, cut(one.data.length, random)) } : one);
    }
    return image;
  }
}

const cut = (length: number, random: () => number) => Math.floor((random() * length) / sector) * sector;

function apply(image: Buffer, one: Extract<Operation, { kind: 'write' | 'truncate' }>): Buffer {
  if (one.kind === 'truncate') return Buffer.concat([image.subarray(0, one.size)], one.size);
  const end = one.offset + one.data.length;
  const grown = image.length < end ? Buffer.concat([image], end) : image;
  one.data.copy(grown, one.offset);
  return grown;
}

/** Crashes at as many points of what happened; what is lost or broken is counted. */
async function crashAt(operations: readonly Operation[], many: number) {
  const random = seeded(seed);
  const chosen = Array.from({ length: many }, () => 1 + Math.floor(random() * operations.length));
  chosen.sort((a, b) => a - b);
  const state = new Map(files.map((name) => [name, new CrashFile()]));
  const tally = { beforeTables: 0, whole: 0, lost: 0, broken: 0 };
  let acknowledged = -1;
  let done = 0;
  for (const point of chosen) {
    for (; done < point; done++) {
      const operation = operations[done] as Operation;
      if (operation.kind === 'acknowledged') acknowledged = operation.index;
      else state.get(operation.file)?.take(operation);
    }
    const place = join(folder, 'crashed');
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place);
    for (const [name, file] of state) {
      const image = file.crash(random);
      if (image.length > 0) writeFileSync(join(place, name), image);
    }
    const there = await entriesThere(place);
    if (there === undefined) tally.broken++;
    else if (there === 0 && acknowledged < 0) tally.beforeTables++;
    else if (there <= acknowledged) tally.lost++;
    else if (tally.whole++ % 10 === 0) await goesOn(place);
  }
  return tally;
}

describe.skipIf(!hasStrace)('a sqlite ledger on a disk that loses what was not synced and tears the last write', () => {
  let operations: Operation[];
  beforeAll(async () => {
    operations = await traced();
  }, 300_000);

  it(
    `has every acknowledged record after ${points} crashes`,
    async () => {
      expect(operations.filter(({ kind }) => kind === 'acknowledged')).toHaveLength(appends);
      const tally = await crashAt(operations, points);
      console.log(`${points} crash points (seed ${seed}) in ${operations.length} operations:`, tally);
      expect(tally).toMatchObject({ lost: 0, broken: 0 });
      expect(tally.whole).toBeGreaterThan(points / 2);
    },
    60_000 + points * 200,
  );

  it('would not have them without its syncs, so the crashes are ones that can be noticed', async () => {
    const { lost, broken } = await crashAt(
      operations.filter(({ kind }) => kind !== 'sync'),
      30,
    );
    expect(lost + broken).toBeGreaterThan(15);
  });
});

/** How many entries a crashed log has; 0 where not even its tables were made, undefined where it is not whole. */
async function entriesThere(place: string): Promise<number | undefined> {
  if (!existsSync(join(place, 'ledger.db'))) return 0;
  const opened = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, place).catch((error) => {
    if (String(error).includes('is not a Hallpass ledger')) return 'unmade';
    return undefined;
  });
  if (opened === undefined) return undefined;
  if (opened === 'unmade') return 0;
  try {
    const { size, findings } = await verifyLog(opened.source, { needIntent: new Set() });
    return findings.length === 0 ? size : undefined;
  } catch {
    return undefined;
  } finally {
    await opened.close();
  }
}

async function goesOn(place: string): Promise<void> {
  const ledger = await openIn(place);
  try {
    // On a busy machine a commit may take longer than the ledger waits for it; the next one finds it well again.
    for (let tries = 0; ; tries++) {
      const failed = await appendOne(ledger).then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      if (failed === undefined) return;
      if (tries === 5) throw failed.error;
    }
  } finally {
    await ledger.close();
  }
}
