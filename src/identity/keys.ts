import { before, type Deadline, deadlineIn } from '../lib/deadline.ts';
import type { OperatorLog } from '../lib/platform.ts';
import { Refusal } from '../lib/refusal.ts';
import { type FetchedKeys, fetchKeys } from './fetch-keys.ts';
import type { KeySet, VerificationKey } from './jwk.ts';
import { type KeyDoorDeps, keyDoor } from './key-access.ts';
import { KeyFetchError } from './key-fetch-error.ts';
import type { IssuerProfile, MovingKeys } from './preset.ts';

const freshMs = 10 * 60_000;
const fileFreshMs = 30_000;
const staleMs = 60 * 60_000;
const unknownKidMs = 30_000;
const firstBackOffMs = 1_000;
const longestBackOffMs = 30_000;

interface Flight {
  readonly done: Promise<void>;
  readonly at: number;
}

/** The keys of one configured issuer. There is one source per issuer and nothing is shared between two. */
export interface KeySource {
  /**
   * The key of this kid, or without one the only key there is; undefined when the issuer has none. A promise only where a fetch is due, so that the usual
   * answer costs no turn of the event loop. Rejects with Refusal issuer_unavailable when the keys cannot be had.
   */
  find(kid: string | undefined, deadline: Deadline): VerificationKey | undefined | Promise<VerificationKey | undefined>;
}

export interface KeySourceDeps extends KeyDoorDeps {
  readonly log: OperatorLog;
  /** Milliseconds a fetch may take, discovery included. */
  readonly jwksMs: number;
}

export function keySource(profile: IssuerProfile, deps: KeySourceDeps): KeySource {
  const { keys } = profile;
  return keys.kind === 'static' ? { find: (kid) => keyOf(keys, kid) } : movingKeys(profile, keys, deps);
}

function keyOf({ keys }: Pick<KeySet, 'keys'>, kid: string | undefined): VerificationKey | undefined {
  if (kid !== undefined) return keys.get(kid);
  const [only] = keys.size === 1 ? keys.values() : [];
  return only;
}

/**
 * Keys got on the request path only: fresh for 10 minutes (of a file 30 s; less where a SPIFFE bundle hints so), then got
 * anew, so that a removed key dies; served for an hour in all while the source fails; an unknown kid makes one fetch per 30 s at most, a failing issuer is asked
 * again after 1 s, then 2 s, up to 30 s. Fetches are coalesced.
 */
function movingKeys(profile: IssuerProfile, origin: MovingKeys, deps: KeySourceDeps): KeySource {
  const { name: issuer, keyUse } = profile;
  const { now, log, jwksMs } = deps;
  const door = keyDoor(profile.access, deps);
  let good: { readonly set: FetchedKeys; readonly at: number } | undefined;
  let failures = 0;
  let attemptAt = Number.NEGATIVE_INFINITY;
  let flight: Flight | undefined;

  const age = () => (good === undefined ? Number.POSITIVE_INFINITY : Math.abs(now() - good.at));
  const mostFreshMs = origin.kind === 'file' ? fileFreshMs : freshMs;
  const freshFor = () => Math.min(mostFreshMs, Math.max(good?.set.refreshMs ?? mostFreshMs, unknownKidMs));
  // A clock that was set back does not say how old the set is: the issuer does.
  const isFresh = () => good !== undefined && now() >= good.at && age() < freshFor();
  const sinceAttempt = () => Math.abs(now() - attemptAt);
  const backOff = () => (failures === 0 ? 0 : Math.min(longestBackOffMs, firstBackOffMs * 2 ** (failures - 1)));

  function find(kid: string | undefined, deadline: Deadline) {
    const known = good && keyOf(good.set, kid);
    if (isFresh()) {
      if (known !== undefined) return known;
      // A fetch under way may bring it; else the issuer is asked at most once per 30 s for a kid it may not have.
      return flight !== undefined || sinceAttempt() >= unknownKidMs ? fetchThenFind(kid, deadline) : settle(kid);
    }
    return flight !== undefined || sinceAttempt() >= backOff() ? fetchThenFind(kid, deadline) : settle(kid);
  }

  async function fetchThenFind(kid: string | undefined, deadline: Deadline) {
    const { done } = takeOff();
    try {
      // A flight that lost its request never lands: nobody waits for it longer than a fetch may take.
      await before(
        deadline.within(jwksMs),
        () => unavailable('keys_timeout'),
        () => done,
      );
    } catch (error) {
      const known = good && age() < staleMs ? keyOf(good.set, kid) : undefined;
      if (known === undefined) throw error;
      return known;
    }
    return settle(kid);
  }

  /** What is known now, without a further fetch. */
  function settle(kid: string | undefined): VerificationKey | undefined {
    if (age() >= staleMs) throw unavailable('keys_unavailable');
    const key = good && keyOf(good.set, kid);
    // While the issuer fails, nobody knows whether it has a key of that kid by now.
    if (key === undefined && failures > 0) throw unavailable('keys_unavailable');
    return key;
  }

  // A flight older than its own deadline has lost its request (workerd ends work with the request that began it).
  function takeOff(): Flight {
    if (flight !== undefined && Math.abs(now() - flight.at) <= jwksMs) return flight;
    attemptAt = now();
    const mine: Flight = { at: attemptAt, done: attempt().finally(() => land(mine)) };
    flight = mine;
    return mine;
  }

  function land(mine: unknown): void {
    if (flight === mine) flight = undefined;
  }

  async function attempt(): Promise<void> {
    try {
      const set = await fetchKeys(door, origin, keyUse, deadlineIn(jwksMs, now));
      if (isOlder(set)) throw new KeyFetchError('older_bundle');
      good = { set, at: now() };
      failures = 0;
      for (const { kid, problem } of set.refused)
        log('warn', 'issuer_key_refused', { issuer, ...(kid === undefined ? {} : { kid }), reason: problem });
    } catch (error) {
      failures++;
      log('error', 'issuer_keys_failed', {
        issuer,
        reason: error instanceof KeyFetchError ? error.message : 'internal',
        count: failures,
      });
    }
  }

  /** A bundle from before the one in use would bring back keys that were taken out of it. */
  const isOlder = ({ sequence }: FetchedKeys) =>
    sequence !== undefined && age() < staleMs && sequence < (good?.set.sequence ?? 0);

  const unavailable = (reason: string) =>
    new Refusal('issuer_unavailable', reason, {
      facts: { issuer },
      retryAfter: Math.max(1, Math.ceil(backOff() / 1000)),
    });

  return { find };
}
