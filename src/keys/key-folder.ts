import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { toUtf8 } from '../lib/bytes.ts';
import { codeOf, createFile, makeFolder } from '../lib/durable-file.ts';
import { newPrivateKey, type PrivateKey, parsePrivateKey } from './private-key.ts';

/** The key that is made when it is not there, and one that an operator may put beside it. */
const made = 'es256.pem';
const given = 'rs256.pem';

/**
 * The keys in a folder; the first start makes one (0600), of two processes one wins and both use its key.
 *
 * @throws MissingFolder when the folder would have to be made in one that is not there
 */
export async function openKeyFolder(
  base: string,
  path: string,
  random: (bytes: number) => Uint8Array,
): Promise<readonly PrivateKey[]> {
  const folder = resolve(base, path);
  const first = (await readKey(join(folder, made))) ?? (await makeKey(folder, random));
  const second = await readKey(join(folder, given));
  return second === undefined ? [first] : [first, second];
}

async function makeKey(folder: string, random: (bytes: number) => Uint8Array): Promise<PrivateKey> {
  await makeFolder(folder);
  const file = join(folder, made);
  await createFile(file, toUtf8(newPrivateKey()), random);
  return parsePrivateKey(await readFile(file, 'utf8'));
}

async function readKey(file: string): Promise<PrivateKey | undefined> {
  try {
    return parsePrivateKey(await readFile(file, 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
