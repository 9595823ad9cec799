import { endOf } from '../log/draft.ts';
import { rowOf } from '../questions/index-row.ts';
import type { Finding } from './derive.ts';
import type { VerifyIndex, VerifySource } from './source.ts';

/** Entries. */
const readAtOnce = 2_048;
/** Before another look at what differs, as a server forgets what it erases a moment before it erases it; milliseconds. */
const pausesMs = [0, 50, 1_000] as const;

/** Thrown for an index that cannot be read as one; says why in a stable word. */
export class IndexDamaged extends Error {
  override readonly name = 'IndexDamaged';
}

/**
 * Compares the index that questions are answered from with the entries, as far as it has seen them: an entry that it has
 * otherwise, or not, is left out of answers. Rejects with StoreFault.
 */
export async function checkIndex(
  source: Pick<VerifySource, 'head' | 'entries'>,
  index: VerifyIndex,
  report: (finding: Finding) => void,
): Promise<void> {
  const tell = (message: string, position?: number) =>
    report({ ...(position !== undefined && { index: position }), code: 'index_differs', message });
  try {
    const seen = await index.seen();
    const end = endOf(await source.head());
    if (!(seen >= 0 && seen <= end)) tell(`the index says that it has seen ${seen} entries, and there are ${end}`);
    let pauses: readonly number[] = pausesMs;
    for (let from = 0; from < Math.min(seen, end); from += readAtOnce) {
      const span = [from, Math.min(seen, end, from + readAtOnce)] as const;
      const others = async () => index.others((await source.entries(...span)).map(rowOf));
      let found = await others();
      for (const ms of pauses) {
        if (found.length === 0) break;
        await new Promise((resolve) => setTimeout(resolve, ms));
        const still = new Set(await others());
        found = found.filter((position) => still.has(position));
      }
      if (found.length > 0) pauses = pausesMs.slice(0, 1);
      for (const position of found) tell('the index has this entry otherwise, and answers may leave it out', position);
    }
    for (const message of await index.oddities()) tell(message);
    if ((await index.seen()) < seen) tell('the index was emptied meanwhile, to be built anew: verify once more');
  } catch (error) {
    if (!(error instanceof IndexDamaged)) throw error;
    tell(`the index cannot be read: ${error.message}`);
  }
}
