import { execFile, spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { lacks } from '../real-servers/start.ts';
import { repository, temporaryFolder } from '../support/server.ts';

const lacking = (lacks('ministack') ?? lacks('openbao')) !== undefined;

it.skipIf(lacking)(
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

it.skipIf(lacking).each([
  ['SIGINT', 130, '1. Four clouds'],
  ['SIGTERM', 143, '3. A pod'],
] as const)('%s to the example alone ends it with %i, and with it all that it started', async (signal, code, line) => {
  const { folder, remove } = temporaryFolder();
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, ['examples/cross-cloud/run.mjs'], { cwd: repository, env });
  let said = '';
  child.stdout.on('data', (part) => {
    if (said.includes(line)) return;
    said += part;
    if (said.includes(line)) child.kill(signal);
  });
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(code);
  expect(readdirSync(folder)).toEqual([]);
  expect(spawnSync('pgrep', ['-f', folder]).status).toBe(1);
  remove();
});
