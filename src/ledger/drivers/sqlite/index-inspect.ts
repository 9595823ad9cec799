import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { StoreFault } from '../../log-store.ts';
import { IndexDamaged } from '../../verify/index-check.ts';
import type { VerifyIndex } from '../../verify/source.ts';
import { sqlVerifyIndex } from '../../verify/stored-index.ts';
import { type Connection, openDatabase, readsOf } from './file.ts';
import { applicationId, usualRun, version } from './index-file.ts';
import { fileOddities } from './whole-file.ts';

/** Faults that pass, or are of this process. */
const passing: ReadonlySet<string> = new Set(['busy', 'io', 'disk_full']);

/** The index beside a ledger's file, opened for reading only, and not before it is asked anything. */
export function inspectIndex(path: string, run = usualRun): { readonly index: VerifyIndex; close(): void } {
  let connection: Connection | undefined;
  const reads = readsOf(() => {
    connection ??= openDatabase(`${pathToFileURL(path).href}?mode=ro`);
    return connection;
  });
  const tables = sqlVerifyIndex(reads, run);

  /** Whether it is one that questions are answered from as it is: one of another version is made anew before. */
  function isThere(): boolean {
    if (!existsSync(path)) return false;
    const [id, made] = ['application_id', 'user_version'].map((pragma) =>
      reads.read((all) => Object.values(all(`PRAGMA ${pragma}`, [])[0] ?? {})[0]),
    );
    if (id === 0 && made === 0) return false;
    if (id !== applicationId) throw new IndexDamaged('it is another file');
    return made === version;
  }

  async function asked<T>(none: T, work: () => Promise<T>): Promise<T> {
    try {
      return isThere() ? await work() : none;
    } catch (error) {
      if (error instanceof StoreFault && !passing.has(error.reason)) throw new IndexDamaged(error.reason);
      throw error;
    }
  }

  const oddities = async () => [
    ...(await tables.oddities()),
    ...reads.read(fileOddities).map(({ message }) => `beside the index, ${message}`),
  ];
  return {
    index: {
      seen: () => asked(0, tables.seen),
      others: (rows) => asked([], () => tables.others(rows)),
      oddities: () => asked([], oddities),
    },
    close: () => connection?.close(),
  };
}
