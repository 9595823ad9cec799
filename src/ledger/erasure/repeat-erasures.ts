import type { Deadline } from '../../lib/deadline.ts';
import type { Entry, PlacedEntry } from '../ledger.ts';
import { disclosedIn } from '../questions/index-row.ts';
import { type Erased, type Erasing, eraseAt, saidBy, settleErased } from './erasing.ts';

const cursorName = 'erasures';
const page = 100;

/**
 * Erases in a copy of a ledger what the `erasure` records of one of its logs say was erased: those that came since this was
 * last done. Killed anywhere, it does so again. `endOf`: where what was copied of a log ends; what stands behind it is of
 * somebody else. Rejects with Refusal ledger_unavailable.
 */
export async function repeatErasures(
  log: Erasing,
  logs: readonly Erasing[],
  deadline: Deadline,
  endOf: (log: Erasing) => Promise<number> = (one) => hereOf(one, deadline),
): Promise<void> {
  const was = await log.texts.read(cursorName, deadline);
  const noted = Number(was ?? 0);
  // By what is no number, nothing would be erased.
  const from = Number.isSafeInteger(noted) ? noted : 0;
  const end = await endOf(log);
  if (end <= from) return;
  const touched = new Set<Erasing>();
  for (const { log: origin, positions } of (await recordsBetween(log, from, end, deadline)).flatMap(erasedBy)) {
    const target = logs.find((one) => one.origin === origin);
    if (target === undefined) continue;
    const targetEnd = await endOf(target);
    const here = positions.filter((one) => one < targetEnd);
    if (here.length > 0) await eraseAt(target, here, deadline);
    touched.add(target);
  }
  for (const target of touched) await settleErased(target, deadline);
  await log.texts.write(cursorName, was, String(end), deadline);
}

async function hereOf({ reader }: Erasing, deadline: Deadline): Promise<number> {
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
