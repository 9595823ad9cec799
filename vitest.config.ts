import { defineConfig } from 'vitest/config';

// The driver's own tests start real threads; see test/support/kept-threads.ts.
const threads = ['test/ledger/drivers/sqlite*.test.ts'];
// What mocks modules, fakes time or is about processes has one for each file.
const alone = [
  'test/{cli,client,examples,faults,runtimes}/**/*.test.ts',
  'test/config/{kms,rotation}.test.ts',
  'test/http/{fuzz,upkeep}.test.ts',
  'test/keys/kms-signers.test.ts',
  'test/lib/deadline.test.ts',
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

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    projects: [
      { test: { ...common, name: 'threads', include: threads, exclude: others } },
      { test: { ...common, name: 'alone', include: alone, exclude: others, setupFiles } },
      {
        test: {
          ...common,
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...others, ...threads, ...alone],
          setupFiles,
          // The sources hold no state of their own: they are loaded once a process, not once a file.
          isolate: false,
          // Last, so that none of the others comes between: their processes end with a file.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
