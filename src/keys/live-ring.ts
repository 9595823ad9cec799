import type { Deadline } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { singleFlight } from '../lib/single-flight.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import type { KeyRing, SigningKey } from './keys.ts';
import { KeyError } from './private-key.ts';
import type { OpenRing } from './ring.ts';
import { maxKeys, noticedMs, tokenMs } from './rotation-times.ts';
import { type KeyFact, type PublishedKey, type Standing, standing } from './standing.ts';

/** Where it is written when our keys began and ended: the log, for all processes of one ledger. */
export interface KeyLog {
  /** What came since it was last asked. */
  news(deadline: Deadline): Promise<readonly KeyFact[]>;
  /** Each beginning and end is written once, whoever else writes it too. */
  write(begin: readonly PublishedKey[], end: readonly PublishedKey[], deadline: Deadline): Promise<void>;
}

/** A ring whose keys rotate while it is open. `assertions` and `published` are as of the moment they are read. */
export interface LiveRing extends KeyRing {
  /** From then on the times are those of this log. Reads it; writes nothing. */
  follow(log: KeyLog, deadline: Deadline): Promise<void>;
  /** Asks signers and log again and writes what began and ended. Never rejects: the operator's log says what failed. */
  refresh(deadline: Deadline): Promise<void>;
  /** The same where it was not done for five minutes: where nothing runs between requests. */
  renew(deadline: Deadline): Promise<void>;
  /** Keys that sign and have no record yet: to be written before anything else is. */
  readonly unrecorded: readonly PublishedKey[];
}

export interface LiveRingDeps {
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly announceMs: number;
  /** Whether a key that ended may be removed: not where something else is still derived from it. */
  readonly mayForget: boolean;
  /** Others that share no log may publish under the same URL and sign with any key at hand: so all are published. */
  readonly alone?: boolean;
}

const refreshMs = 30_000;

export function openLiveRing(ring: OpenRing, deps: LiveRingDeps): LiveRing {
  const { now, log, announceMs } = deps;
  const together = singleFlight<void>(now, refreshMs);
  const used = new Map<string, number>();
  const idle = new Map<string, number>();
  const forgotten = new Set<string>();
  /** Until when others may still sign with a key that was at hand here. */
  const lately = new Map<string, { readonly jwk: JsonObject; readonly until: number }>();
  let held: readonly SigningKey[] = ring.assertions;
  let facts: readonly KeyFact[] = [];
  let keyLog: KeyLog | undefined;
  let refreshedAt = now();
  let unrecorded: { held: unknown; facts: unknown; keys: readonly PublishedKey[] } | undefined;
  let refreshes = 0;
  let full = false;

  function stand(): Standing {
    const at = now();
    const stands = standing(held, facts, { used, idle }, { now: at, announceMs });
    for (const { kid } of stands.signing) used.set(kid, at);
    for (const kid of idle.keys()) if (!stands.idle.includes(kid)) idle.delete(kid);
    for (const kid of stands.idle) if (!idle.has(kid)) idle.set(kid, at);
    return stands;
  }

  async function attempt(event: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const refused = error instanceof Refusal ? error : undefined;
      // What a KeyError says is ours; all else may quote what it choked on.
      const said = error instanceof Error && error.name === 'KeyError' ? { error: error.message } : {};
      log('warn', event, { reason: refused?.reason ?? 'internal', ...said, ...refused?.options.facts });
    }
  }

  async function learn(deadline: Deadline): Promise<void> {
    const news = (await keyLog?.news(deadline)) ?? [];
    facts = [...facts, ...news];
    if (refreshes === 0) return;
    for (const { kid, state } of news) log('info', state === 'begin' ? 'key_began' : 'key_ended', { kid });
  }

  function take(keys: readonly SigningKey[]): void {
    refuseReused([...keys, ...held], facts);
    for (const [kid, { until }] of lately) if (now() >= until) lately.delete(kid);
    for (const { kid, publicJwk } of held) lately.set(kid, { jwk: publicJwk, until: now() + noticedMs + tokenMs });
    held = keys;
  }

  async function refresh(deadline: Deadline): Promise<void> {
    refreshedAt = now();
    refreshes++;
    await attempt('keys_not_reread', async () => {
      // A KMS that does not answer leaves time for the log, and for what waits for this.
      take(await ring.reopen(deadline.within(deadline.left() / 2)));
    });
    await attempt('keys_not_recorded', async () => {
      await learn(deadline);
      const { begin, end, full: isFull } = stand();
      if (isFull && !full) log('warn', 'keys_full', { count: maxKeys });
      full = isFull;
      if (begin.length + end.length > 0) await keyLog?.write(begin, end, deadline);
      await learn(deadline);
    });
    if (deps.mayForget) await attempt('key_not_removed', forgetEnded);
  }

  async function forgetEnded(): Promise<void> {
    const { ended, signing } = stand();
    for (const { kid } of held) {
      if (!ended.has(kid) || forgotten.has(kid) || signing.some((key) => key.kid === kid)) continue;
      forgotten.add(kid);
      await ring.forget(kid);
    }
  }

  return {
    ...ring,
    get assertions() {
      return stand().signing;
    },
    get published() {
      const { published, signing } = stand();
      const known = published.map(({ jwk }) => jwk);
      if (deps.alone !== true) return known;
      const others = [...lately.values()].filter(({ until }) => now() < until).map(({ jwk }) => jwk);
      const all = [...[...signing, ...held].map(({ publicJwk }) => publicJwk), ...others, ...known];
      return [...new Map(all.map((jwk) => [jwk.kid, jwk])).values()].slice(0, maxKeys);
    },
    get unrecorded() {
      // Asked at each commit; time alone makes no key sign that has no record.
      if (unrecorded === undefined || unrecorded.held !== held || unrecorded.facts !== facts) {
        const { begin, signing } = stand();
        const keys = begin.filter(({ kid }) => signing.some((key) => key.kid === kid));
        unrecorded = { held, facts, keys };
      }
      return unrecorded.keys;
    },
    async follow(given, deadline) {
      keyLog = given;
      await learn(deadline);
      refuseReused(held, facts);
    },
    refresh: (deadline) => together('', () => refresh(deadline)),
    async renew(deadline) {
      if (Math.abs(now() - refreshedAt) >= noticedMs) await together('', () => refresh(deadline));
    },
  };
}

/** Who verifies knows a key by its `kid`: another key under it would break every token of the first. @throws KeyError */
function refuseReused(keys: readonly SigningKey[], facts: readonly KeyFact[]): void {
  const known = new Map(facts.map(({ kid, jwk }) => [kid, jwk]));
  for (const { kid, publicJwk } of keys) {
    const other = known.get(kid);
    if (other !== undefined && (other.x !== publicJwk.x || other.n !== publicJwk.n))
      throw new KeyError('two keys of broker.signer have the same kid: give the new one a kid of its own, or none');
    known.set(kid, publicJwk);
  }
}

/** For a broker whose ledger is elsewhere: it has no log, so what it announces counts from its own start. */
export function memoryKeyLog(now: () => number): KeyLog {
  let fresh: KeyFact[] = [];
  const take = (state: KeyFact['state'], keys: readonly PublishedKey[]) =>
    keys.map((key): KeyFact => ({ ...key, state, at: now() }));
  return {
    async news() {
      const news = fresh;
      fresh = [];
      return news;
    },
    async write(begin, end) {
      fresh.push(...take('begin', begin), ...take('end', end));
    },
  };
}
