// npm run check: types, lint and format, layers, generated files. Prints one line for each, and what failed in full.
import { spawn } from 'node:child_process';
import { root } from './bundles.mjs';

const checks = {
  types: ['tsc', '-p', '.'],
  'lint and format': ['biome', 'check', '--colors=off', '.'],
  layers: ['vitest', 'run', 'test/architecture'],
  'generated files': ['node', 'scripts/generate.mjs', '--check'],
};

const failed = [];
for (const [name, command] of Object.entries(checks)) {
  const started = Date.now();
  const { code, output } = await run(command);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  if (code !== 0) {
    failed.push(name);
    console.log(output.trimEnd());
  }
}
if (failed.length > 0) console.error(`check failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;

function run([program, ...args]) {
  const [file, rest] = program === 'node' ? [process.execPath, args] : ['npx', ['--no-install', program, ...args]];
  const child = spawn(file, rest, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  let output = '';
  const collect = (chunk) => {
    output += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: 1, output: String(error) }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
