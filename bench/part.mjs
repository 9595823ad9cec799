// The TypeScript parts of the benches, each bundled and run as a process of its own.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Bundles `bench/NAME.ts`; gives where the bundle is. */
export async function buildPart(name) {
  const outfile = join(root, `bench/build/${name}.mjs`);
  await build({
    entryPoints: [join(root, `bench/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
    banner: { js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url);" },
  });
  return outfile;
}

/** Runs it; its last line of stdout is JSON. `command`: what runs a script, with its options. */
export async function runPart(name, { env = {}, args = [], command = [process.execPath] } = {}) {
  const outfile = await buildPart(name);
  const [file, ...options] = command;
  const text = execFileSync(file, [...options, outfile, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_ROOT: pathToFileURL(root).href, ...env },
  });
  return JSON.parse(text.trim().split('\n').at(-1));
}
