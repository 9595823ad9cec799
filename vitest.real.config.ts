import { defineConfig } from 'vitest/config';

/** The suite against real servers and devices that npm cannot bring; `npm run test:real` says what it needs. */
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    // Else each of its clients tells anew that it will leave Node 20 one day.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
