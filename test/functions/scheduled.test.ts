import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { instanceOf } from '../../functions/instance.ts';
import { configFor, variables } from '../runtimes/scenario.ts';
import { temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const text = JSON.stringify(
  configFor({ ledger: { kind: 'sqlite', path: 'ledger.db' }, signer: { kind: 'local', path: 'keys' } }),
);
const platform = {
  runtime: 'node',
  now: Date.now,
  random: (bytes: number) => randomBytes(bytes),
  fetch: () => Promise.reject(new Error('no network')),
  log: () => {},
  env: variables,
  folder,
  instance: 'test',
} as const;

test('a scheduled run that has to build first ends as early as any other: the platform counts from its beginning', async () => {
  let now = 1_000_000;
  const ends: number[] = [];
  const find = async () => {
    await pause(1);
    now += 7_000;
    return { text, file: 'test.json', folder };
  };
  const instance = instanceOf({ ...platform, now: () => now }, find, { waitMs: 30_000 });
  const built = instance.built().then(({ deployment }) => {
    Object.assign(deployment, { recover: async ({ at }: { at: number }) => void ends.push(at) });
    return deployment;
  });
  await instance.upkeep(10_000);
  expect(ends).toEqual([1_010_000]);
  await (await built).close();
});

test('a scheduled run whose sweep fails at once carries to the sinks and the archive all the same, and fails in the end', async () => {
  const instance = instanceOf(platform, () => ({ text, file: 'test.json', folder }));
  const { deployment } = await instance.built();
  const done: string[] = [];
  const slowly = (what: string) => ({
    run: async () => {
      await pause(50);
      done.push(what);
    },
  });
  Object.assign(deployment, {
    recover: () => Promise.reject(new Error('a target is down')),
    forwarder: slowly('sinks'),
    archiver: slowly('archive'),
  });
  // Whoever scheduled it ends it with its answer.
  await expect(instance.upkeep(10_000)).rejects.toThrow('a target is down');
  expect(done).toEqual(['sinks', 'archive']);
  await deployment.close();
});
