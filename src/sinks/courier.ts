import type { Deadline } from '../lib/deadline.ts';
import type { Metrics } from '../lib/metrics.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { UpstreamError } from '../lib/upstream.ts';
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
  /** Never rejects. Resolves at once while it waits for a sink that failed, and while another pass is under way. */
  pass(deadline: Deadline): Promise<void>;
}

export interface CourierDeps {
  readonly now: () => number;
  readonly metrics: Metrics;
  readonly log: OperatorLog;
}

/** For how long whoever lost the cursor to another process leaves the work to it, milliseconds. */
const asideMs = 10_000;
/** In one pass. */
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
  let notBefore = Number.NEGATIVE_INFINITY;
  /** Until when the pass that is under way goes on. */
  let busyUntil = Number.NEGATIVE_INFINITY;
  let oldest: number | undefined;

  function tell({ records, seconds }: Lag): void {
    oldest = records === 0 ? undefined : now() - seconds * 1000;
    metrics.set('hallpass_sink_lag_records', labels, records);
    metrics.set('hallpass_sink_lag_seconds', labels, Math.max(0, Math.round(seconds)));
  }

  function failed(error: unknown): void {
    failures++;
    const known = error instanceof UpstreamError || error instanceof Refusal;
    const fault = error instanceof UpstreamError ? error.fault : error instanceof Refusal ? error.code : 'internal';
    const { step, status, reason, retryAfter } =
      error instanceof UpstreamError ? error.facts : ({} as UpstreamError['facts']);
    notBefore = now() + pauseAsked(failures, retryAfter);
    metrics.add('hallpass_sink_failures_total', { ...labels, reason: fault });
    log(fault === 'denied' || fault === 'invalid' || !known ? 'error' : 'warn', 'sink_failed', {
      sink,
      log: source.name,
      code: fault,
      count: failures,
      ms: Math.round(notBefore - now()),
      ...(step !== undefined && { step }),
      ...(status !== undefined && { status }),
      ...(error instanceof Refusal ? { reason: error.reason } : reason !== undefined && { reason }),
    });
  }

  async function pass(deadline: Deadline): Promise<void> {
    if (now() < notBefore) {
      if (oldest !== undefined) metrics.set('hallpass_sink_lag_seconds', labels, Math.round((now() - oldest) / 1000));
      return;
    }
    try {
      for (let piece = 0; piece < mostPieces && deadline.left() > leastMs; piece++) {
        const outcome = await carry(deadline, tell);
        if (failures > 0) log('info', 'sink_recovered', { sink, log: source.name, count: failures });
        failures = 0;
        if (outcome === 'aside') notBefore = now() + asideMs;
        if (outcome !== 'moved') return;
      }
    } catch (error) {
      failed(error);
    }
  }

  return {
    async pass(deadline) {
      // workerd ends work with the event that began it: such a pass never settles, and is over with its deadline.
      if (now() < busyUntil) return;
      busyUntil = deadline.at;
      await pass(deadline);
      if (busyUntil === deadline.at) busyUntil = Number.NEGATIVE_INFINITY;
    },
  };
}
