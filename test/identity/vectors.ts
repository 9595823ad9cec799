import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of public test vectors. */
export const vectors =
  process.env.HALLPASS_VECTORS ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
export const vectorsAbsent = !existsSync(vectors);

export const readVectors = <T>(path: string): T => JSON.parse(readFileSync(`${vectors}/${path}`, 'utf8')) as T;
