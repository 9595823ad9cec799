import type { KeyLog } from '../../keys/live-ring.ts';
import type { KeyFact, PublishedKey } from '../../keys/standing.ts';
import type { Entry, KeyRecord, OwnKeys } from '../../ledger/ledger.ts';
import { parseRecord } from '../../ledger/records/record.ts';
import { parseInstant } from '../../lib/time.ts';

/** Of a log's keys, those that prove this deployment to others: they alone rotate. */
export const rotating = 'assertions';

const pageSize = 1000;

/** The beginnings and ends of this deployment's keys, as its own log has them. */
export function followLog(keys: OwnKeys): KeyLog {
  let from = 0;
  let known = 0;

  return {
    async news(deadline) {
      const facts: KeyFact[] = [];
      let next = from;
      for (;;) {
        const page = await keys.list(next, deadline);
        facts.push(...page.flatMap(factOf));
        next = (page.at(-1)?.index ?? next - 1) + 1;
        if (page.length < pageSize) break;
      }
      // Only now: what a failure cut short is read again.
      from = next;
      known += facts.length;
      return facts;
    },
    async write(begin, end, deadline) {
      // The first keys of a log are recorded with its first record; one that follows another must be announced before.
      if (known === 0 && !hasNext(begin)) return;
      await keys.record(begin.map(recordOf), end.map(recordOf), deadline);
    },
  };
}

/** Of each algorithm one key signs: a second one is the next. */
const hasNext = (begin: readonly PublishedKey[]): boolean =>
  new Set(begin.map(({ jwk }) => jwk.alg)).size < begin.length;

export const recordOf = ({ kid, jwk }: PublishedKey): KeyRecord => ({ purpose: rotating, kid, jwk });

function factOf({ record }: Entry): KeyFact[] {
  const { purpose, kid, jwk, state, time } = parseRecord(record);
  if (purpose !== rotating || kid === undefined || jwk === undefined) return [];
  return [{ kid, jwk, state: state === 'end' ? 'end' : 'begin', at: parseInstant(time) ?? 0 }];
}
