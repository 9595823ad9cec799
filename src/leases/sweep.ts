import { everyWriter, type Ledger, pendingPage } from '../ledger/ledger.ts';
import type { PendingState } from '../ledger/log-store.ts';
import { issuanceOf, type LedgerRecord, parseRecord } from '../ledger/record.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { instant, parseInstant } from '../lib/time.ts';
import { type BackOff, openBackOff } from './back-off.ts';
import { aboutOf, type EndingDeps, isOthers, openEnder, reasonOf } from './ending.ts';
import { inParallel } from './in-parallel.ts';
import { type Orphan, openOrphanSearch } from './orphans.ts';
import { readStory } from './story.ts';
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

export interface UnrevokedLease {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  readonly account?: string | undefined;
  readonly expiresAt: string;
  /** Why it was to end: `requested`, `ordered`, `expired`, `abandoned`. */
  readonly reason: string;
  readonly since: string;
  /** The last attempt of this process. */
  readonly failed?: { readonly reason: string; readonly at: string; readonly tries: number };
}

export interface Sweeper {
  /**
   * One pass: settles what this process could not finish, intents without outcome that are older than any request can
   * be, leases past expiry, and what ended and is not known to be gone. Each is recorded. What fails comes again after a
   * wait, for ever. Safe beside others and to be killed anywhere: records are refused to who comes second, and undoing
   * twice does no harm. @throws Refusal ledger_unavailable
   */
  run(deadline: Deadline, options?: SweepOptions): Promise<SweepReport>;
  /** A page of what ended and is not known to be gone. `next`: more come after that index. @throws Refusal */
  list(
    deadline: Deadline,
    after?: number,
  ): Promise<{ readonly items: readonly UnrevokedLease[]; readonly next?: number | undefined }>;
}

export interface SweeperDeps extends EndingDeps {
  readonly ledger: Pick<Ledger, 'issuance' | 'pending' | 'elsewhere'>;
  /** `broker.url`. */
  readonly writer: string;
  readonly unsettled: Unsettled;
  readonly limits: { readonly requestMs: number; readonly ledgerMs: number; readonly mintMs: number };
  readonly random: (bytes: number) => Uint8Array;
  readonly metrics: Pick<Metrics, 'add' | 'set'>;
  readonly log: OperatorLog;
}

/** A clock may be this far off, milliseconds. */
const skew = 60_000;
/** Another broker's intents, made under this very policy, are its own business for this long; its limits may be others. */
const othersMs = 900_000;
/** Leases ended at the same time. */
const atOnce = 8;
/** A target whose failures took this much of a pass is left to the next one, milliseconds. */
const slowMs = 10_000;
/** After as many records that the ledger did not take, the rest of a pass is left to the next one. */
const mostUnrecorded = 8;
/** Pages of one state looked at in one pass; the next pass goes on from there. */
const mostPages = 100;

/** How often a record tells of a lease that is still there, and when the ledger is asked again whether it may; milliseconds. */
const tellEvery = 3_600_000;
const askAgain = 300_000;
const mostKnown = 10_000;

/** Something to be ended: what is recorded first, and as what once it is gone. */
interface Due {
  readonly record: LedgerRecord;
  readonly first?: 'failure' | 'revocation';
  readonly as: 'done' | 'expired';
}

/** What a pass has found so far. */
interface Pass {
  readonly deadline: Deadline;
  undone: number;
  readonly failed: SweepReport['failed'][number][];
  /** Milliseconds that failures at a target took. */
  readonly slow: Map<string, number>;
  /** Records that the ledger did not take. */
  unrecorded: number;
}

export function openSweeper(deps: SweeperDeps): Sweeper {
  const { ledger, limits, credentials, policy, unsettled, metrics, now, log } = deps;
  const ender = openEnder(deps);
  const orphans = openOrphanSearch(deps, ender);
  const backOff: BackOff = openBackOff(() => (deps.random(1)[0] ?? 0) / 256);
  // Through HTTP a writer sees its own alone.
  const writer = ledger.elsewhere === undefined ? everyWriter : deps.writer;
  const busy = new Set<string>();
  /** When a record may next tell that a lease is still there. */
  const tellAt = new Map<string, number>();
  const from = new Map<PendingState, number>();
  const gauged = new Set<string>();

  /** Another broker's too, where it was made under this very policy: the same credentials, so the same targets. */
  const isOurs = ({ writer: { name }, policy: hash }: LedgerRecord): boolean =>
    name === deps.writer || hash === policy.hash;

  async function pending(state: PendingState, deadline: Deadline): Promise<LedgerRecord[]> {
    const records: LedgerRecord[] = [];
    let after = from.get(state) ?? -1;
    for (let pages = 0; pages < mostPages; pages++) {
      const page = await ledger.pending(state, deadline.within(limits.ledgerMs), { writer, after });
      records.push(...page.map(({ record }) => parseRecord(record)).filter(isOurs));
      const last = page.length < pendingPage ? undefined : page.at(-1)?.index;
      after = last ?? -1;
      if (last === undefined) break;
    }
    from.set(state, after);
    return records;
  }

  /** What this process could not finish, by what the ledger has of it. */
  async function left(issuance: string, deadline: Deadline): Promise<Due[]> {
    const story = await ledger.issuance(issuance, deadline.within(limits.ledgerMs));
    const records = story.map(({ record }) => parseRecord(record));
    const landed = records.find(({ type }) => type === 'issuance');
    const record = landed ?? records.find(({ type }) => type === 'intent');
    const over = records.some(({ type }) => type === 'failure' || type === 'revocation');
    if (record === undefined || over) {
      unsettled.forget(issuance);
      return [];
    }
    return [{ record, first: landed === undefined ? 'failure' : 'revocation', as: 'done' }];
  }

  async function find(deadline: Deadline): Promise<Due[]> {
    const due: Due[] = [];
    for (const issuance of unsettled.list()) due.push(...(await left(issuance, deadline)));
    for (const record of await pending('open', deadline)) {
      const grace = limits.requestMs + (record.writer.name === deps.writer ? skew : othersMs);
      const old = now() - (parseInstant(record.time) ?? now()) > grace;
      if (old) due.push({ record, first: 'failure', as: 'done' });
    }
    for (const record of await pending('expired', deadline)) due.push({ record, as: 'expired' });
    for (const record of await pending('unrevoked', deadline)) due.push({ record, as: 'done' });
    return due;
  }

  /** What is not to end before its time may still have it. */
  async function isExpired({ record, as }: Due, deadline: Deadline): Promise<boolean> {
    if (as === 'expired' || record.lease?.revocable === true) return as === 'expired';
    const { issuance } = aboutOf(record);
    const story = readStory(issuance, await ledger.issuance(issuance, deadline.within(limits.ledgerMs), writer));
    return story === undefined || story.expiresAt <= now();
  }

  async function settle(due: Due, pass: Pass): Promise<void> {
    const about = aboutOf(due.record);
    const { issuance, credential = '' } = about;
    const { deadline } = pass;
    if (deadline.left() <= 0 || pass.unrecorded >= mostUnrecorded) return;
    if (busy.has(issuance) || (pass.slow.get(credential) ?? 0) > slowMs) return;
    busy.add(issuance);
    const began = now();
    try {
      if (due.first !== undefined && !(await claim(due.first, about, deadline))) return;
      unsettled.forget(issuance);
      const expired = await isExpired(due, deadline);
      const outcome = await ender.end({ record: due.record, expired }, deadline).catch((error) => {
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
    tellAt.delete(issuance);
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
    if (now() < (tellAt.get(issuance) ?? 0)) return;
    if (tellAt.size >= mostKnown) tellAt.clear();
    try {
      await ender.record('revocation', 'unrevoked', about, pass.deadline);
      tellAt.set(issuance, now() + tellEvery);
    } catch (error) {
      // Another told, less than an hour ago.
      if (isOthers(error)) tellAt.set(issuance, now() + askAgain);
      else {
        pass.unrecorded++;
        log('error', 'sweep_unrecorded', { issuance, credential, reason: reasonOf(error) });
      }
    }
  }

  /** Those that share what was made and ended before their time are no debt, nor is what no target knows of. */
  async function isDebt({ credential: name, lease }: LedgerRecord): Promise<boolean> {
    if (lease?.revocable === true) return true;
    const opened = credentials.get(name ?? '')?.open();
    const credential = await opened?.catch(() => undefined);
    return credential === undefined || (credential.made === 'read' && credential.end !== undefined);
  }

  async function countUnrevoked(deadline: Deadline): Promise<number> {
    const counts = new Map<string, number>([...gauged].map((credential) => [credential, 0]));
    let all = 0;
    for (const record of await pending('unrevoked', deadline)) {
      if (!(await isDebt(record))) continue;
      const { credential = '' } = record;
      counts.set(credential, (counts.get(credential) ?? 0) + 1);
      all++;
    }
    for (const [credential, count] of counts) {
      gauged.add(credential);
      metrics.set('hallpass_leases_unrevoked', { credential }, count);
    }
    return all;
  }

  return {
    async run(deadline, { orphans: remove, eager = false } = {}) {
      const pass: Pass = { deadline, undone: 0, failed: [], slow: new Map(), unrecorded: 0 };
      metrics.add('hallpass_sweep_passes_total');
      const found = await find(deadline);
      const lastTried = ({ record }: Due) => backOff.get(issuanceOf(record) ?? '')?.at ?? 0;
      const due = found
        .filter(({ record }) => eager || backOff.isDue(issuanceOf(record) ?? '', now()))
        // What was never tried before what failed, so that what fails keeps nothing else waiting.
        .sort((one, other) => lastTried(one) - lastTried(other));
      await inParallel(due, atOnce, (one) => settle(one, pass));
      const unrevoked = found.length === 0 && gauged.size === 0 ? 0 : await countUnrevoked(deadline);
      const strays = remove === undefined ? [] : await orphans(deadline, remove);
      return { undone: pass.undone, failed: pass.failed, unrevoked, orphans: strays };
    },

    async list(deadline, after = -1) {
      const page = await ledger.pending('unrevoked', deadline.within(limits.ledgerMs), { writer, after });
      const items: UnrevokedLease[] = [];
      await inParallel(page, atOnce, async ({ record: text }) => {
        const record = parseRecord(text);
        if (isOurs(record) && (await isDebt(record))) items.push(await show(record, deadline));
      });
      items.sort((one, other) => (one.id < other.id ? -1 : 1));
      return { items, next: page.length < pendingPage ? undefined : page.at(-1)?.index };
    },
  };

  async function show(record: LedgerRecord, deadline: Deadline): Promise<UnrevokedLease> {
    const { issuance: id, credential = '', kind = '' } = aboutOf(record);
    const story = await ledger.issuance(id, deadline.within(limits.ledgerMs), writer);
    const records = story.map((entry) => parseRecord(entry.record));
    const first = records.find(({ type }) => type === 'failure' || type === 'revocation') ?? record;
    const attempt = backOff.get(id);
    return {
      id,
      credential,
      kind,
      account: record.lease?.account,
      expiresAt: instant(readStory(id, story)?.expiresAt ?? parseInstant(record.lease?.expiresAt ?? '') ?? 0),
      // Where nobody asked for it, its time was over.
      reason: first.reason === 'unrevoked' ? 'expired' : (first.reason ?? 'requested'),
      since: first.time,
      ...(attempt && { failed: { reason: attempt.reason, at: instant(attempt.at), tries: attempt.tries } }),
    };
  }
}
