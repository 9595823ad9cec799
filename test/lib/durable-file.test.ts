import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { codeOf, createFile, MissingFolder, makeFolder } from '../../src/lib/durable-file.ts';

const root = mkdtempSync(join(tmpdir(), 'hallpass-files-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const random = (bytes: number) => randomBytes(bytes);

describe('makeFolder', () => {
  it('makes no folder above the one it is asked for, and names the one that is not there', async () => {
    const error = await makeFolder(join(root, 'gone', 'keys')).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MissingFolder);
    expect(String(error)).toContain(`the folder ${join(root, 'gone')} is not there`);
    expect(existsSync(join(root, 'gone'))).toBe(false);
  });

  it('does not take a file for a folder', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(codeOf(await makeFolder(join(root, 'file')).catch((thrown: unknown) => thrown))).toBe('EEXIST');
  });
});

describe('createFile', () => {
  it('writes a whole file that only its owner may read, and leaves nothing beside it', async () => {
    const folder = join(root, 'a');
    await makeFolder(folder);
    await makeFolder(folder);
    expect(await createFile(join(folder, 'x'), Buffer.from('whole'), random)).toBe(true);
    expect(readFileSync(join(folder, 'x'), 'utf8')).toBe('whole');
    expect(statSync(join(folder, 'x')).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toEqual(['x']);
  });

  it('lets one of many win, and keeps what the winner wrote', async () => {
    const folder = join(root, 'race');
    await makeFolder(folder);
    const all = await Promise.all(
      Array.from({ length: 30 }, (_, i) => createFile(join(folder, 'x'), Buffer.from(`${i}`), random)),
    );
    expect(all.filter((won) => won).length).toBe(1);
    expect(readFileSync(join(folder, 'x'), 'utf8')).toBe(String(all.indexOf(true)));
    expect(readdirSync(folder)).toEqual(['x']);
  });

  it('rejects where there is no folder', async () => {
    const error = await createFile(join(root, 'none', 'x'), Buffer.from(''), random).catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('ENOENT');
  });
});
