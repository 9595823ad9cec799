import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseInstant } from '../../lib/time.ts';
import type { AppendRequest, Ledger, Texts } from '../ledger.ts';
import { closingOf } from '../receipts/succession.ts';
import { type LedgerRecord, parseRecord } from '../records/record.ts';
import { unavailable } from '../unavailable.ts';
import { onceTakenFrom } from './promotion.ts';

/** Kept beside a ledger that was restored: how long a workload token lives at most, milliseconds. */
const lifeName = 'token-life';
/** Where nobody has said: 24 h, and an hour for clocks; milliseconds. */
export const usualLifeMs = 25 * 3_600_000;
/** Another process may hear of a gap: so long what was read is gone by, milliseconds. */
const freshMs = 10_000;
/** Records of rolls that are read together. */
const page = 100;
/** How much earlier than one before it a roll may say it was, as clocks differ, milliseconds. */
const skewMs = 3_600_000;

const logsOf = (ledger: Ledger): readonly Ledger[] => ledger.shards ?? [ledger];

function textsOf(ledger: Ledger): Texts {
  const texts = logsOf(ledger)[0]?.texts;
  if (texts === undefined) throw unavailable('not_here');
  return texts;
}

/** Keeps how long tokens live, for all gaps that this ledger names. */
export async function keepTokenLife(ledger: Ledger, life: number, deadline: Deadline): Promise<void> {
  const texts = textsOf(ledger);
  const was = await texts.read(lifeName, deadline);
  if (was !== String(life)) await texts.write(lifeName, was, String(life), deadline);
}

/** When a log of a ledger said last that entries are lost, if one from then may live; milliseconds since the epoch. */
async function lastGapIn({ reader }: Ledger, alive: number, deadline: Deadline): Promise<number | undefined> {
  if (reader === undefined) throw unavailable('not_here');
  for (let before: number | undefined; ; ) {
    const some = await reader.list({ type: 'roll', limit: page, ...(before !== undefined && { before }) }, deadline);
    const told = some.map(({ record }) => parseRecord(record));
    const named = told.filter(isGap).map(timeOf);
    if (named.length > 0) return Math.max(...named);
    const oldest = told.at(-1);
    if (some.length < page || oldest === undefined || timeOf(oldest) + skewMs < alive) return undefined;
    before = some.at(-1)?.index;
  }
}

const timeOf = ({ time }: LedgerRecord): number => parseInstant(time) as number;

/** A promotion has its own time, and its own end of waiting. */
function isGap(roll: LedgerRecord): boolean {
  const closing = closingOf(roll);
  return closing !== undefined && closing.kept < closing.size && roll.reason !== 'promoted';
}

/**
 * From when on a ledger takes tokens that may be used once, milliseconds since the epoch; undefined: no gap is known. Which
 * were spent in entries that its records name as lost nobody knows, so none is taken for as long as one from then may live;
 * what is over by `now` may be left out.
 */
export async function onceFrom(
  ledger: Ledger,
  deadline: Deadline,
  now = Number.NEGATIVE_INFINITY,
): Promise<number | undefined> {
  const kept = Number((await textsOf(ledger).read(lifeName, deadline)) ?? usualLifeMs);
  // With what is no number, every token would be taken.
  const life = Number.isSafeInteger(kept) && kept > 0 ? kept : usualLifeMs;
  const ends: number[] = [];
  for (const log of logsOf(ledger)) {
    const named = await lastGapIn(log, now - life, deadline);
    if (named !== undefined) ends.push(named + life);
  }
  const promoted = await onceTakenFrom(ledger, deadline);
  const all = promoted === undefined ? ends : [...ends, promoted];
  return all.length === 0 ? undefined : Math.max(...all);
}

/** Whether an append spends a token, or says that one was spent. */
export const spends = ({ once, entries }: AppendRequest): boolean =>
  once !== undefined || entries.some(({ record }) => record.includes('"once":'));

/** A ledger that refuses, after a restore that lost something, what may have been spent in it. Reads nothing before that. */
export function gateOnce(ledger: Ledger, now: () => number): Ledger {
  const { append, accept } = ledger;
  let openUntil = Number.NEGATIVE_INFINITY;

  async function admit(deadline: Deadline): Promise<void> {
    const at = now();
    if (at < openUntil && at >= openUntil - freshMs) return;
    const from = await onceFrom(ledger, deadline, at);
    if (from !== undefined && at < from)
      throw new Refusal('ledger_unavailable', 'once_after_restore', { retryAfter: 60 });
    openUntil = at + freshMs;
  }

  return {
    ...ledger,
    async append(request, deadline) {
      if (spends(request)) await admit(deadline);
      return append(request, deadline);
    },
    ...(accept && {
      async accept(request, writer, deadline) {
        if (spends(request)) await admit(deadline);
        return accept(request, writer, deadline);
      },
    }),
  };
}
