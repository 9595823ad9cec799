// Cold start of the Node bundle beside bare Hono, and the size of the Worker's static import closure.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { pinned } from './cores.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

function configIn(folder) {
  mkdirSync(folder, { recursive: true });
  const config = {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { ci: { issuer: 'https://issuer.test' } },
    stores: { here: { kind: 'local', path: 'store' } },
    credentials: { 'stripe-key': { kind: 'secret', store: 'here', name: 'stripe' } },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['stripe-key'], ttl: '10m' },
    ],
  };
  const file = join(folder, 'hallpass.json');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Milliseconds from the start of a process to its first line. */
function start(args, env) {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = [...pinned(0), ...args];
    const started = performance.now();
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    child.once('exit', () => reject(new Error(`${args[0]} ended before it listened`)));
    child.stdout.once('data', () => {
      resolve(performance.now() - started);
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
    });
  });
}

/** Bytes of gzip over what the Worker loads before its first request. */
export function workerSize() {
  const folder = join(root, 'dist');
  const seen = new Set();
  const visit = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, path] of text.matchAll(/(?:^|;|\n)\s*(?:import|export)\s*(?:[^'"();]*?from\s*)?["'](\.[^'"]+)["']/g))
      visit(join(file, '..', path));
  };
  visit(join(folder, 'worker.js'));
  return [...seen].reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
}

export async function benchCold({ rounds }) {
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], { stdio: 'ignore' });
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-cold-'));
  const bare = join(root, 'bench/build/bare-hono.mjs');
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' };
  await build({ ...options, entryPoints: [join(root, 'bench/bare-hono.ts')], outfile: bare });
  const config = configIn(folder);
  const cli = [join(root, 'dist/hallpass.mjs'), 'serve', '--config', config, '--port', '0'];
  const server = [join(root, 'dist/node.mjs')];
  const env = { HALLPASS_CONFIG_FILE: config, PORT: '0' };
  const times = { bare: [], serve: [], server: [] };
  try {
    await start(cli);
    for (let round = 0; round < rounds; round++) {
      times.bare.push(await start([bare]));
      times.server.push(await start(server, env));
      times.serve.push(await start(cli));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return times;
}

export function reportCold(times) {
  const over = (name) => summary(times[name].map((ms, round) => ms / times.bare[round]));
  const size = workerSize();
  const figures = {
    'cold start, bare Hono (ms)': summary(times.bare),
    'cold start, functions/node (ms)': summary(times.server),
    'cold start, hallpass serve (ms)': summary(times.serve),
    'functions/node / bare Hono': over('server'),
    'hallpass serve / bare Hono': over('serve'),
    'Worker, static closure (bytes of gzip)': summary([size]),
  };
  const targets = [
    {
      name: 'cold start of the Node server / bare Hono',
      value: figures['functions/node / bare Hono'].median,
      atMost: 1.25,
    },
    { name: 'Worker, static closure (KB of gzip)', value: Math.round(size / 100) / 10, atMost: 100 },
  ];
  return { figures, targets };
}
