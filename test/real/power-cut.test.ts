import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, expect, it } from 'vitest';
import { prepareEmbedded } from '../support/config.ts';
import { runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLoad } from './load.ts';

const cuts = Number(process.env.HALLPASS_POWER_CUTS ?? 20);
const isRoot = process.getuid?.() === 0;
const { folder, remove } = temporaryFolder();
const mounted: string[] = [];
afterAll(() => {
  for (const place of mounted.reverse()) execFileSync('umount', ['-l', place], { stdio: 'ignore' });
  remove();
});

function mount(image: string, name: string): string {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  execFileSync('mount', ['-o', 'loop', image, place]);
  mounted.push(place);
  return place;
}

function unmount(place: string): void {
  execFileSync('umount', [place]);
  mounted.splice(mounted.indexOf(place), 1);
}

it.skipIf(!isRoot)(
  `has every acknowledged record on the device when power is cut, ${cuts} times in mid-load`,
  { timeout: 60_000 + cuts * 12_000 },
  async () => {
    const image = join(folder, 'device');
    execFileSync('truncate', ['-s', '96M', image]);
    execFileSync('mkfs.ext4', ['-q', image]);
    const device = mount(image, 'live');
    const { file, issuer } = prepareEmbedded(folder, { ledger: { kind: 'sqlite', path: join(device, 'ledger.db') } });
    const server = await startServer(file);
    const key = runCli(['ledger', 'key', '--config', file]).stdout.trim();
    const load = startLoad(server.url, issuer, key);
    const config = JSON.parse(execFileSync('cat', [file], { encoding: 'utf8' }));
    let checked = 0;
    let missing = 0;

    for (let cut = 0; cut < cuts; cut++) {
      await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 400));
      // The process stands still while the device is copied: what it holds is what was synced, nothing that was only written.
      server.child.kill('SIGSTOP');
      const acknowledged = new Map(load.held);
      const copy = join(folder, `cut-${cut}.device`);
      copyFileSync(image, copy);
      server.child.kill('SIGCONT');

      const place = mount(copy, `cut-${cut}`);
      const path = join(folder, `cut-${cut}.db`);
      for (const end of ['', '-wal'])
        if (existsSync(join(place, `ledger.db${end}`))) copyFileSync(join(place, `ledger.db${end}`), `${path}${end}`);
      unmount(place);
      const cutFile = writeConfig(folder, { ...config, ledger: { kind: 'sqlite', path } }, 'cut.json');
      const verified = runCli(['ledger', 'verify', '--config', cutFile]);
      expect(verified.code, verified.stdout + verified.stderr).toBe(0);
      const database = new Database(path);
      const rows = database.prepare('SELECT idx, record FROM entries').all([]) as { idx: number; record: string }[];
      database.close();
      const there = new Map(rows.map(({ idx, record }) => [idx, record]));
      for (const [index, record] of acknowledged) if (there.get(index) !== record) missing++;
      checked += acknowledged.size;
      rmSync(copy);
    }
    await load.stop();
    await server.stop();
    console.log(`${cuts} cuts of power: ${checked} acknowledged records looked for, ${missing} missing`);
    expect(load.held.size).toBeGreaterThan(cuts * 10);
    expect(missing).toBe(0);
  },
);
