// The entries of dist/ for Node: small modules that load a CommonJS bundle, and the bundle's code kept by one trial run.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { root } from './bundles.mjs';

/** What each entry hands on of its bundle. */
const exported = { hallpass: '', node: 'export const { start } = app;' };
const warmMs = 20_000;

/** Writes `name.mjs` into the folder, for the bundle that lies in `name/`. */
export async function writeEntry(folder, name) {
  const bundle = (await readdir(join(folder, name))).find((file) => /^app-\w+\.cjs$/.test(file));
  const contents = [
    "import { fileURLToPath } from 'node:url';",
    "import { compile, run } from './load.mjs';",
    `const file = fileURLToPath(new URL('./${name}/${bundle}', import.meta.url));`,
    `${exported[name] === '' ? '' : 'const app = '}run(compile(file), file, import.meta.url);`,
    exported[name],
  ].join('\n');
  await build({
    stdin: { contents, resolveDir: join(root, 'scripts') },
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    outfile: join(folder, `${name}.mjs`),
    logLevel: 'silent',
  });
  const file = join(folder, name, bundle);
  await writeFile(file, inAscii(await readFile(file, 'utf8')));
  return file;
}

// esbuild escapes what is in strings, and leaves a regular expression as it was written.
const inAscii = (text) =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Serves a config once, so that what a start needs is compiled, and keeps that. Where it cannot (another process has
 * taken all ports, say) the entry works all the same, and starts slower.
 */
export async function keepCode(folder, name, bundle) {
  const place = await mkdtemp(join(folder, 'warm-'));
  try {
    const file = join(place, 'hallpass.json');
    await writeFile(file, JSON.stringify(config));
    const env = { ...process.env, HALLPASS_CONFIG: '', HALLPASS_CONFIG_FILE: file, HOST: '127.0.0.1', PORT: '0' };
    const args = name === 'hallpass' ? ['serve', '--config', file, '--port', '0'] : [];
    const child = spawn(
      process.execPath,
      [join(root, 'scripts/warm.mjs'), bundle, join(folder, `${name}.mjs`), ...args],
      {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: warmMs,
        // One that hangs may hear no other.
        killSignal: 'SIGKILL',
      },
    );
    createInterface({ input: child.stdout }).once('line', () => child.kill('SIGTERM'));
    await new Promise((done) => child.once('close', done).once('error', done));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Something of everything, so that what a start does with it is compiled too; none of it is asked for anything. */
const config = {
  broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: 'keys' } },
  ledger: { kind: 'sqlite', path: 'ledger.db' },
  issuers: {
    ci: { issuer: 'https://ci.example.com' },
    actions: { preset: 'github-actions', organization: { id: '9919' } },
    shop: { preset: 'kubernetes', issuer: 'https://cluster.example.com' },
  },
  stores: {
    here: { kind: 'local', path: 'secrets' },
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
    },
    bao: { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' },
    cluster: { kind: 'kubernetes', server: 'https://k8s.example.com', namespace: 'shop' },
  },
  credentials: {
    stripe: { kind: 'secret', store: 'aws', name: 'stripe' },
    partner: { kind: 'jwt', audience: 'https://api.example.com' },
    orders: {
      kind: 'postgres',
      host: 'orders.example.com',
      database: 'orders',
      admin: { store: 'here', name: 'orders-admin' },
      role: 'orders_rw',
    },
  },
  roles: { checkout: ['stripe', 'partner', 'orders'], auditor: { audit: 'read' } },
  grants: [
    { name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['checkout'], ttl: '10m' },
    {
      name: 'shop',
      identity: { issuer: 'shop', namespace: 'shop', serviceAccountUid: '0b7a5c1e-0000-4000-8000-000000000000' },
      when: 'claims["kubernetes.io"].pod.name.startsWith("checkout-")',
      may: ['checkout'],
      ttl: '10m',
    },
    { name: 'audit', identity: { issuer: 'ci', subject: 'b' }, may: ['auditor'] },
  ],
};
