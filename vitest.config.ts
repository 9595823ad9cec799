import { defineConfig } from 'vitest/config';

// The driver's own tests start real threads; see test/support/kept-threads.ts.
const threads = ['test/ledger/drivers/sqlite*.test.ts'];
// What mocks modules, fakes time or is about processes has one for each file; so has what uses AsyncLocalStorage
// (oidc-provider), which slows down all that a process does after it.
const alone = [
  'test/{cli,client,examples,faults,runtimes}/**/*.test.ts',
  'test/config/{kms,parts/rotation}.test.ts',
  'test/http/{fuzz,upkeep}.test.ts',
  'test/keys/kms-signers.test.ts',
  'test/lib/deadline.test.ts',
  'test/stores/aws-secrets-manager.test.ts',
];
const others = ['test/real/**', 'node_modules/**'];
const setupFiles = ['test/support/kept-threads.ts'];

const common = {
  pool: 'forks' as const,
  maxWorkers: 2,
  // Else each of its clients tells anew that it will leave Node 20 one day.
  env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

// The others: the sources hold no state of their own, so they are loaded once a process, not once a file. What gathers in a
// process, files and memory, ends with a part; a file is of the first part that names it.
const together = [
  ['ledger', ['test/ledger/**/*.test.ts']],
  ['credentials', ['test/{broker,credentials,leases,rotation}/**/*.test.ts']],
  ['front', ['test/{config,http,security}/**/*.test.ts']],
  ['rest', ['test/**/*.test.ts']],
] as const;

const share = ([name, include]: (typeof together)[number], at: number) => ({
  test: {
    ...common,
    name,
    include: [...include],
    exclude: [...others, ...threads, ...alone, ...together.slice(0, at).flatMap(([, earlier]) => earlier)],
    setupFiles,
    isolate: false,
    // One after the other, as a process goes on with files of its own part only.
    sequence: { groupOrder: at + 1 },
  },
});

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    projects: [
      { test: { ...common, name: 'threads', include: threads, exclude: others } },
      { test: { ...common, name: 'alone', include: alone, exclude: others, setupFiles } },
      ...together.map(share),
    ],
  },
});
