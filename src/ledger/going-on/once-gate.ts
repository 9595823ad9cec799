import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseInstant } from '../../lib/time.ts';
import type { Ledger, Texts } from '../ledger.ts';
import { closingOf } from '../receipts/succession.ts';
import { parseRecord } from '../records/record.ts';
import { unavailable } from '../unavailable.ts';
import { onceTakenFrom } from './promote.ts';
import { spends } from './standby.ts';

/** Kept beside a ledger that was restored: how long a workload token lives at most, milliseconds. */
const lifeName = 'token-life';
/** Where nobody has said: 24 h, and an hour for clocks; milliseconds. */
export const usualLifeMs = 25 * 3_600_000;
/** Another process may hear of a gap: so long what was read is gone by, milliseconds. */
const freshMs = 10_000;
/** Newest records that are looked at: more logs are not begun within the life of a token. */
const rolls = 100;

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

/**
 * From when on a ledger takes tokens that may be used once, milliseconds since the epoch; undefined: no gap is known. Which
 * were spent in entries that its records name as lost nobody knows, so none is taken for as long as one from then may live.
 */
export async function onceFrom(ledger: Ledger, deadline: Deadline): Promise<number | undefined> {
  const named: number[] = [];
  for (const { reader } of logsOf(ledger)) {
    if (reader === undefined) throw unavailable('not_here');
    for (const { record } of await reader.list({ type: 'roll', limit: rolls }, deadline)) {
      const roll = parseRecord(record);
      const closing = closingOf(roll);
      // A promotion has its own time, and its own end of waiting.
      if (closing === undefined || closing.kept >= closing.size || roll.reason === 'promoted') continue;
      named.push(parseInstant(roll.time) as number);
    }
  }
  const life = Number((await textsOf(ledger).read(lifeName, deadline)) ?? usualLifeMs);
  const ends = named.map((time) => time + life);
  const promoted = await onceTakenFrom(ledger, deadline);
  const all = promoted === undefined ? ends : [...ends, promoted];
  return all.length === 0 ? undefined : Math.max(...all);
}

/** A ledger that refuses, after a restore that lost something, what may have been spent in it. Reads nothing before that. */
export function gateOnce(ledger: Ledger, now: () => number): Ledger {
  const { append, accept } = ledger;
  let openUntil = Number.NEGATIVE_INFINITY;

  async function admit(deadline: Deadline): Promise<void> {
    const at = now();
    if (at < openUntil && at >= openUntil - freshMs) return;
    const from = await onceFrom(ledger, deadline);
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
