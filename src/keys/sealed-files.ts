import { readFile, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { toUtf8 } from '../lib/bytes.ts';
import { createFile, makeFolder } from '../lib/durable-file.ts';
import { listNumbered, numberedName, readListed } from './numbered-files.ts';

const stem = 'sealed';
const ending = '.json';

/** Sealed keys in a folder (0600): each text that follows another is a file of the next number, whoever is first. */
export function openSealedFiles(base: string, path: string, random: (bytes: number) => Uint8Array) {
  const folder = resolve(base, path);

  const list = () => listNumbered(folder, stem, ending);
  const newest = () => readListed(list, async ([file]) => file && { ...file, text: await readFile(file.path, 'utf8') });

  return {
    read: async (): Promise<string | undefined> => (await newest())?.text,
    async write(text: string, before: string | undefined): Promise<string> {
      const last = await newest();
      if (last !== undefined && last.text !== before) return last.text;
      await makeFolder(folder);
      await createFile(join(folder, numberedName(stem, ending, (last?.number ?? 0) + 1)), toUtf8(text), random);
      const [, ...older] = await list();
      for (const { path: file } of older) await unlink(file).catch(() => {});
      return (await newest())?.text ?? text;
    },
  };
}
