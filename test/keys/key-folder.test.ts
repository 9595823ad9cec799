import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
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

describe('a key that ended', () => {
  const openRotated = async (name: string) => {
    const signer = openKeyFolder(folder, name, { ...deps, needs: [] });
    await signer.keys(soon());
    await signer.rotate?.(soon());
    const [, first] = await signer.keys(soon());
    const files = () => readdirSync(join(folder, name));
    return { forget: async () => signer.forget?.(first?.kid ?? ''), files };
  };

  it('is removed', async () => {
    const { forget, files } = await openRotated('removed');
    await forget();
    expect(files()).toEqual(['es256-2.pem']);
  });

  it('that another process took away at that moment is gone', async () => {
    const { forget, files } = await openRotated('raced');
    vi.mocked(unlink).mockRejectedValueOnce(Object.assign(new Error('gone'), { code: 'ENOENT' }));
    await forget();
    expect(files()).toContain('es256-2.pem');
  });

  it('that cannot be removed is said so, by the name of its file', async () => {
    const { forget, files } = await openRotated('kept');
    const full = Object.assign(new Error('EROFS: read-only, /secret/place'), { code: 'EROFS' });
    vi.mocked(unlink).mockRejectedValueOnce(full);
    await expect(forget()).rejects.toMatchObject({
      name: 'KeyError',
      message: 'es256.pem cannot be removed (EROFS), and its key has ended',
    });
    expect(files()).toContain('es256.pem');
  });
});
