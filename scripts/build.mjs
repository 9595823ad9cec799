// npm run build: writes dist/. With --if-needed (npm's prepare, wrangler) only when something changed, and silently.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { bundles, root } from './bundles.mjs';

const dist = join(root, 'dist');
const stampFile = join(dist, '.stamp');
const examples = { lambda: 'examples/edge.hallpass.yaml', worker: 'examples/worker.hallpass.yaml' };
const keepNewMs = 60_000;
const leftoverMs = 600_000;

const quiet = process.argv.includes('--if-needed');
const stamp = await stampOfSources();
if (!quiet || (await readFile(stampFile, 'utf8').catch(() => '')) !== stamp) await buildAll();

async function buildAll() {
  // Only where something is to be built: an installation without development packages finds dist/ up to date.
  const { build } = await import('esbuild');
  await mkdir(dist, { recursive: true });
  const fresh = await mkdtemp(join(dist, '.new-'));
  try {
    const config = { lambda: await configText('lambda'), worker: await configText('worker') };
    const [results] = await Promise.all([
      Promise.all(
        Object.entries(bundles).map(([name, options]) => build({ ...options(fresh, config[name]), write: true })),
      ),
      writeClientTypes(fresh),
    ]);
    const { writeEntry } = await import('./entries.mjs');
    await Promise.all(['hallpass', 'node'].map((name) => writeEntry(fresh, name)));
    await makeRunnable(join(fresh, 'hallpass.mjs'));
    await publish(fresh);
    await writeFile(stampFile, stamp);
    await removeLeftovers();
    if (!quiet) report(results);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** The config a function finds when no variable names one: HALLPASS_CONFIG_FILE of this build, else the example's. */
async function configText(runtime) {
  const file = configFile(runtime);
  // Only where something is to be built: it needs esbuild.
  const { readConfigText } = await import('./config-text.mjs');
  return { file, text: await readConfigText(file, join(root, file)) };
}

function configFile(runtime) {
  const named = process.env.HALLPASS_CONFIG_FILE;
  return named === undefined || named === '' ? examples[runtime] : relative(root, resolve(named));
}

/** The declarations of `hallpass/client`, and the one file that stands for them beside its bundle. */
async function writeClientTypes(fresh) {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const args = ['-p', join(root, 'scripts/client.tsconfig.json'), '--outDir', join(fresh, 'client')];
  await promisify(execFile)(process.execPath, [tsc, ...args]).catch(({ stdout }) => {
    throw new Error(`the client's types cannot be written\n${stdout}`);
  });
  await writeFile(join(fresh, 'client.d.ts'), "export * from './client/index.ts';\n");
}

async function makeRunnable(file) {
  const text = await readFile(file, 'utf8');
  if (!text.startsWith('#!')) await writeFile(file, `#!/usr/bin/env node\n${text}`);
  await chmod(file, 0o755);
}

/** Moves each file into place by rename, chunks before the entries that name them. */
async function publish(fresh) {
  const files = (await filesIn(fresh)).sort((a, b) => b.split('/').length - a.split('/').length);
  const before = await Promise.all(['hallpass.mjs', 'node.mjs'].map(bundleOf));
  for (const file of files) {
    await mkdir(dirname(join(dist, file)), { recursive: true });
    await rename(join(fresh, file), join(dist, file));
  }
  await removeOldChunks(new Set(files), before);
}

// A command that is just starting may have read the entry of the build before, and another build may be under way; what is
// deployed is exactly this build.
async function removeOldChunks(current, before) {
  for (const file of await filesIn(dist)) {
    if (!file.includes('/') || file.startsWith('.') || current.has(file)) continue;
    const named = before.some((bundle) => bundle !== undefined && file.startsWith(bundle));
    const { mtimeMs } = await stat(join(dist, file)).catch(() => ({ mtimeMs: 0 }));
    const fresh = /^(hallpass|node)\//.test(file) && Date.now() - mtimeMs < keepNewMs;
    if (!named && !fresh) await rm(join(dist, file), { force: true });
  }
}

/** The bundle that an entry of dist/ starts, if it is there. */
async function bundleOf(entry) {
  const text = await readFile(join(dist, entry), 'utf8').catch(() => '');
  return /(?:hallpass|node)\/app-\w+/.exec(text)?.[0];
}

/** Of builds that were killed: nobody would, and `npm pack` takes what is there. */
async function removeLeftovers() {
  for (const name of await readdir(dist)) {
    if (!name.startsWith('.new-')) continue;
    const { mtimeMs } = await stat(join(dist, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > leftoverMs) await rm(join(dist, name), { recursive: true, force: true });
  }
}

async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

async function stampOfSources() {
  const hash = createHash('sha256');
  const files = ['package.json', 'package-lock.json', configFile('lambda'), configFile('worker')];
  for (const folder of ['src', 'functions', 'scripts']) {
    files.push(...(await filesIn(join(root, folder))).map((file) => `${folder}/${file}`));
  }
  for (const file of files.sort()) {
    hash
      .update(`${file}\0`)
      .update(await readFile(join(root, file)).catch(() => ''))
      .update('\0');
  }
  return hash.digest('hex');
}

function report(results) {
  for (const { metafile } of results) {
    for (const [file, { entryPoint, bytes }] of Object.entries(metafile.outputs)) {
      if (entryPoint === undefined || entryPoint.startsWith('node_modules')) continue;
      const name = file.replace(/^dist\/\.new-[^/]*\//, '');
      if (!name.includes('/')) console.log(`dist/${name}  ${Math.ceil(bytes / 1024)} KiB`);
    }
  }
}
