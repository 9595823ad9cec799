import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { repository } from '../support/server.ts';

const packageFile = join(repository, 'node_modules/libsql/package.json');
const { optionalDependencies } = JSON.parse(readFileSync(packageFile, 'utf8'));
const { currentTarget } = createRequire(import.meta.url)('../../scripts/libc.cjs');
const here = { platform: process.platform, arch: process.arch };
const pretend = (platform: string, arch: string) => {
  Object.defineProperty(process, 'platform', { value: platform });
  Object.defineProperty(process, 'arch', { value: arch });
};
afterEach(() => pretend(here.platform, here.arch));

describe('the binary of libsql', () => {
  it.each([
    ['linux', 'x64'],
    ['linux', 'arm64'],
    ['linux', 'arm'],
    ['darwin', 'x64'],
    ['darwin', 'arm64'],
    ['win32', 'x64'],
  ])('that is asked for on %s %s is one that there is', (platform, arch) => {
    pretend(platform, arch);
    expect(Object.keys(optionalDependencies)).toContain(`@libsql/${currentTarget()}`);
  });
});
