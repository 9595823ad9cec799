import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, expect, it } from 'vitest';
import { adminOf, urlOf } from '../ledger/drivers/postgres-fixture.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLoad } from './load.ts';

const cuts = Number(process.env.HALLPASS_POWER_CUTS ?? 4);
const isRoot = process.getuid?.() === 0;
const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', 'https://pass.test');
const mounted: string[] = [];
let live: RealPostgres | undefined;
let broker: RunningServer | undefined;
afterAll(async () => {
  await broker?.kill();
  await live?.stop();
  for (const place of mounted.reverse()) execFileSync('umount', ['-l', place], { stdio: 'ignore' });
  remove();
});

function mount(image: string, name: string): string {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  execFileSync('mount', ['-o', 'loop', image, place]);
  mounted.push(place);
  // What the server's own user must pass through.
  execFileSync('chmod', ['755', folder, place]);
  return place;
}

function unmount(place: string): void {
  execFileSync('umount', [place]);
  mounted.splice(mounted.indexOf(place), 1);
}

const settings = { fsync: 'on', log_statement: 'none', max_wal_size: '64MB', wal_recycle: 'off' };

/** The server and its backends. */
function processesOf({ data }: RealPostgres): string[] {
  const [pid] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n') as [string];
  const backends = execFileSync('pgrep', ['-P', pid], { encoding: 'utf8' });
  return [pid, ...backends.trim().split('\n')];
}

it.skipIf(!isRoot)(
  `has every acknowledged record on the device when power is cut, ${cuts} times in mid-load, with postgres`,
  async () => {
    const image = join(folder, 'device');
    execFileSync('truncate', ['-s', '384M', image]);
    execFileSync('mkfs.ext4', ['-q', image]);
    const device = mount(image, 'live');
    const parent = join(device, 'server');
    mkdirSync(parent);
    live = await startPostgres(settings, { parent });
    const at = adminOf(live, 'hallpass_ledger');
    const ref = (name: string) => ({ store: 'vars', name });
    const secrets = (url: string) => ({ CUT_LEDGER: url, CUT_STRIPE: 'not-a-real-key', CUT_SEED: seed });
    const seed = randomBytes(32).toString('hex');
    const file = writeConfig(
      folder,
      embeddedConfig(folder, issuer, {
        ledger: { kind: 'postgres', url: ref('LEDGER'), seed: ref('SEED') },
        stores: { vars: { kind: 'env', prefix: 'CUT_' } },
        credentials: {
          'stripe-key': { kind: 'secret', store: 'vars', name: 'STRIPE' },
          partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
        },
      }),
    );
    const made = runCli(['ledger', 'init', '--config', file], secrets(urlOf(at)));
    expect(made.code, made.stderr).toBe(0);
    // The cluster itself was made without syncs.
    execFileSync('sync');
    broker = await startServer(file, 0, [], secrets(urlOf(at)));
    const load = startLoad(broker.url, issuer, made.stdout.trim());
    let checked = 0;
    let missing = 0;

    for (let cut = 0; cut < cuts; cut++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 500));
      // All of the server stands still while the device is copied: what it has not synced may be there or not.
      const pids = processesOf(live);
      execFileSync('kill', ['-STOP', ...pids], { stdio: 'ignore' });
      const acknowledged = new Map(load.held);
      const copy = join(folder, `cut-${cut}.device`);
      execFileSync('cp', ['--sparse=always', image, copy]);
      execFileSync('kill', ['-CONT', ...pids], { stdio: 'ignore' });

      const place = mount(copy, `cut-${cut}`);
      const after = await startPostgres(settings, { parent: join(place, 'server'), made: true });
      try {
        const url = urlOf(adminOf(after, 'hallpass_ledger'));
        const verified = runCli(['ledger', 'verify', '--config', file], secrets(url));
        expect(verified.code, verified.stdout + verified.stderr).toBe(0);
        const client = new pg.Client({ connectionString: url.replace(/\?.*/, ''), ssl: false });
        await client.connect();
        const { rows } = await client.query('SELECT idx, record FROM hallpass_ledger.entries');
        await client.end();
        const there = new Map(rows.map(({ idx, record }) => [Number(idx), record as string]));
        for (const [index, record] of acknowledged) if (there.get(index) !== record) missing++;
      } finally {
        await after.stop();
      }
      checked += acknowledged.size;
      unmount(place);
      rmSync(copy);
    }
    await load.stop();
    console.log(`${cuts} cuts of power: ${checked} acknowledged records looked for, ${missing} missing`);
    expect(load.held.size, JSON.stringify([...load.statuses])).toBeGreaterThan(cuts * 10);
    expect(missing).toBe(0);
  },
  60_000 + cuts * 20_000,
);
