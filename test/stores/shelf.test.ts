import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openShelf } from '../../src/stores/local/shelf.ts';

const root = mkdtempSync(join(tmpdir(), 'hallpass-shelf-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const random = (bytes: number) => randomBytes(bytes);
const fresh = () => mkdtempSync(join(root, 'shelf-'));

describe('a shelf', () => {
  it('gives a version another number when another process takes the first meanwhile', async () => {
    const folder = fresh();
    const asked: number[] = [];
    const version = await openShelf(folder, random).add((number) => {
      if (asked.push(number) === 1) writeFileSync(join(folder, '1'), 'theirs');
      return Buffer.from('ours');
    });
    expect([version, asked]).toEqual([2, [1, 2]]);
  });

  it('loses no version to a removal that took its number meanwhile', async () => {
    const folder = fresh();
    const shelf = openShelf(folder, random);
    const asked: number[] = [];
    const version = await shelf.add((number) => {
      // Another process put version 1 and removed the secret between our look and our write.
      if (asked.push(number) === 1) writeFileSync(join(folder, 'removed-1'), '');
      return Buffer.from('ours');
    });
    expect([version, asked]).toEqual([2, [1, 2]]);
    expect(await shelf.versions()).toEqual([2]);
    expect(readdirSync(folder).sort()).toEqual(['2', 'removed-1']);
  });

  it('sweeps up with the next removal what one that was cut short has left', async () => {
    const folder = fresh();
    const shelf = openShelf(folder, random);
    await shelf.add(() => Buffer.from('one'));
    await shelf.add(() => Buffer.from('two'));
    // The mark was made, the sweeping was not.
    writeFileSync(join(folder, 'removed-2'), '');
    expect(await shelf.clear()).toBe(false);
    expect(readdirSync(folder)).toEqual(['removed-2']);
    expect(await shelf.add(() => Buffer.from('three'))).toBe(3);
    expect(await shelf.clear()).toBe(true);
    expect(readdirSync(folder)).toEqual(['removed-3']);
  });

  it('reads nothing into names that are no versions', async () => {
    const folder = fresh();
    for (const name of ['0', '01', '1x', '-1', '1e3', '.new-1', 'removed-', 'removed-x', '9'.repeat(16)])
      writeFileSync(join(folder, name), '');
    expect(await openShelf(folder, random).versions()).toEqual([]);
  });
});
