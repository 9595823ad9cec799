import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const folder = resolve(process.env.HALLPASS_VECTORS ?? join(import.meta.dirname, '../../../shared/vectors'));

/** The folder of public test vectors, or undefined where it is absent: set HALLPASS_VECTORS. */
export const vectors: string | undefined = existsSync(folder) ? folder : undefined;

/** All JSON files below a folder. */
export const vectorFiles = (below: string): string[] =>
  readdirSync(below, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(below, name));
