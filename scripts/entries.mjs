// The entries of dist/ for Node: small modules that load a bundle, and the bundle's code kept by trial runs.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './bundles.mjs';
import { newCaller } from './caller.mjs';
import { takeChunks, writeBundle } from './link.mjs';
import { codeFile, laterFile } from './load.mjs';

/** What each entry hands on of its bundle. */
const exported = { hallpass: '', node: 'export const { start } = app;' };
const warmMs = 20_000;

/**
 * Writes `name.mjs` into the folder, and in place of the chunks in `name/` the bundle that it loads, with the code of a start
 * by a config that has something of everything. Where none can be tried (another process has taken all ports, say) the
 * entry works all the same, and starts slower.
 */
export async function writeEntry(folder, name) {
  const chunks = await takeChunks(join(folder, name));
  const file = await writeBundle(join(folder, name), chunks);
  await writeModule(folder, name, basename(file));
  // Both trial runs are of one place: what makes keys and a ledger no other start needs, and the second finds them made.
  const place = await mkdtemp(join(folder, 'warm-'));
  try {
    const atStart = await tryOut(folder, name, file, place);
    if (atStart === undefined) return;
    for (const part of [file, laterFile(file)])
      for (const one of [part, codeFile(part)]) await rm(one, { force: true });
    const parted = await writeBundle(join(folder, name), chunks, atStart);
    await writeModule(folder, name, basename(parted));
    // A process is often started for a request: the code of answering it is kept, and that of a condition that is not plain.
    const caller = await newCaller();
    try {
      await tryOut(folder, name, parted, place, caller);
    } finally {
      caller.close();
    }
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function writeModule(folder, name, bundle) {
  const contents = [
    "import { beside, run } from './load.mjs';",
    `${exported[name] === '' ? '' : 'const { exported: app } = '}run(beside(import.meta.url, './${name}/${bundle}'), import.meta.url);`,
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
}

/**
 * Starts a bundle once and keeps what was compiled of it; `caller` asks it for something first.
 *
 * @returns the chunks that had run when it listened, if it did
 */
async function tryOut(folder, name, bundle, place, caller) {
  const file = join(place, 'hallpass.json');
  const { issuers, grants } = caller ?? {};
  await writeFile(
    file,
    JSON.stringify({
      ...config,
      issuers: { ...config.issuers, ...issuers },
      grants: [...config.grants, ...(grants ?? [])],
    }),
  );
  const env = { ...process.env, HALLPASS_CONFIG: '', HALLPASS_CONFIG_FILE: file, HOST: '127.0.0.1', PORT: '0' };
  const args = name === 'hallpass' ? ['serve', '--config', file, '--port', '0'] : [];
  const child = spawn(
    process.execPath,
    [join(root, 'scripts/warm.mjs'), bundle, join(folder, `${name}.mjs`), ...args],
    {
      env,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      timeout: warmMs,
      // One that hangs may hear no other.
      killSignal: 'SIGKILL',
    },
  );
  let atStart;
  child.once('message', async ({ ran, line }) => {
    atStart = ran;
    await caller?.ask(line).catch(() => {});
    child.send('end', () => {});
  });
  await new Promise((done) => child.once('close', done).once('error', done));
  return atStart;
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
      account: 'hallpass@acme-core.iam.gserviceaccount.com',
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
