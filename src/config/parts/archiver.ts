import { type Archivable, archivableOf, archiveLog, ShelfTaken } from '../../ledger/going-on/archive.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Deadline } from '../../lib/deadline.ts';
import type { Metrics } from '../../lib/metrics.ts';
import { once } from '../../lib/once.ts';
import type { LogFacts, Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { openWait } from '../../lib/wait.ts';
import type { SessionDeps } from '../../sessions/session.ts';
import { type ArchiveConfig, configuredPlace, openShelf } from './archive-place.ts';

/** Puts closed logs where `ledger.archive` says, a piece in each turn. */
export interface Archiver {
  /** One turn. Never rejects: what fails is told, and tried again in the next one. */
  run(deadline: Deadline): Promise<void>;
  /** Begins nothing more, and tells nothing of what is cut off. */
  stop(): void;
}

export interface ArchiverDeps {
  readonly config: ArchiveConfig;
  /** What proves us to the cloud that it lies in. */
  readonly assert?: SessionDeps['assert'];
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  /** Whether it is not for this process yet: a standby leaves it to the one it follows. */
  readonly waiting?: (deadline: Deadline) => Promise<boolean>;
}

/** The most that one read or write may take, and what is left of a turn to write down how far it is; milliseconds. */
const stepMs = 10_000;
const noteMs = 500;
/** Less time than this is left to begin nothing, milliseconds. */
const leastMs = 2_000;
/** Asked for this often in one turn on workerd, which bounds how many requests one event may make. */
const mostPieces = 40;

export function buildArchiver(platform: Platform, deps: ArchiverDeps): Archiver {
  const { config, assert, ledger, metrics, waiting } = deps;
  const { now, log } = platform;
  const logs = archivableOf(ledger);
  const shelf = once(async () =>
    openShelf(await configuredPlace(config, platform.folder), { ...platform, ...(assert && { assert }) }),
  );
  /** Of which logs this process has seen that what was put there is there. */
  const looked = new Set<string>();
  /** What was told last of a log that cannot be archived. */
  const told = new Map<string, string>();
  /** Of the turn that is under way: whether its time is over. */
  let busy: (() => boolean) | undefined;
  let stopped = false;
  let next = 0;

  async function pass(one: Archivable, turn: Deadline): Promise<void> {
    const { origin } = one;
    let pieces = platform.runtime === 'workerd' ? mostPieces : Number.POSITIVE_INFINITY;
    const timely = () => !stopped && turn.left() > leastMs;
    if (!timely()) return;
    try {
      await archiveLog(one, await shelf(), {
        look: !looked.has(origin),
        more: () => timely() && pieces-- > 0,
        deadline: () => turn.within(stepMs, timely() ? noteMs : 0),
        tell(behind, finished) {
          metrics.set('hallpass_ledger_archive_lag_logs', { log: origin }, behind);
          if (finished !== undefined) log('info', 'log_archived', finished);
        },
      });
      looked.add(origin);
      if (told.delete(origin)) log('info', 'archive_recovered', { log: origin });
    } catch (error) {
      if (stopped) return;
      const facts = factsOf(error);
      metrics.add('hallpass_ledger_archive_failures_total', { log: origin, reason: facts.code });
      const change = JSON.stringify(facts);
      if (told.get(origin) !== change)
        log(lasting.has(facts.code) ? 'error' : 'warn', 'archive_failed', { log: origin, ...facts });
      told.set(origin, change);
    }
  }

  return {
    async run(deadline) {
      if (stopped || busy?.() === false) return;
      const own = openWait(deadline.left(), now);
      busy = own;
      // Each turn begins with another log, so that one of several shards keeps none from its own.
      const order = [...logs.slice(next), ...logs.slice(0, next)];
      next = (next + 1) % Math.max(1, logs.length);
      if (!(await waiting?.(deadline).catch(() => true))) for (const one of order) await pass(one, deadline);
      if (busy === own) busy = undefined;
    },
    stop() {
      stopped = true;
    },
  };
}

/** Faults that no waiting mends. */
const lasting: ReadonlySet<string> = new Set(['denied', 'invalid', 'taken', 'internal']);

function factsOf(error: unknown): LogFacts & { readonly code: string } {
  if (error instanceof ShelfTaken) return { code: 'taken', path: error.path };
  if (error instanceof Refusal) return { code: error.code, reason: error.reason };
  if (!(error instanceof UpstreamError))
    return { code: 'internal', ...(error instanceof Error && { error: error.message }) };
  const { step, status, reason } = error.facts;
  return {
    code: error.fault,
    ...(step !== undefined && { step }),
    ...(status !== undefined && { status }),
    ...(reason !== undefined && { reason }),
  };
}
