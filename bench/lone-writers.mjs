// Writers that know of no other, each with one append at a time, all to one log: DynamoDB Local (where its tests installed
// it: bash test/real-servers/dynamodb.sh install) and the Durable Object in workerd.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const script = join(root, 'test/real-servers/dynamodb.sh');
const writers = 200;

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(20_000 + Math.floor(Math.random() * 10_000), '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Ends with its standard input. */
async function startDynamoDb(folder) {
  const port = await freePort();
  const child = spawn('bash', [script, 'start', String(port), folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line === 'ready' && resolve());
    ended.then(() => reject(new Error('DynamoDB Local did not start')));
  });
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}

export async function benchLoneWriters({ rounds }) {
  const outfile = join(root, 'bench/build/lone-writers.mjs');
  await build({
    entryPoints: [join(root, 'bench/lone-writers.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
    banner: { js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url);" },
  });
  const measured = (env) => {
    const options = {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
      timeout: 600_000,
    };
    const text = execFileSync(process.execPath, [outfile], options);
    return JSON.parse(text.trim().split('\n').at(-1));
  };
  const env = { BENCH_WRITERS: String(process.env.HALLPASS_LONE_WRITERS ?? writers), BENCH_ROUNDS: String(rounds) };
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stores = { 'Durable Object': measured(env) };
  if (spawnSync('bash', [script, 'installed']).status !== 0) {
    process.stderr.write('no DynamoDB Local: bash test/real-servers/dynamodb.sh install\n');
    return stores;
  }
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const server = await startDynamoDb(folder);
  try {
    return { ...stores, 'DynamoDB Local': measured({ ...env, BENCH_DYNAMODB: server.url }) };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of all rounds: each begins with everybody at once. */
export function reportLoneWriters(stores) {
  const figures = {};
  for (const [store, rounds] of Object.entries(stores))
    for (const [what, values] of Object.entries(rounds)) figures[`${store}: ${what}`] = summary(values);
  return { figures, targets: [] };
}
