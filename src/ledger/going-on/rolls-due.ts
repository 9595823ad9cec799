import type { Deadline } from '../../lib/deadline.ts';
import { parseDuration, parseInstant } from '../../lib/time.ts';
import type { Ledger, Rolled } from '../ledger.ts';
import { parseRecord } from '../records/record.ts';

/** When a log is due to roll. */
export interface RollTerms {
  /** Milliseconds. */
  readonly every?: number;
  readonly entries?: number;
}

/** The `roll` of a ledger's config; undefined where it rolls only when told. */
export function rollTerms({ roll }: Readonly<Record<string, unknown>>): RollTerms | undefined {
  if (roll === undefined) return undefined;
  const { every, entries } = roll as { readonly every?: string; readonly entries?: number };
  const seconds = every === undefined ? undefined : parseDuration(every);
  return { ...(seconds !== undefined && { every: seconds * 1000 }), ...(entries !== undefined && { entries }) };
}

/** Rolls each log of the ledger that is due; one that has nothing but its own first entry never is. */
export async function rollDue(ledger: Ledger, terms: RollTerms, now: number, deadline: Deadline): Promise<Rolled[]> {
  const done: Rolled[] = [];
  for (const log of ledger.shards ?? [ledger]) {
    if (log.roll === undefined || log.reader === undefined) continue;
    const { generation, base, size } = await log.reader.head(deadline);
    if (size < 2) continue;
    const full = terms.entries !== undefined && size >= terms.entries;
    if (!full && !(await isOld(log.reader, base, terms, now, deadline))) continue;
    done.push(await log.roll({ generation, reason: 'due' }, deadline));
  }
  return done;
}

async function isOld(
  reader: NonNullable<Ledger['reader']>,
  base: number,
  { every }: RollTerms,
  now: number,
  deadline: Deadline,
): Promise<boolean> {
  if (every === undefined) return false;
  const [first] = await reader.entries(base, base + 1, deadline);
  return first !== undefined && now - (parseInstant(parseRecord(first.record).time) as number) >= every;
}
