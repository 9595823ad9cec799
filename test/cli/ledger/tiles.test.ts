import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NotThere } from '../../../src/cli/failure.ts';
import { publishedSource } from '../../../src/cli/ledger/tiles.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { originOf } from '../../../src/ledger/generation.ts';
import type { Ledger, LogReader } from '../../../src/ledger/ledger.ts';
import { signCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { emptyRoot } from '../../../src/ledger/tree/merkle.ts';
import { noteSigner, noteVerifier } from '../../../src/ledger/tree/note.ts';
import { toUtf8 } from '../../../src/lib/bytes.ts';
import { newFolder, openIn, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../../ledger/fixtures.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const write = scribe(clockAt(Date.now()));
let folder: string;
let ledger: Ledger;
let key: string;
let older: string;
let openIntent: string;

/** Publishes a log of 600 entries as files: two full bundles and a partial one. */
beforeAll(async () => {
  folder = newFolder();
  ledger = await openIn(folder);
  key = await ledger.key(soon());
  openIntent = write.id();
  await ledger.append(asking(write.intent(openIntent)), soon());
  const reader = ledger.reader as LogReader;
  older = await reader.checkpoint(soon());
  for (let appended = 2; appended < 600; appended += 200)
    await ledger.append(asking(...Array.from({ length: 200 }, () => write.denial())), soon());
  const size = Number((await reader.checkpoint(soon())).split('\n')[1]);
  await publish('checkpoint', Buffer.from(await reader.checkpoint(soon())));
  for (let n = 0; n * 256 < size; n++) {
    const width = Math.min(256, size - n * 256);
    const name = `00${n}${width === 256 ? '' : `.p/${width}`}`;
    await publish(`tile/entries/${name}`, (await reader.bundle(n, width, soon())) as Uint8Array);
    await publish(`tile/0/${name}`, (await reader.tile(0, n, width, soon())) as Uint8Array);
  }
  const full = Math.floor(size / 256);
  await publish(`tile/1/000.p/${full}`, (await reader.tile(1, 0, full, soon())) as Uint8Array);
}, 60_000);

afterAll(async () => {
  await ledger.close();
  removeFolder(folder);
});

async function publish(path: string, bytes: Uint8Array): Promise<void> {
  const file = join(folder, 'published', path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
}

async function verify(...args: string[]) {
  const terminal = fakeTerminal({ folder });
  const code = await runCommand(['ledger', 'verify', '--tiles', 'published', '--key', key, ...args], terminal);
  return { code, ...terminal.said };
}

/** Runs `work` while one published file is changed. */
async function changed<T>(path: string, change: (bytes: Buffer) => void, work: () => Promise<T>): Promise<T> {
  const bytes = await readFile(join(folder, 'published', path));
  const other = Buffer.from(bytes);
  change(other);
  await publish(path, other);
  try {
    return await work();
  } finally {
    await publish(path, bytes);
  }
}

describe('ledger verify --tiles', () => {
  it('finds nothing in an honest log, and prints the open intent as open', async () => {
    const { code, out, err } = await verify();
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toEqual([expect.stringContaining(`: open: the intent of ${openIntent}`)]);
    expect(err).toMatch(/^6\d\d entries, 1 open, nothing wrong found\n$/);
  });

  it('finds that the log extends an older checkpoint', async () => {
    await writeFile(join(folder, 'older'), older);
    const { code, err } = await verify('--since', 'older');
    expect(code).toBe(0);
    expect(err).toContain('the log extends the checkpoint given\n');
    expect((await verify()).err).not.toContain('extends');
  });

  it('is wrong usage with a key that is none, or a checkpoint that is not there', async () => {
    const foo = await verify('--key', 'foo');
    expect([foo.code, foo.err]).toEqual([2, expect.stringContaining('as `hallpass ledger key` shows it')]);
    const index = await verify('--index');
    expect([index.code, index.err]).toEqual([
      2,
      expect.stringContaining('the index of this ledger cannot be compared'),
    ]);
    const gone = await verify('--since', 'gone');
    expect([gone.code, gone.err]).toEqual([2, 'hallpass: --since gone cannot be read\n']);
  });

  it.each([
    [
      'a changed record',
      'tile/entries/001',
      (bytes: Buffer) => bytes.set(Buffer.from('"count":7'), bytes.indexOf('"count":1')),
    ],
    ['a changed hash of a tile', 'tile/1/000.p/2', (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0)],
    ['a changed size in the checkpoint', 'checkpoint', (bytes: Buffer) => bytes.write('5', bytes.indexOf('\n') + 1)],
  ])('finds %s', async (_, path, change) => {
    const { code } = await changed(path, change, verify);
    expect(code).toBe(1);
  });

  it.each([
    ['more hashes than there are', 'tile/0/000', Buffer.alloc(64 * 257)],
    ['fewer hashes than there are', 'tile/0/001', Buffer.alloc(64)],
    ['empty entries without end', 'tile/entries/000', Buffer.alloc(32 * 1024 * 1024)],
    ['fewer entries than there are', 'tile/entries/001', Buffer.alloc(4)],
  ])('does not take %s for a tile', async (_, path, bytes) => {
    const was = await readFile(join(folder, 'published', path));
    await publish(path, bytes);
    const { code, err } = await verify();
    await publish(path, was);
    expect([code, err]).toEqual([1, expect.stringContaining(`${path} is not a tile of 256`)]);
  });

  it('does not follow logs without end', async () => {
    const signing = new Uint8Array(32).fill(7);
    const name = noteVerifier(key).name;
    let asked = 0;
    const read = async (path: string) => {
      const generation = Number(/^~(\d+)\/checkpoint$/.exec(path)?.[1] ?? 0);
      if (generation === 0) throw new NotThere('not there');
      asked++;
      return toUtf8(signCheckpoint(noteSigner(originOf(name, generation), signing), 0, emptyRoot));
    };
    await expect(publishedSource(read, key, { mostLogs: 100 })).rejects.toThrow('more than 100 logs');
    expect(asked).toBeLessThan(110);
  });

  it.each([
    ['', '~1'],
    ['~2/', '~1'],
    ['1/', '0'],
  ])('takes no log for absent that is there and cannot be read: %scheckpoint, beside %s', async (log, other) => {
    await cp(join(folder, 'published'), join(folder, 'unread', other), { recursive: true });
    // Not even root can read a folder as a file.
    await mkdir(join(folder, 'unread', log, 'checkpoint'), { recursive: true });
    const { code, out, err } = await verify('--tiles', 'unread');
    await rm(join(folder, 'unread'), { recursive: true });
    expect([code, out, err]).toEqual([1, '', `hallpass: ${log}checkpoint in unread cannot be read (EISDIR)\n`]);
  });

  it('says which file is missing', async () => {
    const path = join(folder, 'published', 'tile/entries/000');
    const bytes = await readFile(path);
    await rm(path);
    const { code, err } = await verify();
    await publish('tile/entries/000', bytes);
    expect(code).toBe(1);
    expect(err).toContain('tile/entries/000');
  });
});
