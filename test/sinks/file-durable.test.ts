import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { contractCheckpoint, contractEntries } from '../contracts/sink.ts';
import { soon } from './rig.ts';

const synced = vi.hoisted(() => [] as string[]);

vi.mock('node:fs/promises', async (original) => {
  const { notedSyncs } = await import('../support/noted-syncs.ts');
  return notedSyncs(() => original<typeof import('node:fs/promises')>(), synced);
});

let home: string;
let openSink: typeof import('./rig.ts').openSink;
beforeEach(async () => {
  // Modules that another file of this process loaded have the real one.
  vi.resetModules();
  ({ openSink } = await import('./rig.ts'));
  home = await mkdtemp(join(tmpdir(), 'sinks-'));
});
afterEach(() => rm(home, { recursive: true }));

// What was killed in between is found by its name, though nothing says yet that the name is durable.

test('a file that was made by whoever was killed since is durable in its folder before the cursor moves', async () => {
  await writeFile(join(home, 'audit.ndjson'), '{"cut');
  const sink = await openSink({ kind: 'file', path: 'audit.ndjson' }, { folder: home });
  synced.length = 0;
  await sink.deliver?.(contractEntries, soon());
  expect(synced).toEqual([join(home, 'audit.ndjson'), home]);
  await sink.deliver?.(contractEntries, soon());
  expect(synced).toHaveLength(3);
});

test('a checkpoint that was put by whoever was killed since is durable in its folder before the cursor moves', async () => {
  const { log, size, note } = contractCheckpoint;
  const kept = join(home, 'heads', encodeURIComponent(log));
  await mkdir(kept, { recursive: true });
  await writeFile(join(kept, String(size)), note);
  const sink = await openSink({ kind: 'file', path: 'heads', send: 'checkpoints' }, { folder: home });
  synced.length = 0;
  await sink.publish?.({ ...contractCheckpoint, known: 0, prove: async () => [] }, soon());
  expect(synced).toEqual(expect.arrayContaining([kept, join(home, 'heads'), home]));
});
