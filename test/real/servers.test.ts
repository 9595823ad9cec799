import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { lacks, type RealName, startReal } from '../real-servers/start.ts';
import { freePort } from '../support/free-port.ts';
import { repository, temporaryFolder } from '../support/server.ts';

const scheme = {
  dynamodb: 'http',
  ministack: 'http',
  moto: 'http',
  openbao: 'http',
  kubernetes: 'https',
  mariadb: 'mysql',
  redis: 'redis',
  sshd: 'ssh',
  pgbouncer: 'postgres',
};

describe.for(Object.keys(scheme) as RealName[])('the real server %s', (name) => {
  const lacking = lacks(name);

  it('says so where it is not installed, and CI installs it', () => {
    if (process.env.CI) expect(lacking).toBeUndefined();
    else if (lacking !== undefined) expect(lacking).toContain(`test/real-servers/${name}.sh install`);
  });

  it.skipIf(lacking !== undefined)('answers until it is stopped', async () => {
    const server = await startReal(name);
    expect(new URL(server.url).protocol).toBe(`${scheme[name]}:`);
    expect(await listens(server.url)).toBe(true);
    await server.stop();
    expect(await listens(server.url)).toBe(false);
  });
});

it.skipIf(lacks('openbao') !== undefined)('ends with whoever started it, even by SIGKILL', async () => {
  const { folder, remove } = temporaryFolder();
  const port = await freePort(2);
  const script = join(repository, 'test/real-servers/openbao.sh');
  const starter = `const { spawn } = require('node:child_process');
    spawn('bash', ${JSON.stringify([script, 'start', String(port), folder])}, { stdio: ['pipe', 'inherit', 'inherit'] });`;
  const parent = spawn(process.execPath, ['-e', starter], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => createInterface({ input: parent.stdout }).once('line', resolve));
  expect(await listens(`http://127.0.0.1:${port}`)).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => listens(`http://127.0.0.1:${port}`), { timeout: 10_000 }).toBe(false);
  remove();
});

function listens(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
