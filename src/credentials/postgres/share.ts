import { hmacSha256, toBase64Url, toHex } from '../../lib/bytes.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { before, type Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { singleFlight } from '../../lib/single-flight.ts';
import { instantMs, parseDuration } from '../../lib/time.ts';
import type { IssueRequest } from '../kind.ts';
import { commentOf, sharePrefix } from './account.ts';
import { dataOf } from './data.ts';
import { reach, type SharedAccount } from './reach.ts';
import { refuse } from './refuse.ts';
import { scramVerifier } from './scram.ts';
import type { Mode, ModeDeps } from './target.ts';

/** As long as an admin's work may take, milliseconds. */
const flightMs = 10_000;
const tooSlow = () => refuse('slow');

/**
 * Mode `share`: what one identity asks for within one window of time is one account, whose name and password any instance
 * derives from `broker.secret`. It lives as long as the longest of its leases, and none of them can end it before.
 */
export function openShare({ config, deps, admin }: ModeDeps): Mode {
  const windowMs = (parseDuration(config.share?.for ?? '60s') as number) * 1000;
  const among = config.share?.among ?? 1;
  /** Of the current window: how many hand-overs an identity has had here, and until when the server has each account. */
  let window = 0;
  const handed = new Map<string, number>();
  const reached = new Map<string, number>();
  const together = singleFlight<void>(deps.now, flightMs);

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
    const about = [deps.name, config.role, issuer, iss, subject, windowMs, current];
    return hmacSha256(await deps.derive('share', deadline), canonicalJson(about));
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

  return {
    revocable: false,
    account: () => undefined,
    async make(request) {
      const { id, expiresAt, deadline } = request;
      const key = await keyFor(request);
      const slot = nextSlot(toHex(key));
      const part = (of: string) => hmacSha256(key, `${of}/${slot}`);
      const name = sharePrefix + toHex(part('name')).slice(0, 26);
      const password = toBase64Url(part('password'));
      await ensure(name, expiresAt, deadline, async () => {
        const salt = (bytes: number) => part('salt').subarray(0, bytes);
        const verifier = await scramVerifier(password, salt, config.iterations);
        const account: SharedAccount = { name, role: config.role, verifier, comment: commentOf(id, deps.name) };
        await admin(deadline, (client) => reach(client, account, instantMs(expiresAt), deadline));
      });
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password), account: name };
    },
    async renew({ account }, expiresAt, deadline) {
      if (account === undefined) throw refuse('bad_account');
      await admin(deadline, (client) => reach(client, { name: account }, instantMs(expiresAt), deadline));
    },
  };
}
