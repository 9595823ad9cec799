import { before, type Deadline } from '../../lib/deadline.ts';
import { type Erasing, erasingOf } from '../erasure/erasing.ts';
import { repeatErasures } from '../erasure/repeat-erasures.ts';
import type { Ledger } from '../ledger.ts';
import { endOf } from '../log/draft.ts';
import { unavailable } from '../unavailable.ts';
import { logsOf, type Promotion, promotionIn, promotionName } from './promotion.ts';

/** Whether an entry says that something was erased: nobody may be told so before it is erased here too. */
export const saysErased = ({ record }: { readonly record: string }): boolean => record.includes('"type":"erasure"');

/** Does what it can of that in so many milliseconds. What fails is done later: it keeps nobody waiting. */
export const withinMs = (
  ms: number,
  deadline: Deadline,
  erase: (deadline: Deadline) => Promise<void>,
): Promise<void> => {
  const limit = deadline.within(ms);
  return before(
    limit,
    () => unavailable('timeout'),
    async () => erase(limit),
  ).catch(() => {});
};

/**
 * Erases in a ledger whose logs have ended by a promotion what the other had erased. What was appended since is at positions
 * that the other may have given to entries which never came here. Rejects with Refusal ledger_unavailable.
 */
export async function repeatFollowed(
  ledger: Ledger,
  { ends }: Pick<Promotion, 'ends'>,
  deadline: Deadline,
): Promise<void> {
  const origins = logsOf(ledger).map(({ origin }) => origin);
  const logs = erasingOf(ledger);
  async function followedOf({ origin, reader }: Erasing): Promise<number> {
    const head = await reader.head(deadline);
    const last = ends[origins.indexOf(origin)];
    return endOf(head.ended.find(({ generation }) => generation === last) ?? head);
  }
  for (const log of logs) await repeatErasures(log, logs, deadline, followedOf);
}

/** Likewise in a ledger that may have been promoted, by this process or another. */
export async function repeatLeft(ledger: Ledger, deadline: Deadline): Promise<void> {
  const promotion = promotionIn(await logsOf(ledger)[0]?.texts?.read(promotionName, deadline));
  if (promotion?.done === true) await repeatFollowed(ledger, promotion, deadline);
}
