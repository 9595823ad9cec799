import { concat } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Copied } from '../following.ts';
import { type Generations, leafAt } from '../generation.ts';
import type { LogReader, PlacedEntry, Receipt } from '../ledger.ts';
import { type Head, type LogStore, type StoredEntry, type StoredRecord, StoreFault } from '../log-store.ts';
import { parseRecord } from '../records/record.ts';
import { signCheckpoint } from '../tree/checkpoint.ts';
import { emptyRoot } from '../tree/merkle.ts';
import { formatProof } from '../tree/proof.ts';
import { encodeBundle, hashesAt, hashesOf, readInclusionProof, tileWidth } from '../tree/tile.ts';
import { endOf } from './draft.ts';

export interface ReaderDeps {
  readonly store: LogStore;
  readonly signers: Generations;
  /** Runs a read by its deadline; rejects with Refusal ledger_unavailable. */
  readonly reading: <T>(deadline: Deadline, work: () => Promise<T>) => Promise<T>;
}

/** Logs that one succession tells of, and what it reads of later records of its kind. */
const mostLogs = 100;
const mostClaims = 100;

/** Neighbours are read together; so many reads at once. */
const readsAtOnce = 16;

async function entriesAt(store: LogStore, positions: readonly number[]): Promise<readonly StoredEntry[]> {
  if (store.at !== undefined) return store.at(positions);
  const runs: [from: number, to: number][] = [];
  for (const position of [...positions].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === position) run[1]++;
    else runs.push([position, position + 1]);
  }
  const found: StoredEntry[] = [];
  for (let at = 0; at < runs.length; at += readsAtOnce) {
    const some = runs.slice(at, at + readsAtOnce).map(([from, to]) => store.entries(from, to));
    found.push(...(await Promise.all(some)).flat());
  }
  return found;
}

const treesUpTo = (entries: readonly StoredEntry[], end: number): number[] =>
  entries.map(({ tree }) => tree).filter((tree) => tree <= end);

/** Reads of a log over its tables. */
export function openReader({ store, signers, reading }: ReaderDeps): LogReader {
  /** A log of the ledger: the one that grows, or a closed one. */
  function logOf(head: Head, generation = head.generation): Pick<Head, 'generation' | 'base' | 'size'> {
    const log = generation === head.generation ? head : head.ended.find((one) => one.generation === generation);
    if (log === undefined) throw new Refusal('not_found', 'no_such_log');
    return log;
  }

  // An empty log has signed nothing yet; its checkpoint is made when somebody asks.
  async function checkpointOf(head: Head, { generation, base, size }: Pick<Head, 'generation' | 'base' | 'size'>) {
    if (size === 0) return signCheckpoint(signers.of(generation).signer, 0, emptyRoot);
    const note = generation === head.generation ? head.checkpoint : await store.checkpoint(base + size);
    if (note === undefined) throw new StoreFault('checkpoint_missing');
    return note;
  }

  const records = (from: number, to: number): Promise<readonly StoredRecord[]> =>
    store.records === undefined ? store.entries(from, to) : store.records(from, to);

  const placed = (head: Head, { index, record, disclosure }: StoredRecord): PlacedEntry => {
    const at = leafAt(head, index);
    return { index, record, disclosure, log: signers.of(at.generation).signer.name, leaf: at.index };
  };

  const placedAll = async (entries: Promise<readonly StoredRecord[]>): Promise<PlacedEntry[]> => {
    const found = await entries;
    const head = await store.head();
    return found.map((entry) => placed(head, entry));
  };

  /** Whether tile n of a level reaches `width` in a log of this size. */
  const reaches = (size: number, level: number, n: number, width: number): boolean =>
    width > 0 && width <= tileWidth && n * tileWidth + width <= hashesAt(size, level);

  /** Against the newest checkpoint of the log it lies in. */
  async function proofOf(head: Head, entry: StoredEntry): Promise<string> {
    const { generation, base, index } = leafAt(head, entry.index);
    const log = logOf(head, generation);
    const checkpoint = await checkpointOf(head, log);
    return formatProof({ index, path: await readInclusionProof(hashesOf(store, base), index, log.size), checkpoint });
  }

  async function copyOf(head: Head, from: number, limit: number): Promise<Copied | undefined> {
    if (from >= endOf(head)) return undefined;
    const { generation, base } = leafAt(head, from);
    const end = base + logOf(head, generation).size;
    const read = await store.entries(from, Math.min(end, from + limit));
    const first = read[0];
    if (first === undefined || first.index !== from) throw new StoreFault('entries_missing');
    // A commit is never split, so that each tree has its checkpoint; one that is longer than the limit comes whole.
    const last = from + read.length === end ? end : Math.max(first.tree, ...treesUpTo(read, from + read.length));
    const found = last === from + read.length ? read : await store.entries(from, last);
    const entries = found.filter(({ index }) => index < last);
    const ends = [...new Set(entries.map(({ tree }) => tree))];
    const checkpoints = await Promise.all(
      ends.map(async (treeEnd) => {
        const note = await store.checkpoint(treeEnd);
        if (note === undefined) throw new StoreFault('checkpoint_missing');
        return { end: treeEnd, note };
      }),
    );
    return {
      generation,
      base,
      from,
      entries: entries.map(({ record, disclosure }) => ({ record, disclosure })),
      checkpoints,
    };
  }

  /** The first entry of each log after a generation, and the later ones of its kind. */
  async function succession(head: Head, after: number): Promise<Receipt[]> {
    const logs = [...head.ended, head].filter(({ generation }) => generation > after).slice(0, mostLogs);
    const firsts = await Promise.all(logs.map(async ({ base }) => (await store.entries(base, base + 1))[0]));
    const claims = (await store.list({ type: 'roll', before: endOf(head), limit: mostClaims })).filter(
      ({ index, record }) => {
        const at = leafAt(head, index);
        return at.generation > after && at.index > 0 && parseRecord(record).state === 'begin';
      },
    );
    const found = [...firsts.filter((entry) => entry !== undefined), ...claims.reverse()];
    return Promise.all(
      found.map(async (entry) => {
        const { generation, index } = leafAt(head, entry.index);
        const log = signers.of(generation).signer.name;
        return { log, index, record: entry.record, proof: await proofOf(head, entry) };
      }),
    );
  }

  return {
    head: (deadline) => reading(deadline, () => store.head()),
    entries: (from, to, deadline) => reading(deadline, () => placedAll(records(from, to))),
    at: (positions, deadline) => reading(deadline, () => placedAll(entriesAt(store, positions))),
    checkpoint: (deadline, generation) =>
      reading(deadline, async () => {
        const head = await store.head();
        return checkpointOf(head, logOf(head, generation));
      }),
    treeAt: (end, deadline) => reading(deadline, () => store.checkpoint(end)),
    copy: (from, limit, deadline) => reading(deadline, async () => copyOf(await store.head(), from, limit)),
    succession: (after, deadline) => reading(deadline, async () => succession(await store.head(), after)),
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
    tile: (level, n, width, deadline, generation) =>
      reading(deadline, async () => {
        const { base, size } = logOf(await store.head(), generation);
        if (!reaches(size, level, n, width)) return undefined;
        return concat(...(await store.hashes(base, level, n * tileWidth, n * tileWidth + width)));
      }),
    bundle: (n, width, deadline, generation) =>
      reading(deadline, async () => {
        const { base, size } = logOf(await store.head(), generation);
        if (!reaches(size, 0, n, width)) return undefined;
        const entries = await records(base + n * tileWidth, base + n * tileWidth + width);
        return encodeBundle(entries.map(({ record }) => record));
      }),
  };
}
