import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Deadline } from '../../lib/deadline.ts';
import { codeOf, createFile, makeFolder } from '../../lib/durable-file.ts';
import { keyBytes } from '../../lib/key-bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { instantMs } from '../../lib/time.ts';
import type { LocalConfig } from '../local.ts';
import { type Store, type StoreDeps, StoreError } from '../store.ts';
import { isLocalName } from './name.ts';
import { type Header, readHeader, seal, unseal } from './sealed.ts';
import { isShelfName, openShelf, type Shelf, shelfName } from './shelf.ts';

const maxValueBytes = 65_536;

/** Secrets in a folder, each version a file sealed with AES-256-GCM; versions are `1`, `2`, ... */
export function open(config: LocalConfig, deps: StoreDeps): Store {
  const folder = resolve(deps.folder ?? '.', config.path);
  const secrets = join(folder, 'secrets');
  let key: Promise<Uint8Array> | undefined;

  const shelfOf = (name: string): Shelf => openShelf(join(secrets, shelfName(name)), deps.random);

  // A failure is not kept: the store the key comes from may be back the next time.
  function theKey(deadline: Deadline): Promise<Uint8Array> {
    key ??= readKey(config, folder, deps, deadline).catch((error) => {
      key = undefined;
      throw error;
    });
    return key;
  }

  return {
    async get(name, version, deadline) {
      const shelf = shelfOf(checkName(name));
      const number = await pick(shelf, version);
      const file = await shelf.read(number);
      const { header, value } = openFile(await theKey(deadline), file);
      checkHeader(header, name, number);
      return { value: new Secret(value), version: String(number) };
    },
    async describe(name) {
      const shelf = shelfOf(checkName(name));
      const versions = await shelf.versions();
      const number = await pick(shelf, undefined);
      const header = parseHeader(await shelf.readStart(number));
      checkHeader(header, name, number);
      return { name, version: String(number), createdAt: header.createdAt, versions: versions.length };
    },
    async list() {
      const names: string[] = [];
      for (const entry of await foldersIn(secrets)) {
        const shelf = openShelf(join(secrets, entry), deps.random);
        const newest = (await shelf.versions()).at(-1);
        const start = newest === undefined ? undefined : await shelf.readStart(newest).catch(unlessGone);
        if (start === undefined) continue;
        const { name } = parseHeader(start);
        if (shelfName(name) !== entry) throw new StoreError('damaged');
        names.push(name);
      }
      return names.sort();
    },
    async put(name, value, deadline) {
      const shelf = shelfOf(checkName(name, 'invalid'));
      const bytes = value.reveal();
      if (bytes.length === 0 || bytes.length > maxValueBytes) throw new StoreError('invalid');
      const sealing = await theKey(deadline);
      await makeFolder(folder);
      await makeFolder(secrets);
      const createdAt = instantMs(deps.now());
      const number = await shelf.add((version) =>
        seal(sealing, deps.random(12), { name, version: String(version), createdAt }, bytes),
      );
      return { version: String(number) };
    },
    async remove(name) {
      if (!(await shelfOf(checkName(name)).clear())) throw new StoreError('absent');
    },
  };
}

/** The key a REF names, or the one in the folder, made when it is not there. */
async function readKey(config: LocalConfig, folder: string, deps: StoreDeps, deadline: Deadline): Promise<Uint8Array> {
  const stored =
    config.key === undefined ? await readOrMake(folder, deps) : (await deps.read(config.key, deadline)).value;
  const bytes = keyBytes(stored);
  if (bytes === undefined) throw new StoreError('damaged');
  return bytes;
}

async function readOrMake(folder: string, { random }: StoreDeps): Promise<Secret> {
  const path = join(folder, 'key');
  // Looked at before the key: another process may be making the first key and the first secret right now.
  const used = (await foldersIn(join(folder, 'secrets'))).length > 0;
  try {
    return new Secret(await readFile(path));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  // A new key beside old secrets would only hide that the old one was lost.
  if (used) throw new StoreError('damaged');
  await makeFolder(folder);
  await createFile(path, random(32), random);
  return new Secret(await readFile(path));
}

async function foldersIn(path: string): Promise<string[]> {
  const names = await readdir(path).catch((error) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  return names.filter(isShelfName);
}

function checkName(name: string, fault: 'absent' | 'invalid' = 'absent'): string {
  if (!isLocalName(name)) throw new StoreError(fault);
  return name;
}

async function pick(shelf: Shelf, version: string | undefined): Promise<number> {
  const versions = await shelf.versions();
  const found = version === undefined ? versions.at(-1) : versions.find((number) => String(number) === version);
  if (found === undefined) throw new StoreError('absent');
  return found;
}

// Another process may remove a secret between our look and our read.
function unlessGone(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function openFile(key: Uint8Array, file: Uint8Array) {
  try {
    return unseal(key, file);
  } catch (cause) {
    throw new StoreError('damaged', { cause });
  }
}

function parseHeader(file: Uint8Array): Header {
  try {
    return readHeader(file);
  } catch (cause) {
    throw new StoreError('damaged', { cause });
  }
}

function checkHeader(header: Header, name: string, version: number): void {
  if (header.name !== name || header.version !== String(version)) throw new StoreError('damaged');
}
