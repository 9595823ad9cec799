import type { Deadline } from '../../../lib/deadline.ts';
import type { Lockdown } from '../../../lib/lockdown.ts';
import { Refusal } from '../../../lib/refusal.ts';
import { parseInstant } from '../../../lib/time.ts';
import type { AppendRequest } from '../../ledger.ts';
import { type LedgerRecord, parseRecord, type RecordText } from '../../records/record.ts';
import { unavailable } from '../../unavailable.ts';

/**
 * A ledger that went on without its newest entries (restored, promoted) may have lost a lockdown with them, and counts the
 * next one by the same epoch: who heard of the lost one would take itself to know of it. So what was decided before a log
 * was replaced is believed once the ledger has been asked what is locked down.
 */
export interface EpochGuard {
  /** To be called as an append is sent, and what it gives once its receipts are checked. @throws Refusal stale */
  sending(request: AppendRequest): (deadline: Deadline) => Promise<void>;
  /** What the ledger said of an append. */
  hear(error: unknown): void;
}

export interface EpochGuardDeps {
  /** The newest log seen of each line. */
  readonly seen: () => ReadonlyMap<string, { readonly generation: number }>;
  /** An append under this policy that writes nothing and rejects with `stale`. */
  readonly ask: (policy: string | undefined, deadline: Deadline) => Promise<unknown>;
  readonly now: () => number;
}

/** By then whatever was decided under the lost lockdown has been answered, milliseconds. */
const mostPendingMs = 60_000;

// They are taken under any epoch.
const neverStale: ReadonlySet<LedgerRecord['type']> = new Set(['failure', 'revocation', 'denial'] as const);

interface Heard {
  readonly epoch: number;
  readonly lockdowns: readonly Lockdown[];
}

export function epochGuard({ seen, ask, now }: EpochGuardDeps): EpochGuard {
  let heard: Heard = { epoch: 0, lockdowns: [] };
  let known: ReadonlyMap<string, number> = new Map();
  /** How often what was heard turned out to be of a log that was replaced. */
  let turns = 0;
  let turned: { readonly refusal: Refusal; readonly until: number } | undefined;
  let asking: Promise<void> | undefined;

  /** In force, so that one that ended meanwhile makes no difference. */
  const inForce = ({ epoch, lockdowns }: Heard): string => {
    const standing = lockdowns.filter(({ until }) => until === undefined || now() < (parseInstant(until) ?? now() + 1));
    return JSON.stringify([epoch, ...standing.map(({ id }) => id).sort()]);
  };

  async function compare(policy: string | undefined, deadline: Deadline): Promise<void> {
    const refusal = await ask(policy, deadline).then(
      () => undefined,
      (error) => error,
    );
    const told = heardIn(refusal);
    if (told === undefined) throw unavailable('epoch_unheard', refusal);
    const before = heard;
    heard = told;
    if (inForce(before) === inForce(told)) return;
    turns++;
    // Under any other epoch the ledger itself says that it is stale.
    if (before.epoch === told.epoch) turned = { refusal: refusal as Refusal, until: now() + mostPendingMs };
  }

  return {
    hear(error) {
      heard = heardIn(error) ?? heard;
    },
    sending({ entries, epoch, policy }) {
      if (turned !== undefined && now() < turned.until && epoch === heard.epoch && entries.some(isBound))
        throw turned.refusal;
      const turn = turns;
      return async (deadline) => {
        const newest = new Map([...seen()].map(([line, { generation }]) => [line, generation]));
        const replaced = [...newest].some(([line, generation]) => generation > (known.get(line) ?? generation));
        if (replaced && heard.epoch > 0) {
          asking ??= compare(policy, deadline).finally(() => {
            asking = undefined;
          });
          await asking;
        }
        known = newest;
        if (turn !== turns) throw unavailable('decided_before_succession');
      };
    },
  };
}

const isBound = ({ record }: RecordText): boolean => !neverStale.has(parseRecord(record).type);

function heardIn(error: unknown): Heard | undefined {
  if (!(error instanceof Refusal) || error.code !== 'stale') return undefined;
  return error.options.members as unknown as Heard;
}
