import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { type FakeS3, refusal, startS3 } from '../fakes/s3.ts';
import type { FakeAnswer } from '../fakes/server.ts';
import { writer } from '../ledger/fixtures.ts';
import { temporaryFolder, writeConfig } from '../support/server.ts';
import { fakeTerminal } from './fake-terminal.ts';

let folder: string;
let remove: () => void;
let s3: FakeS3;

beforeEach(async () => {
  ({ folder, remove } = temporaryFolder());
  s3 = await startS3();
});
afterEach(async () => {
  await s3.server.close();
  remove();
});

const configOf = (archive?: object) =>
  writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...(archive && { archive }) },
  });
const inBucket = (more: object = {}) => ({
  to: 's3://audit/pass',
  region: 'eu-west-1',
  endpoint: s3.server.url,
  ...more,
});

async function run(command: readonly string[], env: Record<string, string> = {}) {
  const terminal = fakeTerminal({ folder, env: { ...s3.env, ...env }, fetch: (url, init) => fetch(url, init) });
  const code = await runCommand(command, terminal);
  return { code, ...terminal.said };
}
async function roll(...more: string[]) {
  await run(['ledger', 'init', '--config', 'hallpass.json']);
  return run(['ledger', 'roll', '--config', 'hallpass.json', ...more]);
}
const keys = () => [...s3.objects.keys()].sort();

it('goes to the bucket of the config, each object once and locked as said, and verifies from there', async () => {
  configOf(inBucket({ lock: { mode: 'compliance', days: 400 } }));
  const key = (await run(['ledger', 'key', '--config', 'hallpass.json'])).out.trim();
  expect(await roll('--archive')).toMatchObject({ code: 0, err: '1 closed log written\n' });
  const first = keys();
  expect(first.at(-1)).toBe('audit/pass/~1/tile/entries/000.p/1');
  expect(first).toContain('audit/pass/~1/checkpoint');
  for (const { headers } of s3.objects.values()) expect(headers['x-amz-object-lock-mode']).toBe('COMPLIANCE');
  expect(await roll('--archive')).toMatchObject({ code: 0, err: '1 closed log written\n' });
  expect(keys().length).toBe(first.length * 2);
  const at = { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL_S3: s3.server.url };
  const verified = await run(['ledger', 'verify', '--tiles', 's3://audit/pass', '--key', key], at);
  expect(verified).toEqual({ code: 0, out: '', err: '3 entries, 0 open, nothing wrong found\n' });
  const absent = await run(['ledger', 'verify', '--tiles', 's3://audit/other', '--key', key], at);
  expect([absent.code, absent.err]).toEqual([1, expect.stringContaining('cannot be read in s3://audit/other/')]);
});

it('goes on where it was cut off, and passes over what lies there with the same bytes', async () => {
  configOf(inBucket());
  let left = 1;
  s3.server.instead = ({ method }) => (method === 'PUT' && left-- <= 0 ? refusal(503, 'SlowDown') : undefined);
  expect(await roll('--archive')).toMatchObject({
    code: 69,
    err: expect.stringContaining('s3://audit/pass/ cannot be'),
  });
  expect(keys()).toEqual(['audit/pass/~1/tile/entries/000.p/1']);
  s3.server.instead = undefined;
  expect(await roll('--archive')).toMatchObject({ code: 0, err: '2 closed logs written\n' });
  expect(keys()).toContain('audit/pass/~1/checkpoint');
});

it('is found out by verify where the bucket gives other bytes than it got, or none', async () => {
  configOf(inBucket());
  const key = (await run(['ledger', 'key', '--config', 'hallpass.json'])).out.trim();
  await roll('--archive');
  const at = { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL_S3: s3.server.url };
  const verify = () => run(['ledger', 'verify', '--tiles', 's3://audit/pass', '--key', key], at);
  expect((await verify()).code).toBe(0);
  for (const [name, { bytes }] of s3.objects) {
    const answered = async (answer: FakeAnswer) => {
      s3.server.instead = ({ method, url }) =>
        method === 'GET' && decodeURIComponent(url.pathname) === `/${name}` ? answer : undefined;
      return (await verify()).code;
    };
    const changed = bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte));
    expect(await answered({ status: 200, body: changed }), `${name} changed`).toBe(1);
    expect(await answered({ status: 200, body: bytes.subarray(1) }), `${name} cut`).toBe(1);
    expect(await answered(refusal(404, 'NoSuchKey')), `${name} gone`).toBe(1);
    expect(await answered(refusal(503, 'SlowDown')), `${name} not to be had`).toBe(69);
  }
  s3.server.instead = undefined;
  expect((await verify()).code).toBe(0);
});

it.each(['s3://audit/pass', 'closed'])('overwrites nothing of another log: %s', async (to) => {
  configOf(to === 'closed' ? { to } : inBucket());
  expect((await roll('--archive')).code).toBe(0);
  writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'other-keys' } },
    ledger: { kind: 'sqlite', path: 'other.db', archive: to === 'closed' ? { to } : inBucket() },
  });
  const checkpoint = () =>
    to === 'closed'
      ? readFileSync(join(folder, 'closed/~1/checkpoint'), 'utf8')
      : s3.objects.get('audit/pass/~1/checkpoint')?.body;
  const before = checkpoint();
  const { code, err } = await roll('--archive');
  expect([code, err]).toEqual([1, expect.stringContaining('with other bytes: it is of another log')]);
  expect(checkpoint()).toBe(before);
});

it('fills each place by itself: what one has, another still gets', async () => {
  configOf({ to: 'one' });
  expect((await roll('--archive')).err).toBe('1 closed log written\n');
  expect((await roll('--archive', 'two')).err).toBe('2 closed logs written\n');
  expect((await roll('--archive')).err).toBe('2 closed logs written\n');
});

const archived = (more: Record<string, string> = {}) => run(['ledger', 'archive', '--config', 'hallpass.json'], more);

it('is filled again where the place is there and what was put there is not', async () => {
  configOf({ to: 'closed' });
  await roll('--archive');
  await roll('--archive');
  const there = readdirSync(join(folder, 'closed'), { recursive: true }).toSorted();
  renameSync(join(folder, 'closed'), join(folder, 'other-disk'));
  expect(await archived()).toMatchObject({ code: 0, err: '2 closed logs written\n' });
  expect(readdirSync(join(folder, 'closed'), { recursive: true }).toSorted()).toEqual(there);
  expect((await archived()).err).toBe('0 closed logs written\n');
});

it('is filled again where a bucket of the same name is another', async () => {
  configOf(inBucket());
  await roll('--archive');
  const before = keys();
  const other = await startS3();
  try {
    configOf(inBucket({ endpoint: other.server.url }));
    expect(await roll('--archive')).toMatchObject({ code: 0, err: '2 closed logs written\n' });
    expect([...other.objects.keys()]).toEqual(expect.arrayContaining(before));
  } finally {
    await other.server.close();
  }
});

it.each(['InvalidObjectState', 'AccessDenied'])(
  'is not called clean where the newest log of it may not be read: %s',
  async (reason) => {
    configOf(inBucket());
    const key = (await run(['ledger', 'key', '--config', 'hallpass.json'])).out.trim();
    await roll('--archive');
    await roll('--archive');
    const at = { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL_S3: s3.server.url };
    const verify = () => run(['ledger', 'verify', '--tiles', 's3://audit/pass', '--key', key], at);
    expect((await verify()).code).toBe(0);
    s3.server.instead = ({ url }) =>
      decodeURIComponent(url.pathname) === '/audit/pass/~2/checkpoint' ? refusal(403, reason) : undefined;
    const { code, out, err } = await verify();
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`~2/checkpoint cannot be read in s3://audit/pass/ (${reason})\n  s3:ListBucket`);
  },
);

it('goes on with the next log where the one before is there and not given out', async () => {
  configOf(inBucket());
  await roll('--archive');
  s3.server.instead = ({ method }) => (method === 'GET' ? refusal(403, 'InvalidObjectState') : undefined);
  expect(await roll('--archive')).toMatchObject({ code: 0, err: '1 closed log written\n' });
});

it('closes nothing where the place cannot be', async () => {
  configOf();
  for (const [given, env, says] of [
    [['--archive'], {}, 'no place is named for the archive'],
    [['--archive', 's3://Audit'], {}, 'is no s3://BUCKET/PREFIX'],
    [['--archive', 's3://audit/pass'], {}, 'the region of the bucket is not known'],
    [['--archive', 's3://audit'], { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL: 'ftp://x' }, 'is no URL of a server'],
  ] as const) {
    const { code, out, err } = await run(['ledger', 'roll', '--config', 'hallpass.json', ...given], env);
    expect([code, out, err]).toEqual([2, '', expect.stringContaining(says)]);
  }
});

it('is filled by a command that closes nothing, for what the server has closed by itself', async () => {
  configOf({ to: 'closed' });
  expect((await roll()).code).toBe(0);
  const archive = (...more: string[]) => run(['ledger', 'archive', '--config', 'hallpass.json', ...more]);
  expect(await archive()).toEqual({ code: 0, out: 'pass.example.com/ledger 1\n', err: '1 closed log written\n' });
  expect(await archive('--json')).toEqual({ code: 0, out: '{\n  "logs": []\n}\n', err: '0 closed logs written\n' });
  const [first] = JSON.parse((await archive('--json', '--to', 'two')).out).logs;
  expect(first).toEqual({ log: 'pass.example.com/ledger', size: 1 });
  configOf();
  expect(await archive()).toMatchObject({ code: 2, err: expect.stringContaining('no place is named') });
});

it.each(['roll', 'archive', 'restore'])('makes no ledger in the place of one that is gone: %s', async (command) => {
  configOf({ to: 'closed' });
  const given = command === 'restore' ? ['--nothing-known'] : [];
  const { code, err } = await run(['ledger', command, '--config', 'hallpass.json', ...given]);
  expect([code, err]).toEqual([1, expect.stringMatching(/ledger\.db is not there\n.*ledger init/)]);
  expect(readdirSync(folder)).not.toContain('ledger.db');
});

it('says that the folder above is missing', async () => {
  configOf();
  const { code, err } = await roll('--archive', 'not/there');
  expect([code, err]).toEqual([69, expect.stringContaining('cannot be written (no_folder)')]);
});

it('is checked with the config', async () => {
  for (const [archive, says] of [
    [{ to: 's3://audit/pass' }, 'a bucket wants its region'],
    [{ to: 'gs://audit/pass', region: 'eu-west-1' }, 'expected s3://BUCKET/PREFIX'],
    [{ to: '/mnt/log', region: 'eu-west-1' }, 'region, endpoint, lock and assume are of a bucket'],
  ] as const) {
    configOf(archive);
    const { code, out, err } = await run(['config', 'check', 'hallpass.json']);
    expect([code, out + err]).toEqual([1, expect.stringContaining(says)]);
  }
  configOf(inBucket());
  writeFileSync(join(folder, 'noted'), '');
  expect((await run(['config', 'check', 'hallpass.json'])).code).toBe(0);
});
