import type { Lease } from '../credentials/kind.ts';
import { everyWriter } from '../ledger/ledger.ts';
import { parseRecord } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import { ulidTime } from '../lib/ulid.ts';
import { type Ender, isOthers, reasonOf } from './ending.ts';
import { inParallel } from './in-parallel.ts';
import type { SweeperDeps } from './sweep.ts';

/** An account of ours at a target that nobody holds. */
export interface Orphan {
  readonly credential: string;
  readonly issuance: string;
  readonly account?: string | undefined;
  /** `unknown`: no ledger that can be seen from here has its issuance. `over`: its issuance failed or ended long ago. */
  readonly state: 'unknown' | 'over';
  readonly removed: boolean;
}

/** A clock may be this far off, milliseconds. */
const skew = 60_000;
const atOnce = 8;

/** Asks the targets what they have of ours, and compares it with the ledger. */
export function openOrphanSearch(
  { ledger, credentials, limits, now, log, metrics }: SweeperDeps,
  ender: Ender,
): (deadline: Deadline, remove: boolean) => Promise<Orphan[]> {
  const here = ledger.elsewhere === undefined;

  async function stateOf(issuance: string, deadline: Deadline): Promise<Orphan['state'] | 'held'> {
    // A request that made it may not have recorded it yet.
    if (now() - ulidTime(issuance) <= limits.requestMs + skew) return 'held';
    const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs), here ? everyWriter : undefined);
    if (story.length === 0) return 'unknown';
    const over = story.some(({ record }) => {
      const { type, reason = '' } = parseRecord(record);
      return type === 'revocation'
        ? reason === 'done' || reason === 'expired'
        : type === 'failure' && reason !== 'abandoned';
    });
    return over ? 'over' : 'held';
  }

  async function remove(orphan: Orphan, lease: Lease, kind: string, deadline: Deadline): Promise<boolean> {
    const { credential: name, issuance, state } = orphan;
    // From here another broker's live account looks like one that no ledger knows.
    if (state === 'unknown' && !here) return false;
    try {
      const credential = await credentials.get(name)?.open();
      if (credential?.made !== 'target') return false;
      const about = { issuance, credential: name, kind };
      await ender.record(state === 'unknown' ? 'failure' : 'revocation', 'orphan', about, deadline).catch((error) => {
        // Its failure was written by an earlier sweep that did not get further.
        if (!isOthers(error)) throw error;
      });
      await credential.undo(lease, deadline.within(limits.mintMs));
      log('info', 'orphan_removed', { issuance, credential: name });
      return true;
    } catch (error) {
      log('error', 'orphan_kept', { issuance, credential: name, reason: reasonOf(error) });
      return false;
    }
  }

  return async (deadline, removing) => {
    const orphans: Orphan[] = [];
    for (const { name, kind, open } of credentials.values()) {
      let leases: readonly Lease[] = [];
      try {
        const credential = await open();
        if (credential.made !== 'target' || credential.accounts === undefined) continue;
        leases = await credential.accounts(deadline.within(limits.mintMs));
      } catch (error) {
        log('error', 'accounts_unlisted', { credential: name, reason: reasonOf(error) });
        continue;
      }
      await inParallel(leases, atOnce, async (lease) => {
        const { issuance, account } = lease;
        const state = await stateOf(issuance, deadline);
        if (state === 'held') return;
        const orphan = { credential: name, issuance, account, state, removed: false };
        const removed = removing && (await remove(orphan, lease, kind, deadline));
        orphans.push({ ...orphan, removed });
        metrics.add('hallpass_sweep_orphans_total', { credential: name });
      });
    }
    return orphans;
  };
}
