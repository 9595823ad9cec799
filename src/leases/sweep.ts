import type { Ledger } from '../ledger/ledger.ts';
import { issuanceOf } from '../ledger/records/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { openWait } from '../lib/wait.ts';
import { type BackOff, openBackOff } from './back-off.ts';
import { type Due, openDueSearch } from './due.ts';
import { aboutOf, type EndingDeps, isOthers, openEnder, reasonOf } from './ending.ts';
import { inParallel } from './in-parallel.ts';
import { type Orphan, openOrphanSearch } from './orphans.ts';
import { readStory } from './story.ts';
import { openUnrevoked, type UnrevokedLease } from './unrevoked.ts';
import type { Unsettled } from './unsettled.ts';

export interface SweepOptions {
  /** Looks at the targets for accounts of ours whose issuance is over or in no ledger; `true` removes them. */
  readonly orphans?: boolean;
  /** Tries also what failed a moment ago. */
  readonly eager?: boolean;
}

export interface SweepReport {
  /** Leases that this pass ended. */
  readonly undone: number;
  /** Those it tried in vain. */
  readonly failed: readonly { readonly id: string; readonly credential: string; readonly reason: string }[];
  /** Leases that ended and are not known to be gone, after this pass. */
  readonly unrevoked: number;
  readonly orphans: readonly Orphan[];
}

export interface Sweeper {
  /**
   * One pass: settles what this process could not finish, intents without outcome that are older than any request can
   * be, leases past expiry, and what ended and is not known to be gone. Each is recorded. What fails comes again after a
   * wait, for ever. Safe beside others and to be killed anywhere: records are refused to who comes second, and undoing
   * twice does no harm. @throws Refusal ledger_unavailable, where a log of the ledger is away once what others have is ended
   */
  run(deadline: Deadline, options?: SweepOptions): Promise<SweepReport>;
  /** A page of what ended and is not known to be gone. `next`: more come after that index. @throws Refusal */
  list(
    deadline: Deadline,
    after?: number,
  ): Promise<{ readonly items: readonly UnrevokedLease[]; readonly next?: number | undefined }>;
}

export interface SweeperDeps extends EndingDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'pending' | 'elsewhere' | 'shards'>;
  /** `broker.url`. */
  readonly writer: string;
  readonly unsettled: Unsettled;
  readonly limits: { readonly requestMs: number; readonly ledgerMs: number; readonly mintMs: number };
  readonly random: (bytes: number) => Uint8Array;
  readonly metrics: Pick<Metrics, 'add' | 'set'>;
  readonly log: OperatorLog;
}

/** Leases ended at the same time. */
const atOnce = 8;
/** A target whose failures took this much of a pass is left to the next one, milliseconds. */
const slowMs = 10_000;
/** After as many records that the ledger did not take, the rest of a pass is left to the next one. */
const mostUnrecorded = 8;
/** How often a record tells of a lease that is still there, and when the ledger is asked again whether it may; milliseconds. */
const tellEvery = 3_600_000;
const askAgain = 300_000;
const mostKnown = 10_000;

/** What a pass has found so far. */
interface Pass {
  readonly deadline: Deadline;
  /** Until when leases are ended; the rest is for saying what came of it: targets that hang must not make a pass fail. */
  readonly ending: Deadline;
  undone: number;
  readonly failed: SweepReport['failed'][number][];
  /** Milliseconds that failures at a target took. */
  readonly slow: Map<string, number>;
  /** Records that the ledger did not take. */
  unrecorded: number;
}

export function openSweeper(deps: SweeperDeps): Sweeper {
  const { ledger, limits, unsettled, metrics, now, log } = deps;
  const ender = openEnder(deps);
  const search = openDueSearch(deps);
  const orphans = openOrphanSearch(deps, ender);
  const backOff: BackOff = openBackOff(() => (deps.random(1)[0] ?? 0) / 256);
  const unrevoked = openUnrevoked(deps, search, backOff);
  const busy = new Set<string>();
  /** Whether a record may tell again that a lease is still there. */
  const mayTell = new Map<string, () => boolean>();

  /** What is not to end before its time may still have it. */
  async function isExpired({ record, as }: Due, deadline: Deadline): Promise<boolean> {
    if (as === 'expired' || record.lease?.revocable === true) return as === 'expired';
    const { issuance } = aboutOf(record);
    const story = readStory(issuance, await ledger.issuance(issuance, deadline.within(limits.ledgerMs), search.writer));
    return story === undefined || story.expiresAt <= now();
  }

  async function settle(due: Due, pass: Pass): Promise<void> {
    const about = aboutOf(due.record);
    const { issuance, credential = '' } = about;
    const { deadline, ending } = pass;
    if (ending.left() <= 0 || pass.unrecorded >= mostUnrecorded) return;
    if (busy.has(issuance) || (pass.slow.get(credential) ?? 0) > slowMs) return;
    busy.add(issuance);
    const began = now();
    try {
      if (due.first !== undefined && !(await claim(due.first, about, deadline))) return;
      unsettled.forget(issuance);
      const expired = await isExpired(due, deadline);
      const outcome = await ender.end({ record: due.record, expired }, ending).catch((error) => {
        pass.slow.set(credential, (pass.slow.get(credential) ?? 0) + now() - began);
        return { reason: reasonOf(error) };
      });
      if (typeof outcome !== 'string') await keep(about, outcome.reason, pass);
      else if (outcome === 'gone') await finish(due, pass);
      else if (outcome === 'nothing' && expired) await finish({ ...due, as: 'expired' }, pass);
    } catch (error) {
      // The ledger did not take a record: it comes again from the start, which does no harm.
      const reason = reasonOf(error);
      pass.unrecorded++;
      pass.failed.push({ id: issuance, credential, reason });
      backOff.failed(issuance, reason, now());
      log('error', 'sweep_unrecorded', { issuance, credential, reason });
    } finally {
      busy.delete(issuance);
    }
  }

  /** Says first that it is over, so that a slow broker's own outcome is refused. False where another was first. */
  async function claim(type: 'failure' | 'revocation', about: ReturnType<typeof aboutOf>, deadline: Deadline) {
    try {
      await ender.record(type, 'abandoned', about, deadline);
      return true;
    } catch (error) {
      if (!isOthers(error)) throw error;
      unsettled.forget(about.issuance);
      return false;
    }
  }

  async function finish({ record, as }: Due, pass: Pass): Promise<void> {
    const about = aboutOf(record);
    const { issuance, credential = '' } = about;
    await ender.record('revocation', as, about, pass.deadline).catch((error) => {
      if (!isOthers(error)) throw error;
    });
    backOff.forget(issuance);
    mayTell.delete(issuance);
    pass.undone++;
    metrics.add('hallpass_sweep_undone_total', { credential, reason: as });
    log('info', 'lease_swept', { issuance, credential, reason: as });
  }

  /** It is still there: it comes again, and once an hour a record says so. */
  async function keep(about: ReturnType<typeof aboutOf>, reason: string, pass: Pass): Promise<void> {
    const { issuance, credential = '' } = about;
    pass.failed.push({ id: issuance, credential, reason });
    backOff.failed(issuance, reason, now());
    metrics.add('hallpass_sweep_failed_total', { credential });
    log('error', 'lease_unrevoked', { issuance, credential, reason });
    if (mayTell.get(issuance)?.() === false) return;
    if (mayTell.size >= mostKnown) mayTell.clear();
    try {
      await ender.record('revocation', 'unrevoked', about, pass.deadline);
      mayTell.set(issuance, openWait(tellEvery, now));
    } catch (error) {
      // Another told, less than an hour ago.
      if (isOthers(error)) mayTell.set(issuance, openWait(askAgain, now));
      else {
        pass.unrecorded++;
        log('error', 'sweep_unrecorded', { issuance, credential, reason: reasonOf(error) });
      }
    }
  }

  return {
    async run(deadline, { orphans: remove, eager = false } = {}) {
      const ending = deadline.within(deadline.left(), Math.min(limits.ledgerMs, deadline.left() / 4));
      const pass: Pass = { deadline, ending, undone: 0, failed: [], slow: new Map(), unrecorded: 0 };
      metrics.add('hallpass_sweep_passes_total');
      const { due: found, failed } = await search.find(deadline);
      const lastTried = ({ record }: Due) => backOff.get(issuanceOf(record) ?? '')?.at ?? 0;
      const due = found
        .filter(({ record }) => eager || backOff.isDue(issuanceOf(record) ?? '', now()))
        // What was never tried before what failed, so that what fails keeps nothing else waiting.
        .sort((one, other) => lastTried(one) - lastTried(other));
      await inParallel(due, atOnce, (one) => settle(one, pass));
      if (failed !== undefined) throw failed.error;
      const owed = found.length === 0 && !unrevoked.known ? 0 : await unrevoked.count(deadline);
      const strays = remove === undefined ? [] : await orphans(deadline, remove);
      return { undone: pass.undone, failed: pass.failed, unrevoked: owed, orphans: strays };
    },

    list: (deadline, after) => unrevoked.list(deadline, after),
  };
}
