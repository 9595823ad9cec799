import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config, Entry } from '../config/config.ts';
import { neededAlgorithms } from '../config/parts/key-ring.ts';
import { hasKeys } from '../keys/key-folder.ts';
import { openSealedFiles } from '../keys/sealed-files.ts';

/** Something that a first start makes, and that is not there: keys made by any other command would be known to nobody. */
export interface Unmade {
  readonly problem: string;
  readonly hint: string;
}

/** The first thing that opening the ledger would make; `file` is what the operator calls the config. */
export async function findUnmade(config: Config, folder: string, file: string): Promise<Unmade | undefined> {
  const hint = `start the broker first: hallpass serve --config ${file}; it makes the keys that the other side is told about`;
  const { broker, ledger } = config;
  for (const entry of broker.signer) {
    // Of several signers another may have the second key.
    const needs = broker.signer.length === 1 ? neededAlgorithms(config) : [];
    const path = await missingKeys(entry, folder, needs);
    if (path !== undefined) return { problem: `broker.signer: ${path} lacks keys that a start makes`, hint };
  }
  if (ledger.kind === 'sqlite' && !existsSync(resolve(folder, String(ledger.path))))
    return { problem: `ledger: ${String(ledger.path)} does not exist yet`, hint };
  return undefined;
}

/** The folder that a signer would make keys in. */
async function missingKeys(
  { kind, path, wrapped }: Entry,
  folder: string,
  needs: readonly 'RS256'[],
): Promise<string | undefined> {
  if (kind === 'local' && typeof path === 'string') return (await hasKeys(folder, path, needs)) ? undefined : path;
  const sealed = (wrapped as { readonly path?: string } | undefined)?.path;
  if (sealed === undefined) return undefined;
  const text = await openSealedFiles(folder, sealed, () => new Uint8Array(0)).read();
  return text === undefined ? sealed : undefined;
}
