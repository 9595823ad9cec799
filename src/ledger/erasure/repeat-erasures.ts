import type { Deadline } from '../../lib/deadline.ts';
import type { Entry, PlacedEntry } from '../ledger.ts';
import { disclosedIn } from '../questions/index-row.ts';
import { type Erased, type Erasing, eraseAt, saidBy, settleErased } from './erasing.ts';

const cursorName = 'erasures';
const page = 100;

/** Of a log that is still copied: where each of its `erasure` records was looked at, what was here of the log it names. */
export type Looked = Map<number, number>;

/**
 * Erases in a copy of a ledger what the `erasure` records of one of its logs say was erased: those that came since this was
 * last done. Killed anywhere, it does so again. `endOf`: where what was copied of a log ends; what stands behind it is of
 * somebody else. `looked`: more is still copied, and a record that names what is not here yet is looked at again. Rejects
 * with Refusal ledger_unavailable.
 */
export async function repeatErasures(
  log: Erasing,
  logs: readonly Erasing[],
  deadline: Deadline,
  endOf: (log: Erasing) => Promise<number> = (one) => hereOf(one, deadline),
  looked?: Looked,
): Promise<void> {
  const was = await log.texts.read(cursorName, deadline);
  const noted = Number(was ?? 0);
  // By what is no number, nothing would be erased.
  const from = Number.isSafeInteger(noted) ? noted : 0;
  const end = await endOf(log);
  if (end <= from) return;
  const touched = new Set<Erasing>();
  const done: Looked = new Map();
  let next = end;
  for (const entry of await recordsBetween(log, from, end, deadline)) {
    for (const { log: origin, positions } of erasedBy(entry)) {
      const target = logs.find((one) => one.origin === origin);
      if (target === undefined) continue;
      const targetEnd = await endOf(target);
      const before = looked?.get(entry.index);
      const here = positions.filter((one) => one >= (before ?? 0) && one < targetEnd);
      if (here.length > 0) await eraseAt(target, here, deadline);
      if (here.length > 0 || before === undefined) touched.add(target);
      done.set(entry.index, targetEnd);
      if (looked !== undefined && positions.some((one) => one >= targetEnd)) next = Math.min(next, entry.index);
    }
  }
  for (const target of touched) await settleErased(target, deadline);
  for (const [index, targetEnd] of done) looked?.set(index, targetEnd);
  if (String(next) !== was) await log.texts.write(cursorName, was, String(next), deadline);
  for (const index of looked?.keys() ?? []) if (index < next) looked?.delete(index);
}

/** Where what is here of a log ends. Rejects with Refusal ledger_unavailable. */
export async function hereOf({ reader }: Pick<Erasing, 'reader'>, deadline: Deadline): Promise<number> {
  const { base, size } = await reader.head(deadline);
  return base + size;
}

/** The `erasure` records from a position on and before another, the oldest first. */
async function recordsBetween(
  { reader }: Erasing,
  from: number,
  end: number,
  deadline: Deadline,
): Promise<PlacedEntry[]> {
  const found: PlacedEntry[] = [];
  for (let before: number | undefined; ; ) {
    const some = await reader.list({ type: 'erasure', limit: page, ...(before !== undefined && { before }) }, deadline);
    found.push(...some.filter(({ index }) => index >= from && index < end));
    before = some.at(-1)?.index;
    if (some.length < page || (before ?? 0) < from) return found.reverse();
  }
}

/** What a record says was erased; nothing where its own disclosure is gone: then another record says it again. */
const erasedBy = ({ disclosure }: Entry): readonly Erased[] =>
  saidBy({ type: 'erasure', disclosed: disclosedIn(disclosure) });
