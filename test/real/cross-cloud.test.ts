import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { lacks } from '../real-servers/start.ts';
import { repository } from '../support/server.ts';

it.skipIf((lacks('ministack') ?? lacks('openbao')) !== undefined)(
  'the example gets a secret out of AWS, Azure, Google and OpenBao for a pod, with a config that holds no key to any',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['examples/cross-cloud/run.mjs'], {
      cwd: repository,
    });
    for (const store of ['aws-prod', 'hub', 'core', 'bao']) {
      expect(stdout).toMatch(new RegExp(`from ${store} .*receipt verified`));
      expect(stdout).toMatch(new RegExp(`record \\d+ +${store} `));
    }
    expect(stdout).toContain('long-lived secrets that this deployment holds or uses itself: 1');
    expect(stdout).toContain('no finding');
  },
);
