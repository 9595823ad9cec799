import type { Deadline } from '../../lib/deadline.ts';
import { leafAt } from '../generation.ts';
import type { Head } from '../log-store.ts';
import type { Asked } from './catch-up.ts';

/** Positions up to which a question came, one in each log. */
export interface Places {
  readonly at: readonly number[];
  /** In which log of its ledger each lies; absent where that was not kept. */
  readonly generations?: readonly number[];
}

/** Places as they are there now. */
export interface FoundPlaces extends Required<Places> {
  /** The logs, by origin, that ended before these places, as those of a restored ledger may, and the position each did at. */
  readonly cut: Readonly<Record<string, number>>;
}

/** Finds them anew; one behind the end of its log is that end: what came since lies there. */
export async function findPlaces(
  logs: readonly Asked[],
  { at, generations }: Places,
  deadline: Deadline,
): Promise<FoundPlaces> {
  const found = await Promise.all(
    logs.map(async ({ origin, reader }, log) => {
      const head = await reader.head(deadline);
      const place = at[log] as number;
      const now = Math.min(place, endIn(head, generations?.[log]));
      return { origin, place, now, generation: leafAt(head, now).generation };
    }),
  );
  const cut = found.filter(({ place, now }) => now < place);
  return {
    at: found.map(({ now }) => now),
    generations: found.map(({ generation }) => generation),
    cut: Object.fromEntries(cut.map(({ origin, now }) => [origin, now])),
  };
}

/** Up to where the log of this generation goes, or the ledger where it has none such. */
function endIn({ base, size, ended }: Head, generation: number | undefined): number {
  const log = ended.find((one) => one.generation === generation);
  return log === undefined ? base + size : log.base + log.size;
}
