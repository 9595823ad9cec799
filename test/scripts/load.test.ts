import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { codeFile, compile, run } from '../../scripts/load.mjs';
import { repository, temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const exported = '{ seven: () => 7, entryUrl, file: require("node:path").basename("a/b") }';
const source = `(function (exports, require, module, entryUrl) { module.exports = ${exported}; })`;

function bundle(name: string, code?: Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, source);
  if (code !== undefined) writeFileSync(codeFile(file), code);
  return file;
}

describe('a bundle of dist/', () => {
  it.each(['hallpass', 'node'])('%s is started by the code that was kept when it was built', (name) => {
    const entry = readFileSync(join(repository, `dist/${name}.mjs`), 'utf8');
    const file = /app-\w+\.cjs/.exec(entry)?.[0] ?? '';
    expect(readdirSync(join(repository, 'dist', name))).toEqual(expect.arrayContaining([file, codeFile(file)]));
    expect(compile(join(repository, 'dist', name, file)).cachedDataRejected).toBe(false);
  });

  it('runs without kept code, and is told where it was started', () => {
    const file = bundle('bare.cjs');
    const made = run(compile(file), file, 'file:///entry.mjs') as {
      seven: () => number;
      entryUrl: string;
      file: string;
    };
    expect([made.seven(), made.entryUrl, made.file]).toEqual([7, 'file:///entry.mjs', 'b']);
  });

  it('runs when the code is of another Node, of another bundle or spoilt', () => {
    const file = bundle('whole.cjs');
    const kept = compile(file).createCachedData();
    const spoilt = Uint8Array.from(kept, (byte, at) => (at === 4 ? byte ^ 0xff : byte));
    for (const [name, code] of Object.entries({ spoilt, empty: new Uint8Array(0), text: Buffer.from('not code') })) {
      const other = bundle(`${name}.cjs`, code);
      const script = compile(other);
      expect(script.cachedDataRejected, name).toBe(true);
      expect((run(script, other, 'file:///x') as { seven: () => number }).seven()).toBe(7);
    }
    const copy = join(folder, 'copy.cjs');
    copyFileSync(file, copy);
    writeFileSync(codeFile(copy), kept);
    expect(compile(copy).cachedDataRejected).toBe(false);
  });
});
