import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { Entry, PlacedEntry } from '../ledger.ts';
import { disclosedIn } from '../questions/index-row.ts';
import { type Erasing, eraseAt, settleErased } from './erasing.ts';

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
  const from = Number(was ?? 0);
  const end = await endOf(log);
  if (end <= from) return;
  const touched = new Set<Erasing>();
  for (const entry of await recordsBetween(log, from, end, deadline)) {
    const { origin, positions } = erasedBy(entry);
    const target = logs.find((one) => one.origin === origin);
    if (target === undefined || positions.length === 0) continue;
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

/** Which entries of which log a record says were erased; none where its own disclosure is gone. */
function erasedBy({ disclosure }: Entry): { readonly origin: unknown; readonly positions: readonly number[] } {
  const { query } = disclosedIn(disclosure);
  const { log: origin, positions } = isJsonObject(query) ? query : {};
  return { origin, positions: Array.isArray(positions) ? positions.filter((one) => typeof one === 'number') : [] };
}
