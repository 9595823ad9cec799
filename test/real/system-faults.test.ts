import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { prepareEmbedded } from '../support/config.ts';
import { runCli, startServer, temporaryFolder } from '../support/server.ts';
import { startLoad } from './load.ts';

const { folder, remove } = temporaryFolder();
const mounted: string[] = [];
afterAll(() => {
  for (const place of mounted) execFileSync('umount', ['-l', place], { stdio: 'ignore' });
  remove();
});
const isRoot = process.getuid?.() === 0;
const hasStrace = (() => {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it.skipIf(!hasStrace)(
  'survives fsync failing with EIO: no receipt without its record, well again by itself',
  async () => {
    const base = join(folder, 'fsync');
    const { file, issuer } = prepareEmbedded(base);
    const key = runCli(['ledger', 'key', '--config', file]).stdout.trim();
    const inject = 'inject=fsync,fdatasync:error=EIO:when=40..60';
    const server = await startServer(file, 0, [
      'strace',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      'trace=fsync,fdatasync',
      '-e',
      inject,
    ]);
    const load = startLoad(server.url, issuer, key, 4);
    await sleep(6_000);
    const before = load.statuses.get(200) ?? 0;
    await sleep(1_500);
    await load.stop();
    expect(load.statuses.get(503) ?? 0).toBeGreaterThan(0);
    expect(load.statuses.get(200) ?? 0).toBeGreaterThan(before);
    // strace is only in front: the server is its child, and strace ends with it.
    execFileSync('pkill', ['-TERM', '-P', String(server.child.pid)]);
    await sleep(1_000);
    const verified = runCli(['ledger', 'verify', '--config', file]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    expect(await missingFrom(file, load.held)).toBe(0);
  },
);

it.skipIf(!isRoot)('answers 503 when the disk is full and is well within 2.5 s of its having room again', async () => {
  const base = join(folder, 'full');
  const disk = join(base, 'disk');
  mkdirSync(disk, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
  mounted.push(disk);
  const { file, issuer } = prepareEmbedded(base, { ledger: { kind: 'sqlite', path: join(disk, 'ledger.db') } });
  const key = runCli(['ledger', 'key', '--config', file]).stdout.trim();
  const server = await startServer(file);
  const load = startLoad(server.url, issuer, key, 8);
  for (let wait = 0; wait < 100 && !load.statuses.has(503); wait++) await sleep(100);
  await sleep(1_000);
  const full = load.statuses.get(200) ?? 0;
  await sleep(1_000);
  expect(load.statuses.get(503) ?? 0).toBeGreaterThan(0);
  expect(load.statuses.get(200) ?? 0).toBeLessThanOrEqual(full + 8);
  execFileSync('mount', ['-o', 'remount,size=32m', disk]);
  await sleep(2_500);
  expect(load.statuses.get(200) ?? 0).toBeGreaterThan(full + 8);
  await load.stop();
  await server.stop();
  const verified = runCli(['ledger', 'verify', '--config', file]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  expect(await missingFrom(file, load.held)).toBe(0);
});

/** How many of the records that clients hold receipts for are not where the receipts say. */
async function missingFrom(file: string, held: ReadonlyMap<number, string>): Promise<number> {
  const { ledger } = JSON.parse(execFileSync('cat', [file], { encoding: 'utf8' }));
  const { default: Database } = await import('libsql');
  const database = new Database(ledger.path);
  const rows = database.prepare('SELECT idx, record FROM entries').all([]) as { idx: number; record: string }[];
  database.close();
  const there = new Map(rows.map(({ idx, record }) => [idx, record]));
  return [...held].filter(([index, record]) => there.get(index) !== record).length;
}
