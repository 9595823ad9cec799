import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { formatProblem } from '../src/config/text/problem.ts';
import { readText } from '../src/config/text/source.ts';
import { bundled, type ConfigText } from './bundled.ts';

/**
 * The config where there is a file system: HALLPASS_CONFIG, else what HALLPASS_CONFIG_FILE names, else the bundled one. Rejects
 * where there is none, or none that is text.
 */
export async function findConfig(
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
): Promise<ConfigText> {
  const { HALLPASS_CONFIG: text, HALLPASS_CONFIG_FILE: file } = env;
  if (text !== undefined && text !== '') return { text, file: 'HALLPASS_CONFIG', folder };
  if (file !== undefined && file !== '') {
    const path = resolve(folder, file);
    // Nothing else goes on at start, and four trips to another thread take longer than the file.
    const read = readText(readFileSync(path));
    // Read as something else, a name in it would be another one.
    if (typeof read !== 'string') throw new Error(formatProblem({ file, ...read }));
    return { text: read, file, folder: dirname(path) };
  }
  if (bundled !== undefined) return { ...(bundled as ConfigText), folder };
  throw new Error('no config: set HALLPASS_CONFIG or HALLPASS_CONFIG_FILE');
}
