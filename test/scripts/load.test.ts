import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { codeFile, compile, laterFile, run } from '../../scripts/load.mjs';
import { repository, temporaryFolder } from '../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

const scriptOf = (chunks: string) => `(function (entryUrl, importChunk) { return {${chunks}}; })`;
const file = 'file: require("node:path").basename("a/b")';
const first = scriptOf(
  `"./app.mjs"(exports, require, module) {
    module.exports = { seven: () => 7, entryUrl, ${file}, more: () => importChunk("./more.mjs"), again: () => require("./more.mjs") };
  }`,
);
const rest = scriptOf('"./more.mjs"(exports, require) { exports.seven = require("./app.mjs").seven() + 1; }');

interface Made {
  seven(): number;
  more(): Promise<{ seven: number }>;
  again(): { seven: number };
  entryUrl: string;
  file: string;
}

function bundle(name: string, code?: Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, first);
  writeFileSync(laterFile(file), rest);
  if (code !== undefined) writeFileSync(codeFile(file), code);
  return file;
}

const made = (file: string) => run(file, 'file:///entry.mjs').exported as unknown as Made;

describe('a bundle of dist/', () => {
  it.each(['hallpass', 'node'])('%s is started by the code that was kept when it was built', (name) => {
    const entry = readFileSync(join(repository, `dist/${name}.mjs`), 'utf8');
    const file = /app-\w+\.cjs/.exec(entry)?.[0] ?? '';
    const parts = [file, laterFile(file)];
    expect(readdirSync(join(repository, 'dist', name))).toEqual(
      expect.arrayContaining(parts.flatMap((part) => [part, codeFile(part)])),
    );
    for (const part of parts) expect(compile(join(repository, 'dist', name, part)).cachedDataRejected).toBe(false);
  });

  it.each(['hallpass', 'node'])('%s does not say in which folder it was built', (name) => {
    const files = readdirSync(join(repository, 'dist', name));
    expect(files.filter((file) => file.endsWith('.code')).length).toBeGreaterThan(1);
    for (const file of files) {
      const bytes = readFileSync(join(repository, 'dist', name, file)).toString('latin1');
      expect([file, bytes.includes(repository), bytes.includes('dist/.new-')]).toEqual([file, false, false]);
    }
  });

  it.each(['hallpass', 'node'])('%s has the code of a first issuance kept, and not of what it did not do', (name) => {
    const entry = readFileSync(join(repository, `dist/${name}.mjs`), 'utf8');
    const file = join(repository, 'dist', name, /app-\w+\.cjs/.exec(entry)?.[0] ?? '');
    const [source, code] = [file, codeFile(file)].map((path) => readFileSync(path, 'latin1'));
    // Words of functions: V8 keeps those of a function that it compiled.
    for (const asked of ['several_authorizations', 'older_bundle', 'no_jwks_uri', 'not_taken']) {
      expect(source, asked).toContain(asked);
      expect(code, asked).toContain(asked);
    }
    expect(source).toContain('no_lease_id');
    expect(code).not.toContain('no_lease_id');
  });

  it.each(['hallpass', 'node'])('%s imports nothing: each import makes a module of what is there already', (name) => {
    expect(readFileSync(join(repository, `dist/${name}.mjs`), 'utf8')).not.toMatch(/^import\b/m);
  });

  it('is one file for a start, and one for all else', () => {
    const entry = readFileSync(join(repository, 'dist/node.mjs'), 'utf8');
    const file = join(repository, 'dist/node', /app-\w+\.cjs/.exec(entry)?.[0] ?? '');
    expect(readFileSync(file, 'latin1')).toContain('commit-worker.mjs');
    expect(readFileSync(file, 'latin1')).not.toContain('"openapi":');
    expect(readFileSync(laterFile(file), 'latin1').length).toBeGreaterThan(500_000);
  });

  it('runs without kept code, and is told where it was started', () => {
    const app = made(bundle('bare.cjs'));
    expect([app.seven(), app.entryUrl, app.file]).toEqual([7, 'file:///entry.mjs', 'b']);
  });

  it('reads the second file when a chunk of it is first asked for, and runs each chunk once', async () => {
    const read: string[] = [];
    const file = bundle('parts.cjs');
    const { exported, ran } = run(file, 'file:///entry.mjs', (part, from) => {
      read.push(part);
      return compile(part, from);
    });
    const app = exported as unknown as Made;
    expect([read, [...ran.keys()]]).toEqual([[file], ['./app.mjs']]);
    expect(await app.more()).toEqual({ seven: 8 });
    expect(app.again()).toBe(await app.more());
    expect(read).toEqual([file, laterFile(file)]);
  });

  it('has its second file though a later build took that away, and tries what failed again', async () => {
    const file = bundle('gone.cjs');
    const broken = 'if (globalThis.absent) throw new Error("not yet"); exports.seven = 8;';
    writeFileSync(laterFile(file), scriptOf(`"./more.mjs"(exports) { ${broken} }`));
    const app = made(file);
    rmSync(laterFile(file));
    Object.assign(globalThis, { absent: true });
    await expect(app.more()).rejects.toThrow('not yet');
    Object.assign(globalThis, { absent: false });
    expect(await app.more()).toEqual({ seven: 8 });
  });

  it('runs when the code is of another Node, of another bundle or spoilt', () => {
    const file = bundle('whole.cjs');
    const kept = compile(file).createCachedData();
    const spoilt = Uint8Array.from(kept, (byte, at) => (at === 4 ? byte ^ 0xff : byte));
    for (const [name, code] of Object.entries({ spoilt, empty: new Uint8Array(0), text: Buffer.from('not code') })) {
      const other = bundle(`${name}.cjs`, code);
      const script = compile(other);
      expect(script.cachedDataRejected, name).toBe(true);
      expect(made(other).seven()).toBe(7);
    }
    const copy = join(folder, 'copy.cjs');
    copyFileSync(file, copy);
    writeFileSync(codeFile(copy), kept);
    expect(compile(copy).cachedDataRejected).toBe(false);
  });
});
