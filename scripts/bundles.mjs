// What is bundled for each runtime, and how. Used by build.mjs and by the tests of the architecture.
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const shared = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  splitting: true,
  metafile: true,
  legalComments: 'none',
  logLevel: 'silent',
  sourcemap: false,
};

/** libsql asks by two packages which of its binaries fits here, and they for a report that takes longer than all else it does. */
const oneLook = { '@neon-rs/load': './scripts/libc.cjs', 'detect-libc': './scripts/libc.cjs' };

const node = { ...shared, platform: 'node', target: 'node20', outExtension: { '.js': '.mjs' } };

// CommonJS packages inside an ES module bundle still call require() for Node's own modules, and ask where they are.
const requireForBundled = {
  js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url); const __dirname = import.meta.dirname;",
};

/** What a clone's own node_modules bring: bundled only where there are none beside the file. */
const packages = ['libsql', 'pg', 'mysql2', 'jose', '@aws-sdk/*', '@azure/*', '@google-cloud/*'];

/** What a config in JSON does without, and large: a file of its own in `packages/`. */
const yamlApart = {
  name: 'yaml-apart',
  setup(build) {
    build.onResolve({ filter: /^yaml$/ }, () => ({ path: '../packages/yaml.cjs', external: true }));
  },
};

/** Chunks: one that every start needs, the others by who needs what. link.mjs puts them together for load.mjs. */
const whole = (outdir, folder, entry, external = []) => ({
  ...shared,
  outdir,
  platform: 'node',
  target: 'node20',
  outExtension: { '.js': '.mjs' },
  entryPoints: { app: entry },
  entryNames: `${folder}/[name]`,
  chunkNames: `${folder}/[name]-[hash]`,
  // libsql goes in for its aliases below, jose because it is an ES module, which no script can import.
  external: [...packages.filter((name) => name !== 'libsql' && name !== 'jose'), ...external],
  alias: oneLook,
  define: { 'import.meta.url': 'entryUrl' },
  plugins: [yamlApart, inOneChunk(entry)],
  minifySyntax: true,
  minifyWhitespace: true,
});

/** esbuild options by bundle; `config` is what a function finds bundled: `{ file, text }` or undefined. */
export const bundles = {
  hallpass: (outdir) => whole(outdir, 'hallpass', 'src/cli/main.ts', ['commander']),
  node: (outdir) => whole(outdir, 'node', 'functions/node.ts'),
  yaml: (outdir) => ({
    ...node,
    outdir,
    format: 'cjs',
    splitting: false,
    entryPoints: { 'packages/yaml': 'yaml' },
    outExtension: { '.js': '.cjs' },
    minifySyntax: true,
    minifyWhitespace: true,
  }),
  lambda: (outdir, config) => ({
    ...node,
    outdir,
    entryPoints: { lambda: 'functions/lambda.ts' },
    chunkNames: 'lambda/[name]-[hash]',
    external: ['pg-native'],
    banner: requireForBundled,
    plugins: [bundledConfig(config), withoutPlugInsOfOthers('lambda')],
    minifySyntax: true,
  }),
  worker: (outdir, config) => ({
    ...shared,
    outdir,
    // Packages swap files that need Node for others by the `browser` member of their package.json.
    platform: 'browser',
    target: 'es2024',
    mainFields: ['browser', 'module', 'main'],
    conditions: ['workerd', 'worker', 'browser'],
    entryPoints: { worker: 'functions/worker.ts' },
    chunkNames: 'worker/[name]-[hash]',
    external: ['node:*', 'cloudflare:*'],
    plugins: [bundledConfig(config), withoutPlugInsOfOthers('workerd'), inOneChunk('functions/worker.ts')],
    minify: true,
    keepNames: false,
  }),
  // Started by their paths, beside the entry that starts them, with libsql in them: a thread that looks for packages takes
  // half as long again to start, and the first append waits for it.
  writers: (outdir) => ({
    ...node,
    outdir,
    splitting: false,
    entryPoints: {
      'commit-worker': 'src/ledger/drivers/sqlite/commit-worker.mjs',
      'index-worker': 'src/ledger/drivers/sqlite/index-worker.mjs',
    },
    external: ['@libsql/*'],
    alias: oneLook,
    banner: requireForBundled,
    minifySyntax: true,
    minifyWhitespace: true,
  }),
  verifyWorker: (outdir) => ({
    ...bundles.writers(outdir),
    entryPoints: { 'verify-worker': 'src/ledger/drivers/sqlite/verify-worker.ts' },
  }),
  // Likewise.
  indexReader: (outdir) => ({
    ...bundles.verifyWorker(outdir),
    entryPoints: { 'index-reader': 'src/ledger/drivers/sqlite/index-reader.ts' },
  }),
  // What workloads import, on any runtime: one file without a dependency.
  client: (outdir) => ({
    ...shared,
    outdir,
    platform: 'neutral',
    target: 'es2022',
    splitting: false,
    entryPoints: { client: 'src/client/index.ts' },
    minify: true,
  }),
};

/** Puts the config of this build in place of the empty one in functions/bundled.ts. */
function bundledConfig(config) {
  return {
    name: 'bundled-config',
    setup(build) {
      if (config === undefined) return;
      build.onLoad({ filter: /[\\/]functions[\\/]bundled\.ts$/ }, () => ({
        contents: `export const bundled = ${JSON.stringify(config)};`,
      }));
    },
  };
}

/** A bundler inlines import(): what a plug-in loads only where it can run must not travel to where it cannot. */
function withoutPlugInsOfOthers(runtime) {
  return {
    name: 'without-plug-ins-of-others',
    setup(build) {
      build.onResolve({ filter: /./ }, async ({ kind, importer, path }) => {
        if (kind !== 'dynamic-import' || !importer.endsWith('.ts')) return undefined;
        const runtimes = /\bruntimes: \[([^\]]*)\]/.exec(await readFile(importer, 'utf8'));
        if (runtimes === null || runtimes[1].includes(`'${runtime}'`)) return undefined;
        return { path: `${relative(root, importer)}:${path}`, namespace: 'left-out' };
      });
      build.onLoad({ filter: /./, namespace: 'left-out' }, () => ({
        contents: `throw new Error('this plug-in cannot run on ${runtime}');`,
      }));
    },
  };
}

/**
 * What the entry needs at start becomes one chunk, which compresses better than fifty: chunks are made by who needs what, so
 * whatever is loaded on demand is made to need all of the entry, which is there by then.
 */
function inOneChunk(entry) {
  return {
    name: 'in-one-chunk',
    setup(build) {
      build.onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ kind, path, resolveDir }) =>
        kind === 'dynamic-import' ? { path: resolve(resolveDir, path), namespace: 'on-demand' } : undefined,
      );
      build.onLoad({ filter: /./, namespace: 'on-demand' }, ({ path }) => ({
        contents: `import ${JSON.stringify(join(root, entry))}; export * from ${JSON.stringify(path)};`,
        resolveDir: dirname(path),
      }));
    },
  };
}
