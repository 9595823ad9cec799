import { concat } from '../lib/bytes.ts';
import type { Deadline } from '../lib/deadline.ts';
import { signCheckpoint } from './checkpoint.ts';
import { type Generations, leafAt } from './generation.ts';
import type { LogReader, PlacedEntry } from './ledger.ts';
import { type Head, type LogStore, type StoredEntry, StoreFault } from './log-store.ts';
import { formatProof } from './proof.ts';
import { encodeBundle, hashesAt, hashesOf, readInclusionProof, tileWidth } from './tile.ts';

export interface ReaderDeps {
  readonly store: LogStore;
  readonly signers: Generations;
  /** Runs a read by its deadline; rejects with Refusal ledger_unavailable. */
  readonly reading: <T>(deadline: Deadline, work: () => Promise<T>) => Promise<T>;
}

/** Reads of a log over its tables. */
export function openReader({ store, signers, reading }: ReaderDeps): LogReader {
  // An empty log has signed nothing yet; its checkpoint is made when somebody asks.
  const checkpointOf = (head: Head): string =>
    head.size === 0 ? signCheckpoint(signers.of(head.generation).signer, 0, head.root) : head.checkpoint;

  const placed = (head: Head, { index, record, disclosure }: StoredEntry): PlacedEntry => {
    const at = leafAt(head, index);
    return { index, record, disclosure, log: signers.of(at.generation).signer.name, leaf: at.index };
  };

  const placedAll = async (entries: Promise<readonly StoredEntry[]>): Promise<PlacedEntry[]> => {
    const found = await entries;
    const head = await store.head();
    return found.map((entry) => placed(head, entry));
  };

  /** Whether tile n of a level reaches `width` in a log of this size. */
  const reaches = (size: number, level: number, n: number, width: number): boolean =>
    width > 0 && width <= tileWidth && n * tileWidth + width <= hashesAt(size, level);

  /** Against the newest checkpoint of the log it lies in. */
  async function proofOf(head: Head, entry: StoredEntry): Promise<string> {
    const { base, index } = leafAt(head, entry.index);
    const log = base === head.base ? head : head.ended.find((one) => one.base === base);
    const size = log?.size ?? 0;
    const checkpoint = base === head.base ? checkpointOf(head) : await store.checkpoint(base + size);
    if (checkpoint === undefined) throw new StoreFault('checkpoint_missing');
    return formatProof({ index, path: await readInclusionProof(hashesOf(store, base), index, size), checkpoint });
  }

  return {
    head: (deadline) => reading(deadline, () => store.head()),
    entries: (from, to, deadline) => reading(deadline, () => placedAll(store.entries(from, to))),
    checkpoint: (deadline) => reading(deadline, async () => checkpointOf(await store.head())),
    list: ({ type, before = Number.MAX_SAFE_INTEGER, limit }, deadline) =>
      reading(deadline, () => placedAll(store.list({ type, before, limit }))),
    story: (issuance, deadline) =>
      reading(deadline, async () => {
        const entries = await store.issuance(issuance);
        const head = await store.head();
        return Promise.all(
          entries.map(async (entry) => ({ ...placed(head, entry), proof: await proofOf(head, entry) })),
        );
      }),
    tile: (level, n, width, deadline) =>
      reading(deadline, async () => {
        const { base, size } = await store.head();
        if (!reaches(size, level, n, width)) return undefined;
        return concat(...(await store.hashes(base, level, n * tileWidth, n * tileWidth + width)));
      }),
    bundle: (n, width, deadline) =>
      reading(deadline, async () => {
        const { base, size } = await store.head();
        if (!reaches(size, 0, n, width)) return undefined;
        const entries = await store.entries(base + n * tileWidth, base + n * tileWidth + width);
        return encodeBundle(entries.map(({ record }) => record));
      }),
  };
}
