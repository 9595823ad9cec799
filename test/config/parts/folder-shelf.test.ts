import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { toUtf8 } from '../../../src/lib/bytes.ts';
import { soon } from '../../ledger/fixtures.ts';

const synced = vi.hoisted(() => [] as string[]);

vi.mock('node:fs/promises', async (original) => {
  const { notedSyncs } = await import('../../support/noted-syncs.ts');
  return notedSyncs(() => original<typeof import('node:fs/promises')>(), synced);
});

let home: string;
let folder: string;
let openShelf: typeof import('../../../src/config/parts/folder-shelf.ts').folderShelf;
beforeEach(async () => {
  // Modules that another file of this process loaded have the real one.
  vi.resetModules();
  ({ folderShelf: openShelf } = await import('../../../src/config/parts/folder-shelf.ts'));
  home = await mkdtemp(join(tmpdir(), 'shelf-'));
  folder = join(home, 'closed');
  synced.length = 0;
});
afterEach(() => rm(home, { recursive: true }));

const path = '~1/tile/0/x001/000';
const above = ['', '~1', '~1/tile', '~1/tile/0', '~1/tile/0/x001'];
const bytes = toUtf8('hashes');

/** Each is a name in the one before it; the folder itself in `home`. */
const folders = () => [home, ...above.map((name) => join(folder, name))];

test('a file is archived only once it and every folder on the way to it are durable by name', async () => {
  const shelf = openShelf(folder, randomBytes);
  await shelf.put(path, bytes, soon());
  expect(synced).toEqual(expect.arrayContaining(folders()));
  synced.length = 0;
  await shelf.put('~1/tile/0/x001/001', bytes, soon());
  expect(synced.filter((name) => !name.includes('.new-'))).toEqual([join(folder, '~1/tile/0/x001')]);
  synced.length = 0;
  await shelf.put('~1/tile/0/x002/000', bytes, soon());
  expect(synced).toContain(join(folder, '~1/tile/0'));
});

test('so it is where whoever put it was killed since', async () => {
  await mkdir(join(folder, '~1/tile/0/x001'), { recursive: true });
  await writeFile(join(folder, path), bytes);
  await openShelf(folder, randomBytes).put(path, bytes, soon());
  expect(synced).toEqual(expect.arrayContaining(folders()));
});
