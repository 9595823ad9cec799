import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { bundles } from '../../scripts/bundles.mjs';

const mostGzip = 100 * 1024;
/** Modules of Node that workerd has, and that cost nothing to import. */
const builtIn = new Set(['node:crypto', 'node:buffer', 'node:async_hooks', 'cloudflare:workers']);
/** Packages that belong to Node, or that are loaded when first needed. */
const notAtStart = /node_modules\/(?:libsql|@libsql|pg|pg-[a-z]+|yaml|@marcbachmann|commander|@hono\/node-server)\//;

const { outputFiles, metafile } = await build({
  ...bundles.worker('dist', { file: 'none', text: '{}' }),
  write: false as const,
});
const outputs = metafile?.outputs ?? {};

/** What is loaded before the first request: the entry and what it imports statically, and so on. */
function closureOf(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const { kind, path: next, external } of outputs[path]?.imports ?? []) {
    if (kind === 'import-statement' && external !== true) closureOf(next, seen);
  }
  return seen;
}

const atStart = [...closureOf('dist/worker.js')];
const inputs = (paths: readonly string[]) => paths.flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
const externals = (paths: readonly string[]) => [
  ...new Set(
    paths.flatMap((path) =>
      (outputs[path]?.imports ?? []).filter(({ external }) => external === true).map((one) => one.path),
    ),
  ),
];

describe('the Worker', () => {
  test('imports at start nothing that belongs to Node, and nothing that can wait', () => {
    expect(inputs(atStart).filter((path) => notAtStart.test(path))).toEqual([]);
    expect(externals(atStart).filter((name) => !builtIn.has(name))).toEqual([]);
  });

  test('holds no driver of Node in any chunk', () => {
    const all = Object.keys(outputs);
    expect(
      inputs(all).filter((path) =>
        /node_modules\/(?:libsql|@libsql|@google-cloud|google-gax)\/|ledger\/drivers\/sqlite\//.test(path),
      ),
    ).toEqual([]);
    expect(externals(all).filter((name) => /^node:(?:child_process|worker_threads|fs)/.test(name))).toEqual([]);
  });

  test(`starts with at most ${mostGzip / 1024} KiB, compressed`, () => {
    const sizes = atStart.map((path) => {
      const file = outputFiles?.find((output) => output.path.endsWith(path));
      return gzipSync(file?.contents as Uint8Array).length;
    });
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(mostGzip);
  });
});
