import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RealPostgres } from '../real-servers/postgres.ts';
import {
  begin,
  credential,
  enter,
  envOf,
  newIssuer,
  openRotating,
  rotatedConfig,
  soon,
  startTurns,
  stored,
} from '../rotation/rig.ts';
import type { OpenBroker } from '../support/broker.ts';
import { runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';

/** At each step, and as many at random. */
const kills = Number(process.env.HALLPASS_KILLS ?? 1);
const random = Math.max(kills, 5);

const steps = [
  'before started is recorded',
  'after started is recorded',
  'before set is recorded',
  'after set is recorded',
  'before tried is recorded',
  'after tried is recorded',
  'before it is written',
  'after it is written',
  'before store-write is recorded',
  'after store-write is recorded',
  'after current is recorded',
];

const commitWorker = new URL('../../src/ledger/drivers/sqlite/commit-worker.mjs', import.meta.url);
const { folder, remove } = temporaryFolder();
const issuer = newIssuer();
const env = envOf();
let bundles: string;
let postgres: RealPostgres;
let file: string;
let broker: OpenBroker;

beforeAll(async () => {
  postgres = await startTurns();
  const config = rotatedConfig(folder, issuer, postgres.port);
  file = writeConfig(folder, config);
  broker = await openRotating(config, folder, { commitWorker });
  await begin(postgres, broker);
  // Where what it imports is found.
  bundles = mkdtempSync(fileURLToPath(new URL('../../node_modules/.hallpass-', import.meta.url)));
  await build({
    entryPoints: [fileURLToPath(new URL('rotation-process.ts', import.meta.url))],
    outfile: join(bundles, 'process.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
  });
}, 60_000);
afterAll(async () => {
  await broker?.deployment.close();
  await postgres?.remove();
  if (bundles !== undefined) rmSync(bundles, { recursive: true, force: true });
  remove();
});

const killAt = (step: string) =>
  new Promise<NodeJS.Signals | number | null>((resolve) => {
    const args = [join(bundles, 'process.mjs'), file, folder, commitWorker.href, credential, step];
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
    child.once('exit', (code, signal) => resolve(signal ?? code));
  });

interface Row {
  kills: number;
  kept: number;
  next: number;
  works: number;
}
const table = new Map<string, Row>();

/** Tries what is stored, and notes it. */
async function look(where: string, before: string): Promise<void> {
  const row = table.get(where) ?? { kills: 0, kept: 0, next: 0, works: 0 };
  table.set(where, row);
  const now = await stored(broker);
  row.kills++;
  row[now.version === before ? 'kept' : 'next']++;
  if ((await enter(postgres.port, now).catch(() => undefined)) === now.username) row.works++;
}

function print(title: string): void {
  const cells = [...table].map(([where, row]) =>
    [where.padEnd(34), ...[row.kills, row.kept, row.next, row.works].map((count) => String(count).padStart(7))].join(
      '',
    ),
  );
  console.log([title, `${'killed'.padEnd(34)}  kills   kept   next  works`, ...cells].join('\n'));
  table.clear();
}

it(`leaves a stored value that works, killed ${kills} times at each step of a rotation`, {
  timeout: 60_000 + steps.length * kills * 8_000,
}, async () => {
  for (const step of steps)
    for (let round = 0; round < kills; round++) {
      const { version } = await stored(broker);
      expect(await killAt(step)).toBe('SIGKILL');
      await look(step, version);
    }
  const rows = new Map(table);
  print('What is stored after a kill -9 at a step of a rotation:');
  for (const [step, row] of rows) expect([step, row.works]).toEqual([step, kills]);
  const written = steps.indexOf('after it is written');
  expect(steps.map((step) => rows.get(step)?.next)).toEqual(steps.map((_, at) => (at < written ? 0 : kills)));
});

it(`leaves a stored value that works, killed ${random} times at random while another instance rotates as well`, {
  timeout: 60_000 + random * 10_000,
}, async () => {
  const headers = {
    authorization: `Bearer ${issuer.token({ sub: 'svc:operator' })}`,
    'content-type': 'application/json',
  };
  const latencies: number[] = [];
  for (let round = 0; round < random; round++) {
    const server = await startServer(file, 0, [], env);
    const ask = () =>
      fetch(`${server.url}/v1/credentials/${credential}/rotate`, { method: 'POST', headers, body: '{"force":true}' });
    const began = performance.now();
    expect((await ask()).status).toBe(200);
    latencies.push(performance.now() - began);
    const { version } = await stored(broker);
    const alone = round % 2 === 0;
    const asked = ask().catch(() => undefined);
    const other = alone
      ? undefined
      : broker.deployment.rotate(credential, soon(), { force: true }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * (latencies.at(-1) as number)));
    await server.kill();
    await look(alone ? 'at random' : 'at random, beside another: at once', version);
    await Promise.all([asked, other]);
    if (!alone) await look('the same, once the other is done', version);
  }
  const rows = [...table.values()];
  print('What is stored after a kill -9 of a server that rotates:');
  for (const row of rows) expect(row.works).toBe(row.kills);
  // And goes on from there.
  await broker.deployment.rotate(credential, soon(), { force: true });
  const last = await stored(broker);
  expect(await enter(postgres.port, last)).toBe(last.username);
  const verified = runCli(['ledger', 'verify', '--config', file], env);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
});
