// Cold start of the Node bundle with everything configured beside bare Hono, the first use of each store, the Worker's size.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { pinned } from './cores.mjs';
import { summary } from './median.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Every kind of store, of issuer and of credential that runs on Node. */
function configIn(folder) {
  mkdirSync(folder, { recursive: true });
  const stores = {
    here: { kind: 'local', path: 'store' },
    vars: { kind: 'env' },
    aws: { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: 'arn:aws:iam::123456789012:role/hallpass' },
    hub: {
      kind: 'azure-key-vault',
      vault: 'https://hub.vault.azure.net',
      tenant: '11111111-1111-1111-1111-111111111111',
      client: '22222222-2222-2222-2222-222222222222',
    },
    core: {
      kind: 'google-secret-manager',
      project: 'acme-core',
      provider: 'projects/123456789/locations/global/workloadIdentityPools/outside/providers/hallpass',
      account: 'hallpass@acme-core.iam.gserviceaccount.com',
    },
    bao: { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' },
    cluster: { kind: 'kubernetes', server: 'https://k8s.example.com', namespace: 'shop' },
  };
  const secrets = Object.keys(stores).map((store) => [`from-${store}`, { kind: 'secret', store, name: 'stripe' }]);
  const config = {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: {
      ci: { issuer: 'https://issuer.test' },
      actions: { preset: 'github-actions', organization: { id: '9919' } },
      shop: { preset: 'kubernetes', issuer: 'https://oidc.eks.eu-west-1.amazonaws.com/id/ABC' },
    },
    stores,
    credentials: {
      ...Object.fromEntries(secrets),
      partner: { kind: 'jwt', audience: 'https://api.partner.example' },
      orders: {
        kind: 'postgres',
        host: 'orders.internal',
        database: 'orders',
        admin: { store: 'hub', name: 'orders-admin' },
        role: 'orders_rw',
      },
    },
    roles: { checkout: [...secrets.map(([name]) => name), 'partner', 'orders'], auditor: { audit: 'read' } },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
      {
        name: 'shop',
        identity: { issuer: 'shop', namespace: 'shop', serviceAccountUid: '0b7a5c1e-0000-4000-8000-000000000000' },
        when: 'claims["kubernetes.io"].pod.name.startsWith("checkout-")',
        may: ['checkout'],
        ttl: '10m',
      },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
    ],
  };
  const file = join(folder, 'hallpass.json');
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const counter = join(root, 'bench/cpu-until-first-line.cjs');

/** The first line of a process, and milliseconds until it. */
function start(args, env) {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = [...pinned(0), ...args];
    const started = performance.now();
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
    child.once('exit', () => reject(new Error(`${args[0]} ended before it listened`)));
    child.stdout.once('data', (data) => {
      resolve({ ms: performance.now() - started, line: String(data).split('\n')[0] });
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
    });
  });
}

/** Both of one start, by two processes: counting takes time that is not the start's. */
async function measure(args, env) {
  const { ms } = await start(args, env);
  const { line } = await start(['--require', counter, ...args], env);
  return { ms, cpu: JSON.parse(line).cpu };
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

/** Bytes of gzip over all chunks of the Worker. */
function workerTotal() {
  const folder = join(root, 'dist');
  const chunks = readdirSync(join(folder, 'worker')).map((name) => join(folder, 'worker', name));
  return [join(folder, 'worker.js'), ...chunks].reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
}

/** Milliseconds of the first read of each store in a process of its own, and of a later one. */
async function firstUse(rounds) {
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' };
  for (const name of ['first-use', 'read-store'])
    await build({
      ...options,
      logLevel: 'error',
      entryPoints: [join(root, `bench/${name}.ts`)],
      outfile: join(root, `bench/build/${name}.mjs`),
    });
  const script = join(root, 'bench/build/first-use.mjs');
  return JSON.parse(execFileSync(process.execPath, [script, String(rounds)], { encoding: 'utf8' }));
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
      times.bare.push(await measure([bare]));
      times.server.push(await measure(server, env));
      times.serve.push(await measure(cli));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { times, stores: await firstUse(Math.max(3, Math.floor(rounds / 3))) };
}

export function reportCold({ times, stores }) {
  const of = (name, what) => summary(times[name].map((one) => one[what]));
  const over = (name, what) => summary(times[name].map((one, round) => one[what] / times.bare[round][what]));
  const size = workerSize();
  const figures = {
    'cold start, bare Hono (ms)': of('bare', 'ms'),
    'cold start, functions/node (ms)': of('server', 'ms'),
    'cold start, hallpass serve (ms)': of('serve', 'ms'),
    'functions/node / bare Hono': over('server', 'ms'),
    'hallpass serve / bare Hono': over('serve', 'ms'),
    'processor time, bare Hono (ms)': of('bare', 'cpu'),
    'processor time, functions/node (ms)': of('server', 'cpu'),
    'processor time, functions/node / bare Hono': over('server', 'cpu'),
    'Worker, static closure (bytes of gzip)': summary([size]),
    'Worker, with all it may load (bytes of gzip)': summary([workerTotal()]),
  };
  for (const [kind, reads] of Object.entries(stores)) {
    figures[`first read of ${kind} (ms)`] = summary(reads.map(({ first }) => first));
    figures[`a later read of ${kind} (ms)`] = summary(reads.map(({ again }) => again));
  }
  const targets = [
    {
      name: 'cold start of the Node server with everything configured / bare Hono',
      value: figures['functions/node / bare Hono'].median,
      atMost: 1.1,
    },
    { name: 'Worker, static closure (KB of gzip)', value: Math.round(size / 100) / 10, atMost: 100 },
  ];
  return { figures, targets };
}
