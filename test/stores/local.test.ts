import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Secret } from '../../src/lib/secret.ts';
import { openStores, type StoreEntry } from '../../src/stores/open.ts';
import { describeStore, faultOf, soon } from '../contracts/store.ts';
import { storesDeps } from './deps.ts';

const root = mkdtempSync(join(tmpdir(), 'hallpass-local-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fresh = () => mkdtempSync(join(root, 'store-'));

const openAt = (folder: string, more: Record<string, StoreEntry> = {}, env = {}, key?: StoreEntry['key']) =>
  openStores(
    { local: { kind: 'local', path: 'secrets-here', key } as StoreEntry, ...more },
    storesDeps({ env, folder }),
  );

async function make(folder = fresh()) {
  const store = await openAt(folder).open('local');
  return {
    folder: join(folder, 'secrets-here'),
    store,
    seed: async (name: string, value: string) => (await store.put(name, new Secret(value), soon())).version,
    provoke: {
      // A folder in the file's place: the file system answers, and not with a value.
      unreachable: async (name: string) => {
        const file = join(folder, 'secrets-here', 'secrets', digest(name), '1');
        rmSync(file);
        mkdirSync(file);
      },
    },
  };
}

const digest = (name: string) => toHex(sha256(name));
const fileOf = (folder: string, name: string, version: number) =>
  join(folder, 'secrets', digest(name), String(version));

describeStore(
  'local',
  {
    writable: true,
    never: {
      denied: 'tests may run as root, whom no file mode stops',
      disabled: 'files are not switched off',
      slow: 'a local disk is not made to hang from here; a time that is over is tested above',
    },
  },
  () => make(),
);

describe('local', () => {
  it('writes neither a value nor a raw name where a path can be seen, and no file others may read', async () => {
    const { folder, store } = await make();
    await store.put('prod/../stripe', new Secret('canary-value'), soon());
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBe(2);
    for (const file of files) {
      const path = join(file.parentPath, file.name);
      expect(path).not.toContain('stripe');
      expect(readFileSync(path).includes('canary')).toBe(false);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(await store.list(soon())).toEqual(['prod/../stripe']);
  });

  it('finds every changed byte of a file', async () => {
    const { folder, store } = await make();
    await store.put('A', new Secret('not-a-key'), soon());
    const path = fileOf(folder, 'A', 1);
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 1;
      writeFileSync(path, bad);
      expect(await faultOf(store.get('A', undefined, soon())), `byte ${at}`).toBe('damaged');
    }
    for (const length of [0, 1, 40, good.length - 1]) {
      writeFileSync(path, good.subarray(0, length));
      expect(await faultOf(store.get('A', undefined, soon()))).toBe('damaged');
    }
  });

  it('refuses a file moved to another name or another version', async () => {
    const { folder, store } = await make();
    await store.put('A', new Secret('of-a'), soon());
    await store.put('A', new Secret('of-a-2'), soon());
    await store.put('B', new Secret('of-b'), soon());
    renameSync(fileOf(folder, 'B', 1), fileOf(folder, 'A', 2));
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('damaged');
    renameSync(fileOf(folder, 'A', 1), fileOf(folder, 'A', 2));
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('damaged');
  });

  it('never gives a version number twice, not even after a removal', async () => {
    const { store } = await make();
    await store.put('A', new Secret('1'), soon());
    await store.put('A', new Secret('2'), soon());
    await store.remove('A', soon());
    expect(await store.put('A', new Secret('3'), soon())).toEqual({ version: '3' });
    expect(await faultOf(store.get('A', '2', soon()))).toBe('absent');
    await store.remove('A', soon());
    expect(await store.put('A', new Secret('4'), soon())).toEqual({ version: '4' });
  });

  it('takes a torn or half-removed state for what it was before or after', async () => {
    const { folder, store } = await make();
    await store.put('A', new Secret('1'), soon());
    await store.put('A', new Secret('2'), soon());
    // A crash after the removal's mark, before its sweep; and one before a new version was linked.
    writeFileSync(join(folder, 'secrets', digest('A'), 'removed-2'), '');
    writeFileSync(join(folder, 'secrets', digest('A'), '.new-00'), 'torn');
    expect(await faultOf(store.get('A', undefined, soon()))).toBe('absent');
    expect(await faultOf(store.get('A', '1', soon()))).toBe('absent');
    expect(await store.list(soon())).toEqual([]);
    expect(await store.put('A', new Secret('3'), soon())).toEqual({ version: '3' });
  });

  it('lists the others when a secret is removed between the look and the read', async () => {
    const { folder, store } = await make();
    for (const name of ['A', 'B']) await store.put(name, new Secret('1'), soon());
    // There when it is looked for, not there when it is read.
    rmSync(fileOf(folder, 'B', 1));
    symlinkSync(join(folder, 'nothing'), fileOf(folder, 'B', 1));
    expect(await store.list(soon())).toEqual(['A']);
  });

  it('says invalid to an empty value and to one above 64 KiB', async () => {
    const { store } = await make();
    expect(await faultOf(store.put('A', new Secret(''), soon()))).toBe('invalid');
    expect(await faultOf(store.put('A', new Secret(new Uint8Array(65_537)), soon()))).toBe('invalid');
    expect(await store.put('A', new Secret(new Uint8Array(65_536)), soon())).toEqual({ version: '1' });
  });

  it('will not make a new key beside secrets sealed under a lost one', async () => {
    const parent = fresh();
    const { folder, store } = await make(parent);
    await store.put('A', new Secret('not-a-key'), soon());
    rmSync(join(folder, 'key'));
    const again = await openAt(parent).open('local');
    expect(await faultOf(again.get('A', undefined, soon()))).toBe('damaged');
    expect(await faultOf(again.put('B', new Secret('not-a-key'), soon()))).toBe('damaged');
    expect(existsSync(join(folder, 'key'))).toBe(false);
  });

  it('seals under the key a REF names, makes none of its own, and opens nothing without it', async () => {
    const folder = fresh();
    const ref = { store: 'vars', name: 'FOLDER_KEY' };
    const vars: StoreEntry = { kind: 'env', prefix: 'HALLPASS_SECRET_' } as StoreEntry;
    const env = { HALLPASS_SECRET_FOLDER_KEY: randomBytes(32).toString('base64') };
    const store = await openAt(folder, { vars }, env, ref).open('local');
    await store.put('A', new Secret('not-a-key'), soon());
    expect((await store.get('A', undefined, soon())).value.revealText()).toBe('not-a-key');
    expect(existsSync(join(folder, 'secrets-here', 'key'))).toBe(false);

    const other = { HALLPASS_SECRET_FOLDER_KEY: randomBytes(32).toString('hex') };
    expect(await faultOf((await openAt(folder, { vars }, other, ref).open('local')).get('A', undefined, soon()))).toBe(
      'damaged',
    );
    expect(await faultOf((await openAt(folder, { vars }, {}, ref).open('local')).get('A', undefined, soon()))).toBe(
      'unreachable',
    );
    const short = { HALLPASS_SECRET_FOLDER_KEY: 'c2hvcnQ' };
    expect(await faultOf((await openAt(folder, { vars }, short, ref).open('local')).get('A', undefined, soon()))).toBe(
      'damaged',
    );
  });

  it('lets a running server see a new version within the cache time, and not before it must', async () => {
    const folder = fresh();
    const clock = { now: Date.now() };
    const entry = { kind: 'local', path: 'secrets-here', cache: '30s' };
    const server = openStores({ local: entry }, storesDeps({ now: () => clock.now, folder }));
    const read = () =>
      server.read(
        { store: 'local', name: 'A' },
        deadlineIn(5_000, () => clock.now),
      );
    const operator = await openAt(folder).open('local');
    await operator.put('A', new Secret('first'), soon());
    expect((await read()).version).toBe('1');
    await operator.put('A', new Secret('second'), soon());
    clock.now += 29_999;
    expect((await read()).version).toBe('1');
    clock.now += 1;
    expect((await read()).value.revealText()).toBe('second');
  });

  it('loses no version and agrees on one key when processes that know nothing of each other write at once', async () => {
    const folder = fresh();
    const program = join(root, 'writer.mjs');
    const entry = fileURLToPath(new URL('./local-writer.ts', import.meta.url));
    await build({
      entryPoints: [entry],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    const writers = [1, 2, 3].map((n) => fork(program, [folder, `w${n}`, '25'], { execArgv: [] }));
    const versions: string[] = [];
    for (const writer of writers) writer.on('message', (message) => versions.push(...(message as string[])));
    const codes = await Promise.all(writers.map((writer) => once(writer, 'exit').then(([code]) => code)));
    expect(codes).toEqual([0, 0, 0]);
    expect(new Set(versions).size).toBe(75);
    expect(versions.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 75 }, (_, i) => i + 1));
    const { store } = await make(folder);
    const values = await Promise.all(
      versions.map(async (version) => (await store.get('A', version, soon())).value.revealText()),
    );
    expect(new Set(values).size).toBe(75);
  });
});
