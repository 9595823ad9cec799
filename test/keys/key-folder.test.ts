import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it, vi } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { temporaryFolder } from '../support/server.ts';

vi.mock('node:fs', { spy: true });
vi.mock('node:fs/promises', { spy: true });

// Another file of this process may have loaded them before, with what they read by.
vi.resetModules();
const { openKeyFolder } = await import('../../src/keys/key-folder.ts');
const { openKeyRing } = await import('../../src/keys/ring.ts');

const { folder, remove } = temporaryFolder();
afterAll(() => {
  vi.resetModules();
  return remove();
});
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
const soon = () => deadlineIn(10_000, Date.now);
const deps = { folder, random, now: Date.now, announceMs: 0, needs: ['RS256'] as const };
const signer = { kind: 'local', path: 'keys' };
// A ring of keys in a folder asks for nothing else.
type RingDeps = Parameters<typeof openKeyRing>[1];
const openRing = () => openKeyRing({ signer }, deps as unknown as RingDeps, soon());

const keyFiles = (reads: readonly unknown[][]) =>
  reads.map(([path]) => String(path)).filter((path) => path.endsWith('.pem'));
const here = () => keyFiles(vi.mocked(readFileSync).mock.calls);
const elsewhere = () => [...keyFiles(vi.mocked(readFile).mock.calls), ...vi.mocked(readdir).mock.calls];

beforeEach(() => void vi.clearAllMocks());

it('a start reads each key once, and waits for no other thread', async () => {
  const made = await openRing();
  vi.clearAllMocks();
  const ring = await openRing();
  expect(ring.assertions.map(({ kid }) => kid)).toEqual(made.assertions.map(({ kid }) => kid));
  expect(here()).toEqual(['es256.pem', 'rs256.pem'].map((name) => join(folder, 'keys', name)));
  expect(vi.mocked(readdirSync).mock.calls.length).toBeLessThanOrEqual(2);
  expect(elsewhere()).toEqual([]);
});

it('once it is open, keys are read beside the requests it serves', async () => {
  const ring = await openRing();
  vi.clearAllMocks();
  expect(await ring.reopen(soon())).toEqual(ring.assertions);
  expect(here()).toEqual([]);
  expect(elsewhere().length).toBeGreaterThan(2);
});

it('a key that cannot be read is not taken for one that is not there', async () => {
  const path = join(folder, 'spoilt');
  mkdirSync(path);
  mkdirSync(join(path, 'es256.pem'));
  await expect(openKeyFolder(folder, 'spoilt', { ...deps, needs: [] }).keys(soon())).rejects.toMatchObject({
    code: 'EISDIR',
  });
  writeFileSync(join(folder, 'file'), '');
  await expect(openKeyFolder(folder, 'file', deps).keys(soon())).rejects.toMatchObject({ code: 'ENOTDIR' });
  expect(readdirSync(path)).toEqual(['es256.pem']);
});
