// The entries of dist/ for Node: small modules that load a CommonJS bundle, and the bundle's code kept by one trial run.
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
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
  return join(folder, name, bundle);
}

/**
 * Serves a small config once, so that what a start needs is compiled, and keeps that. Where it cannot (another process has
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

const config = {
  broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: 'keys' } },
  ledger: { kind: 'sqlite', path: 'ledger.db' },
  issuers: { ci: { issuer: 'https://ci.example.com' } },
  stores: { here: { kind: 'local', path: 'secrets' }, vars: { kind: 'env' } },
  credentials: { stripe: { kind: 'secret', store: 'here', name: 'stripe' } },
  grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['stripe'], ttl: '10m' }],
};
