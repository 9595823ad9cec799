// Writers that know of no other, each with one append at a time, all to one log: DynamoDB Local (where its tests installed
// it: bash test/real-servers/dynamodb.sh install) and the Durable Object in workerd.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { summary } from './median.mjs';
import { runPart } from './part.mjs';

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
  const env = { BENCH_WRITERS: String(process.env.HALLPASS_LONE_WRITERS ?? writers), BENCH_ROUNDS: String(rounds) };
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--if-needed'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stores = { 'Durable Object': await runPart('lone-writers', { env }) };
  if (spawnSync('bash', [script, 'installed']).status !== 0) {
    process.stderr.write('no DynamoDB Local: bash test/real-servers/dynamodb.sh install\n');
    return stores;
  }
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-bench-'));
  const server = await startDynamoDb(folder);
  try {
    return {
      ...stores,
      'DynamoDB Local': await runPart('lone-writers', { env: { ...env, BENCH_DYNAMODB: server.url } }),
    };
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
