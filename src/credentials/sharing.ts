import { hmacSha256, toBase64Url, toHex } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import { before, type Deadline } from '../lib/deadline.ts';
import { singleFlight } from '../lib/single-flight.ts';
import { parseDuration } from '../lib/time.ts';
import type { IssueRequest, KindDeps } from './kind.ts';

/** An account that several leases of one identity have; any instance derives the same. */
export interface SharedLogin {
  readonly name: string;
  readonly password: string;
  /** Bytes that are the same for the same account, 32 at most. */
  readonly salt: (bytes: number) => Uint8Array;
}

export interface SharingConfig {
  readonly share?: { readonly for: string; readonly among: number } | undefined;
  readonly role: string;
}

/** Sees to it that the account is there at the target until the request's end at least. */
type Reach = (login: SharedLogin, request: IssueRequest) => Promise<void>;

/** What a name of a shared account begins with; 26 hexadecimal digits follow. */
export const sharePrefix = 'hp_s_';

/** As long as an admin's work may take, milliseconds. */
const flightMs = 10_000;

/**
 * Mode `share`: what one identity asks for within one window of time is one account, whose name and password any instance
 * derives from `broker.secret`. `reach` is called where this instance does not know that it lives as long as is asked.
 */
export function openSharing(
  { share, role }: SharingConfig,
  { derive, name: credential, now: clock }: Pick<KindDeps, 'derive' | 'name' | 'now'>,
  tooSlow: () => Error,
  reach: Reach,
): (request: IssueRequest) => Promise<SharedLogin> {
  const windowMs = (parseDuration(share?.for ?? '60s') as number) * 1000;
  const among = share?.among ?? 1;
  /** Of the current window: how many hand-overs an identity has had here, and until when the server has each account. */
  let window = 0;
  const handed = new Map<string, number>();
  const reached = new Map<string, number>();
  const together = singleFlight<void>(clock, flightMs);

  /** The key of this identity's accounts in this window. Nothing of the identity is in what comes of it. */
  async function keyFor({ identity, now, deadline }: IssueRequest): Promise<Uint8Array> {
    const current = Math.floor(now / windowMs);
    // Two windows meet for a moment.
    if (current > window || current < window - 1) {
      window = current;
      handed.clear();
      reached.clear();
    }
    const { issuer, iss, subject } = identity;
    const about = [credential, role, issuer, iss, subject, windowMs, current];
    return hmacSha256(await derive('share', deadline), canonicalJson(about));
  }

  /** Fills one account after the other; only this instance's hand-overs are counted. */
  function nextSlot(key: string): number {
    const count = handed.get(key) ?? 0;
    handed.set(key, count + 1);
    return Math.floor(count / among);
  }

  async function ensure(name: string, until: number, deadline: Deadline, make: () => Promise<void>): Promise<void> {
    if ((reached.get(name) ?? 0) >= until) return;
    await before(deadline, tooSlow, () => together(`${name} ${until}`, make));
    reached.set(name, Math.max(until, reached.get(name) ?? 0));
  }

  return async (request) => {
    const key = await keyFor(request);
    const slot = nextSlot(toHex(key));
    const part = (of: string) => hmacSha256(key, `${of}/${slot}`);
    const login: SharedLogin = {
      name: sharePrefix + toHex(part('name')).slice(0, 26),
      password: toBase64Url(part('password')),
      salt: (bytes) => part('salt').subarray(0, bytes),
    };
    await ensure(login.name, request.expiresAt, request.deadline, () => reach(login, request));
    return login;
  };
}
