import { stat, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { toUtf8 } from '../lib/bytes.ts';
import { codeOf, createFile, makeFolder, syncFolder } from '../lib/durable-file.ts';
import type { SigningAlgorithm } from './keys.ts';
import {
  type FolderReads,
  listNumbered,
  type Numbered,
  numberedIn,
  numberedName,
  readListed,
  readsAtOnce,
  readsBeside,
} from './numbered-files.ts';
import { parseOwnKey } from './pkcs8.ts';
import { KeyError, newKeyFor, type PrivateKey } from './private-key.ts';
import { refuseYoung } from './rotation-times.ts';
import type { Signer, SignerDeps } from './signer.ts';

const stems = { ES256: 'es256', RS256: 'rs256' } as const;
const algorithms: readonly SigningAlgorithm[] = ['ES256', 'RS256'];
const ending = '.pem';

type FolderDeps = Pick<SignerDeps, 'random' | 'needs' | 'now' | 'announceMs'>;

/**
 * The keys in a folder. The first start makes `es256.pem` (0600), and `rs256.pem` where something takes only that; of two
 * processes one wins and both use its key. A key that follows another has the next number: `es256-2.pem`.
 *
 * `keys` @throws MissingFolder when the folder would have to be made in one that is not there
 */
export function openKeyFolder(base: string, path: string, { random, needs = [], now, announceMs }: FolderDeps): Signer {
  const folder = resolve(base, path);
  const read = new Map<string, { readonly text: string; readonly key: PrivateKey }>();
  const filesOf = (alg: SigningAlgorithm) => listNumbered(folder, stems[alg], ending);
  let reads: FolderReads = readsAtOnce;

  async function readKey({ path: file }: Numbered): Promise<PrivateKey> {
    const text = await reads.text(file);
    const known = read.get(file);
    if (known?.text === text) return known.key;
    const key = parseOwnKey(text);
    read.set(file, { text, key });
    return key;
  }

  /** All of a folder read once, the files of each algorithm newest first. */
  async function listed(): Promise<readonly (readonly Numbered[])[]> {
    const names = await reads.names(folder);
    return algorithms.map((alg) => numberedIn(folder, names, stems[alg], ending));
  }

  async function make(alg: SigningAlgorithm, number: number): Promise<void> {
    await makeFolder(folder);
    const file = join(folder, numberedName(stems[alg], ending, number));
    await createFile(file, toUtf8(await newKeyFor(alg)), random);
  }

  return {
    async keys() {
      for (const [at, { length }] of (await listed()).entries()) {
        const alg = algorithms[at] as SigningAlgorithm;
        if (length === 0 && (alg === 'ES256' || needs.includes(alg))) await make(alg, 1);
      }
      const keys = await readListed(
        async () => (await listed()).flat(),
        (files) => Promise.all(files.map(readKey)),
      );
      reads = readsBeside;
      return keys;
    },
    async rotate() {
      const present = (await Promise.all(algorithms.map(async (alg) => [alg, await filesOf(alg)] as const))).filter(
        ([, files]) => files.length > 0,
      );
      for (const [, [newest, ...older]] of present)
        if (newest !== undefined && older.length > 0)
          refuseYoung(now() - (await stat(newest.path)).mtimeMs, announceMs);
      for (const [alg, [newest, ...older]] of present) {
        for (const { path: file } of older) await unlink(file).catch(unlessGone);
        await make(alg, (newest?.number ?? 0) + 1);
      }
    },
    async forget(kid) {
      const found = [...read].find(([, { key }]) => key.kid === kid);
      if (found === undefined) return;
      const [file, { key }] = found;
      // The last one stays, whatever is said of it.
      if ((await filesOf(key.alg)).length < 2) return;
      await unlink(file).catch((error) => {
        if (codeOf(error) !== 'ENOENT')
          throw new KeyError(`${basename(file)} cannot be removed (${codeOf(error)}), and its key has ended`);
      });
      await syncFolder(folder);
      read.delete(file);
    },
  };
}

/** Whether the keys are there that `keys` would otherwise make. */
export async function hasKeys(base: string, path: string, needs: SignerDeps['needs'] = []): Promise<boolean> {
  const folder = resolve(base, path);
  const names = await readsBeside.names(folder);
  const files = (['ES256', ...needs] as const).map((alg) => numberedIn(folder, names, stems[alg], ending));
  return files.every(({ length }) => length > 0);
}

/** Another rotation, or a server that was done with the key, was as fast. */
function unlessGone(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}
