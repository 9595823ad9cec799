import type { JsonWebKey } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { type Archiver, buildArchiver } from '../../../src/config/parts/archiver.ts';
import { ConfigError } from '../../../src/config/text/problem.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import type { LogFacts, Runtime } from '../../../src/lib/platform.ts';
import { fakeTerminal } from '../../cli/fake-terminal.ts';
import { makeSts } from '../../fakes/aws-sts.ts';
import { type FakeS3, refusal, startS3 } from '../../fakes/s3.ts';
import { appendOne, depsOf, newFolder, openIn, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { soon } from '../../ledger/fixtures.ts';
import { openShards } from '../../ledger/sharded-fixture.ts';
import { told } from '../../sinks/rig.ts';
import { openBroker } from '../../support/broker.ts';
import { embeddedConfig } from '../../support/config.ts';
import { testIssuer } from '../../support/issuer.ts';

let folder: string;
let ledger: Ledger;
let s3: FakeS3;

beforeEach(async () => {
  folder = newFolder();
  ledger = await openIn(folder);
  s3 = await startS3();
});
afterEach(async () => {
  await s3.server.close();
  await ledger.close();
  removeFolder(folder);
});

/** The archiver of a config's `ledger.archive` over a real log. */
function archiverTo(archive: { to: string; region?: string; endpoint?: string }, of = ledger) {
  const said = told();
  const platform = {
    ...depsOf({}, folder).platform,
    env: s3.env,
    fetch: (url: string, init: RequestInit) => fetch(url, init),
    log: said.log as (level: string, event: string, facts?: LogFacts) => void,
  };
  return { ...said, archiver: buildArchiver(platform, { config: archive, ledger: of, metrics: said.metrics }) };
}
const inBucket = () => ({ to: 's3://audit/pass', region: 'eu-west-1', endpoint: s3.server.url });
const turn = (archiver: Pick<Archiver, 'run'>, ms = 20_000) => archiver.run(deadlineIn(ms, Date.now));

it('archives what was closed, without being told to, and shows how many logs it has not yet', async () => {
  await appendOne(ledger);
  const { archiver, lines, metrics } = archiverTo(inBucket());
  await turn(archiver);
  expect(s3.objects.size).toBe(0);
  await ledger.roll?.({}, soon());
  // No time for anything but to look.
  await turn(archiver, 1_000);
  expect(s3.objects.size).toBe(0);
  await turn(archiver);
  expect([...s3.objects.keys()]).toContain('audit/pass/~1/checkpoint');
  expect(lines.map(({ event, facts }) => [event, facts])).toEqual([
    ['log_archived', { log: ledger.origin, size: expect.any(Number) }],
  ]);
  expect(metrics.render()).toContain(`hallpass_ledger_archive_lag_logs{log="${ledger.origin}"} 0`);
});

it('says once why it cannot, and once that it can again', async () => {
  await appendOne(ledger);
  await ledger.roll?.({}, soon());
  const { archiver, lines, metrics } = archiverTo(inBucket());
  for (const answer of [refusal(503, 'SlowDown'), refusal(503, 'SlowDown'), refusal(403, 'AccessDenied')]) {
    s3.server.instead = () => answer;
    await turn(archiver);
  }
  expect(metrics.render()).toContain(`hallpass_ledger_archive_lag_logs{log="${ledger.origin}"} 1`);
  s3.server.instead = undefined;
  await turn(archiver);
  await turn(archiver);
  expect(lines.map(({ level, event, facts }) => [level, event, facts.code])).toEqual([
    ['warn', 'archive_failed', 'unreachable'],
    ['error', 'archive_failed', 'denied'],
    ['info', 'log_archived', undefined],
    ['info', 'archive_recovered', undefined],
  ]);
  const failures = metrics.render().match(/hallpass_ledger_archive_failures_total\{.*/g);
  expect(failures).toEqual([expect.stringMatching(/unreachable"} 2$/), expect.stringMatching(/denied"} 1$/)]);
});

it('overwrites nothing of another log, and names the file', async () => {
  await appendOne(ledger);
  await ledger.roll?.({}, soon());
  mkdirSync(join(folder, 'closed/~1'), { recursive: true });
  writeFileSync(join(folder, 'closed/~1/checkpoint'), 'of another log');
  const { archiver, lines } = archiverTo({ to: 'closed' });
  await turn(archiver);
  await turn(archiver);
  expect(lines).toEqual([
    {
      level: 'error',
      event: 'archive_failed',
      facts: { log: ledger.origin, code: 'taken', path: '~1/checkpoint' },
    },
  ]);
});

it('makes no folder where the one above it is missing: a disk may not be mounted', async () => {
  await appendOne(ledger);
  await ledger.roll?.({}, soon());
  const { archiver, lines } = archiverTo({ to: 'mnt/closed' });
  await turn(archiver);
  expect(lines).toMatchObject([{ event: 'archive_failed', facts: { reason: 'no_folder' } }]);
  expect(readdirSync(folder)).not.toContain('mnt');
});

it('is asked again by S3 for an object that another was putting at that moment', async () => {
  await appendOne(ledger);
  await ledger.roll?.({}, soon());
  let conflicts = 1;
  s3.server.instead = () => (conflicts-- > 0 ? refusal(409, 'ConditionalRequestConflict') : undefined);
  const { archiver, lines } = archiverTo(inBucket());
  await turn(archiver);
  expect(lines.map(({ event }) => event)).toEqual(['log_archived']);
});

it('lets no shard of a ledger keep the others from their archive', async () => {
  const sharded = await openShards(folder, 3);
  try {
    for (const shard of sharded.shards ?? []) await shard.roll?.({}, soon());
    mkdirSync(join(folder, 'closed/0~1'), { recursive: true });
    writeFileSync(join(folder, 'closed/0~1/checkpoint'), 'of another log');
    const { archiver, lines, metrics } = archiverTo({ to: 'closed' }, sharded);
    await turn(archiver);
    expect(lines.map(({ event, facts }) => [event, facts.log])).toEqual([
      ['archive_failed', `${ledger.origin}/0`],
      ['log_archived', `${ledger.origin}/1`],
      ['log_archived', `${ledger.origin}/2`],
    ]);
    const lags = metrics.render().match(/(?<=archive_lag_logs\{log=").*/g);
    expect(lags).toEqual([`${ledger.origin}/0"} 1`, `${ledger.origin}/1"} 0`, `${ledger.origin}/2"} 0`]);
  } finally {
    await sharded.close();
  }
});

it('is made by the config of a broker, for logs that its upkeep rolled, and tells nothing of what its end cut off', async () => {
  const lines: (string | undefined)[][] = [];
  const issuer = testIssuer('https://issuer.test', 'https://pass.test');
  const config = embeddedConfig(folder, issuer, { stores: { here: { kind: 'env', prefix: 'TEST_' } } });
  const own = { kind: 'sqlite', path: join(folder, 'own.db'), roll: { every: '1h' }, archive: { to: 'closed' } };
  let later = 0;
  const { deployment } = await openBroker({ ...config, ledger: own }, folder, {
    now: () => Date.now() + later,
    log: (_, event, facts) => void lines.push([event, facts?.log]),
  });
  await deployment.recordStoreWrite('here', '2', soon());
  later = 3_600_001;
  await deployment.recover(deadlineIn(20_000, () => Date.now() + later));
  await deployment.archiver?.run(deadlineIn(20_000, () => Date.now() + later));
  expect(readdirSync(join(folder, 'closed'))).toEqual(['~1']);
  expect(lines).toContainEqual(['log_rolled', 'pass.test/ledger~2']);
  expect(lines).toContainEqual(['log_archived', 'pass.test/ledger']);
  rmSync(join(folder, 'closed'), { recursive: true });
  await deployment.ledger.roll?.({}, soon());
  const said = lines.length;
  await Promise.all([deployment.archiver?.run(deadlineIn(20_000, () => Date.now() + later)), deployment.close()]);
  expect(lines.slice(said)).toEqual([]);
});

it('logs in by Hallpass’s own assertion where a role is named, each login a session of the ledger', async () => {
  const keys: JsonWebKey[] = [];
  const role = 'arn:aws:iam::123456789012:role/audit';
  const trust = { role, issuer: 'https://pass.test', subject: 'broker:pass.test', audience: 'sts.amazonaws.com', keys };
  const sts = makeSts([trust], Date.now);
  const aws = await startS3(sts);
  const config = embeddedConfig(folder, testIssuer('https://issuer.test', 'https://pass.test'), {});
  const at = { region: 'eu-west-1', endpoint: aws.server.url, sts: aws.server.url };
  const own = { kind: 'sqlite', path: join(folder, 'own.db'), archive: { to: 's3://audit/pass', assume: role, ...at } };
  const { deployment } = await openBroker({ ...config, ledger: own }, folder);
  try {
    keys.push(...(await deployment.keys(soon())).assertions);
    await deployment.ledger.roll?.({}, soon());
    await deployment.archiver?.run(soon(20_000));
    expect([...aws.objects.keys()]).toContain('audit/pass/~1/checkpoint');
    expect(sts.assumed).toMatchObject([{ role, tags: { 'hallpass-store': 'ledger/archive' } }]);
    const sessions = await deployment.ledger.reader?.list({ type: 'session', limit: 10 }, soon());
    expect(sessions?.map(({ record }) => JSON.parse(record))).toMatchObject([{ store: 'ledger/archive' }]);

    // So does the command, which opens the log by itself.
    writeFileSync(join(folder, 'own.json'), JSON.stringify({ ...config, ledger: own }));
    await deployment.ledger.roll?.({}, soon());
    const terminal = fakeTerminal({ folder, fetch: (url, init) => fetch(url, init) });
    expect(await runCommand(['ledger', 'archive', '--config', 'own.json'], terminal)).toBe(0);
    expect([...aws.objects.keys()]).toContain('audit/pass/~2/checkpoint');
    expect(sts.assumed).toHaveLength(2);
  } finally {
    await deployment.close();
    await aws.server.close();
  }
});

it.each([
  [{ region: 'eu-west-1', assume: 'arn:aws:iam::123456789012:role/audit' }, ''],
  [{ region: 'eu-west-1' }, 'a Worker has no identity of AWS'],
])('on a Worker wants a role to assume: %o', async (how, says) => {
  const text = JSON.stringify({
    broker: { url: 'https://pass.test', signer: { kind: 'local' } },
    ledger: { kind: 'durable-object', archive: { to: 's3://audit/pass', ...how } },
  });
  const problems = await loadConfig(text, { file: 'test.json', runtime: 'workerd', env: {} }).then(
    () => '',
    (error) =>
      error instanceof ConfigError ? error.problems.map(({ message }) => message).join() : Promise.reject(error),
  );
  expect(problems).toBe(says);
});

it.each([
  ['node', true],
  ['lambda', false],
] as const)('may be a folder on %s: %s', async (runtime: Runtime, may) => {
  const text = (to: string) =>
    JSON.stringify({
      broker: { url: 'https://pass.test', signer: { kind: 'local', key: { store: 's', name: 'KEY' } } },
      ledger: {
        kind: 'dynamodb',
        table: 'log',
        region: 'eu-west-1',
        archive: { to, ...(to.startsWith('s3:') && { region: 'eu-west-1' }) },
      },
      stores: { s: { kind: 'env', prefix: 'TEST_' } },
    });
  const load = (to: string) => loadConfig(text(to), { file: 'test.json', runtime, env: {} });
  await load('s3://audit/pass');
  const loaded = load('/mnt/audit').then(
    () => true,
    (error) => {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.problems.map(({ message }) => message)).toEqual([`a folder keeps nothing on ${runtime}`]);
      return false;
    },
  );
  expect(await loaded).toBe(may);
});
