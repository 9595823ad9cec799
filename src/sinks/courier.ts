import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { UpstreamError } from '../lib/upstream.ts';
import { openWait } from '../lib/wait.ts';
import { pauseAsked } from './back-off.ts';
import type { SinkSettings } from './settings.ts';
import type { Sink } from './sink.ts';
import type { SinkSource } from './source.ts';

/** One sink and one ledger: what is carried from here to there. */
export interface Route {
  /** In the config. */
  readonly sink: string;
  readonly settings: SinkSettings;
  readonly source: SinkSource;
  /** Opens the sink once. */
  readonly open: () => Promise<Sink>;
  readonly now: () => number;
}

export interface Lag {
  /** Entries (of which a filter may leave some out). */
  readonly records: number;
  /** How long the oldest of them has waited, seconds. */
  readonly seconds: number;
}

/** `moved`: it got further; `idle`: nothing to do; `aside`: somebody else carries the same. */
export type Outcome = 'moved' | 'idle' | 'aside';

/** Carries a bounded piece by the deadline. Rejects where the other side, or the ledger, did not take or give it. */
export type Carry = (deadline: Deadline, tell: (lag: Lag) => void) => Promise<Outcome>;

/** Carries along one route, a bounded piece at a time, and never two pieces at once. */
export interface Courier {
  /**
   * Never rejects. Resolves at once while it waits for a sink that failed, and while another pass is under way. True where
   * there was more to carry than one pass may.
   */
  pass(deadline: Deadline): Promise<boolean>;
}

export interface CourierDeps {
  readonly now: () => number;
  readonly metrics: Metrics;
  readonly log: OperatorLog;
}

/** For how long whoever lost the cursor to another process leaves the work to it, milliseconds. */
const asideMs = 10_000;
/**
 * Of a connection that ended before its answer, as one that the other side had just put an end to: with a sink that answered
 * until then, the next one mostly does. Of any other failure nothing says so.
 */
const onItsWay: ReadonlySet<string> = new Set(['connection_reset', 'truncated']);
/** What does not go away by itself. */
const grave: ReadonlySet<string> = new Set(['denied', 'invalid', 'damaged']);
/** In one pass: each is about five calls, and an event of a Worker may make a thousand. */
const mostPieces = 50;
/** Less time than this is left to begin nothing, milliseconds. */
const leastMs = 500;

/** Makes a carrier wait after failures, counts them, and tells the lag in /metrics. */
export function openCourier(
  { sink, source }: Pick<Route, 'sink' | 'source'>,
  carry: Carry,
  deps: CourierDeps,
): Courier {
  const { now, metrics, log } = deps;
  const labels = { sink, log: source.name };
  let failures = 0;
  /** The last piece was lost on its way, and is tried again at once. */
  let lost = false;
  let mayGoOn = () => true;
  /** Of the pass that is under way: whether its time is over. */
  let busy: (() => boolean) | undefined;
  let oldest: number | undefined;

  function tell({ records, seconds }: Lag): void {
    oldest = records === 0 ? undefined : now() - seconds * 1000;
    metrics.set('hallpass_sink_lag_records', labels, records);
    metrics.set('hallpass_sink_lag_seconds', labels, Math.max(0, Math.round(seconds)));
  }

  /** @returns whether it may be tried again at once */
  function failed(error: unknown): boolean {
    const known = error instanceof UpstreamError || error instanceof Refusal;
    const fault = error instanceof UpstreamError ? error.fault : error instanceof Refusal ? error.code : 'internal';
    const { step, status, reason, retryAfter } =
      error instanceof UpstreamError ? error.facts : ({} as UpstreamError['facts']);
    metrics.add('hallpass_sink_failures_total', { ...labels, reason: fault });
    if (failures === 0 && !lost && reason !== undefined && onItsWay.has(reason)) {
      lost = true;
      return true;
    }
    failures++;
    const pause = pauseAsked(failures, retryAfter);
    mayGoOn = openWait(pause, now);
    log(grave.has(fault) || !known ? 'error' : 'warn', 'sink_failed', {
      sink,
      log: source.name,
      code: fault,
      count: failures,
      ms: Math.round(pause),
      ...(step !== undefined && { step }),
      ...(status !== undefined && { status }),
      ...(error instanceof Refusal ? { reason: error.reason } : reason !== undefined && { reason }),
    });
    return false;
  }

  function went(outcome: Outcome): boolean {
    if (failures > 0) log('info', 'sink_recovered', { sink, log: source.name, count: failures });
    failures = 0;
    lost = false;
    if (outcome === 'aside') mayGoOn = openWait(asideMs, now);
    return outcome === 'moved';
  }

  async function pass(deadline: Deadline): Promise<boolean> {
    if (!mayGoOn()) {
      if (oldest !== undefined) metrics.set('hallpass_sink_lag_seconds', labels, Math.round((now() - oldest) / 1000));
      return false;
    }
    for (let piece = 0; piece < mostPieces; piece++)
      if (deadline.left() <= leastMs || !(await carry(deadline, tell).then(went, failed))) return false;
    return true;
  }

  return {
    async pass(deadline) {
      // workerd ends work with the event that began it: such a pass never settles, and is over with its deadline.
      if (busy?.() === false) return false;
      const own = openWait(deadline.left(), now);
      busy = own;
      const more = await pass(deadline);
      if (busy === own) busy = undefined;
      return more;
    },
  };
}
