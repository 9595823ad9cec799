import { before, type Deadline, deadlineIn } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import { singleFlight } from '../lib/single-flight.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { UpstreamError } from '../lib/upstream.ts';

/** What stands in an assertion of Hallpass's own for one store. Pure data: the ledger's side computes it again. */
export interface AssertionTerms {
  /** The one audience. */
  readonly audience: string;
  /** What the other side takes, the one we would rather have first. */
  readonly algorithms: readonly ('ES256' | 'RS256')[];
  /** Seconds, at most 300. */
  readonly ttl: number;
  /** Claims beside iss, sub, aud, iat, nbf, exp and jti. */
  readonly claims?: (about: AssertionFacts) => JsonObject;
}

/** What further claims may be made of. */
export interface AssertionFacts {
  /** The store's name in the config, or the credential's. */
  readonly store: string;
  /** The issuance that a credential logs in for, where it does so for each. */
  readonly issuance?: string;
  /** The `session` record's id, which is also the `jti`. */
  readonly session: string;
  /** `broker:<host of the writer's name>`. */
  readonly subject: string;
}

/** What logging in somewhere needs of the world. */
export interface SessionDeps extends Pick<Platform, 'now' | 'env' | 'fetch' | 'fetchTrusting' | 'readFile'> {
  /**
   * A fresh assertion by the store's own terms, signed once its `session` record is durable. Absent where nobody signs
   * (a KMS whose key would have to sign it): then only an ambient identity can log in.
   *
   * @throws Refusal ledger_unavailable, denied
   */
  readonly assert?: (deadline: Deadline) => Promise<string>;
  /** Told of each step as it begins (`assertion`, `exchange`, `login`, `read`, ...), for `store check`. */
  readonly step?: (name: string) => void;
}

/** A login with its end, milliseconds since the epoch. */
export interface Session<T> {
  readonly value: T;
  readonly expiresAt: number;
}

export interface SessionKeeper<T> {
  /** The session, begun anew after two thirds of its life, once for all who wait. */
  get(deadline: Deadline): Promise<T>;
  /** Forgets a session the other side no longer takes; one begun since is kept. */
  drop(value: T): void;
}

/** A login takes no longer, milliseconds. */
const loginMs = 8_000;
/** A login that failed while the old session lives is tried again after this, milliseconds. */
const retryMs = 10_000;
/** An old session this close to its end is not handed out, milliseconds. */
const marginMs = 5_000;
/** How much of its time a waiter gives to a new login while the old session lives; the rest is for what it came for. */
const patience = 1 / 4;

/**
 * Keeps one session. While a new login fails or hangs, the old session serves until shortly before its end. Every
 * waiter is held no longer than its own deadline; the login has a time of its own.
 */
export function keepSession<T>(
  login: (deadline: Deadline) => Promise<Session<T>>,
  now: () => number,
): SessionKeeper<T> {
  let held: { readonly session: Session<T>; readonly from: number; readonly renewAt: number } | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;
  const together = singleFlight<T>(now, loginMs);

  async function begin(): Promise<T> {
    const at = now();
    const session = await login(deadlineIn(loginMs, now));
    if (session.expiresAt <= at) throw new UpstreamError('unreachable', { step: 'login', reason: 'session_over' });
    held = { session, from: at, renewAt: at + ((session.expiresAt - at) * 2) / 3 };
    return session.value;
  }

  return {
    async get(deadline) {
      const old = held;
      // A clock that went back behind its beginning says nothing of its end.
      if (old !== undefined && now() >= old.from && now() < old.renewAt) return old.session.value;
      const alive = old !== undefined && now() < old.session.expiresAt - marginMs;
      if (alive && Math.abs(now() - failedAt) < retryMs) return old.session.value;
      const late = () => new UpstreamError('slow', { step: 'login' });
      const until = alive ? deadline.within(deadline.left() * patience) : deadline;
      try {
        return await before(until, late, () => together('', begin));
      } catch (error) {
        if (!alive || held !== old) throw error;
        failedAt = now();
        return old.session.value;
      }
    },
    drop(value) {
      if (held?.session.value === value) held = undefined;
    },
  };
}
