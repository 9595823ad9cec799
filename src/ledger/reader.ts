import { concat } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import { signCheckpoint } from './checkpoint.ts';
import type { LogReader } from './ledger.ts';
import type { Head, LogStore, StoredEntry } from './log-store.ts';
import type { NoteSigner } from './note.ts';
import { formatProof } from './proof.ts';
import { encodeBundle, hashesAt, readInclusionProof, tileWidth } from './tile.ts';

export interface ReaderDeps {
  readonly store: LogStore;
  readonly signer: NoteSigner;
  /** Runs a read by its deadline; rejects with Refusal ledger_unavailable. */
  readonly reading: <T>(deadline: Deadline, work: () => Promise<T>) => Promise<T>;
}

/** Reads of a log over its tables. */
export function openReader({ store, signer, reading }: ReaderDeps): LogReader {
  // An empty log has signed nothing yet; its checkpoint is made when somebody asks.
  const checkpointOf = (head: Head): string =>
    head.size === 0 ? signCheckpoint(signer, 0, head.root) : head.checkpoint;

  const entryOf = ({ index, record, disclosure }: StoredEntry) => ({ index, record, disclosure });

  /** Whether tile n of a level reaches `width` in a log of this size. */
  const reaches = (size: number, level: number, n: number, width: number): boolean =>
    width > 0 && width <= tileWidth && n * tileWidth + width <= hashesAt(size, level);

  return {
    checkpoint: (deadline) => reading(deadline, async () => checkpointOf(await store.head())),
    list: ({ type, before = Number.MAX_SAFE_INTEGER, limit }, deadline) =>
      reading(deadline, async () => (await store.list({ type, before, limit })).map(entryOf)),
    story: (issuance, deadline) =>
      reading(deadline, async () => {
        const entries = await store.issuance(issuance);
        const head = await store.head();
        const checkpoint = checkpointOf(head);
        return Promise.all(
          entries.map(async (entry) => {
            const path = await readInclusionProof(store.hashes, entry.index, head.size);
            return { ...entryOf(entry), proof: formatProof({ index: entry.index, path, checkpoint }) };
          }),
        );
      }),
    tile: (level, n, width, deadline) =>
      reading(deadline, async () => {
        if (!reaches((await store.head()).size, level, n, width)) return undefined;
        return concat(...(await store.hashes(level, n * tileWidth, n * tileWidth + width)));
      }),
    bundle: (n, width, deadline) =>
      reading(deadline, async () => {
        if (!reaches((await store.head()).size, 0, n, width)) return undefined;
        const entries = await store.entries(n * tileWidth, n * tileWidth + width);
        return encodeBundle(entries.map(({ record }) => record));
      }),
  };
}
