import { sha256Url } from '../../lib/bytes.ts';
import { type CopiedEntry, fitting } from './copies.ts';

/** Which entries some copies have with what they disclosed, and others without: one sink is given it, another is not. */
export interface FullerCopies {
  note(copy: CopiedEntry): void;
  /** The copies but for those of which there is a fuller one. */
  of(copies: AsyncIterable<CopiedEntry>): AsyncIterable<CopiedEntry>;
}

export function openFullerCopies(): FullerCopies {
  /** Indices of entries that came without, by log. */
  const bare = new Map<string, Set<number>>();
  /** Of those that came with it besides, what the record is. */
  const fuller = new Map<string, string>();
  const keyOf = ({ log, leaf }: CopiedEntry): string => `${leaf} ${log}`;
  const isOutdone = (copy: CopiedEntry): boolean =>
    fuller.get(keyOf(copy)) === sha256Url(copy.record) && fitting(copy) === null;

  async function* fullest(copies: AsyncIterable<CopiedEntry>): AsyncGenerator<CopiedEntry> {
    for await (const copy of copies) if (!isOutdone(copy)) yield copy;
  }

  return {
    note(copy) {
      const { log, leaf, record } = copy;
      if (!record.includes('"who":')) return;
      if (fitting(copy) === null) bare.set(log, (bare.get(log) ?? new Set()).add(leaf));
      else if (bare.get(log)?.has(leaf) === true) fuller.set(keyOf(copy), sha256Url(record));
    },
    of: (copies) => (fuller.size === 0 ? copies : { [Symbol.asyncIterator]: () => fullest(copies) }),
  };
}
