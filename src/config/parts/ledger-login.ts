import { signJwt } from '../../keys/jwt.ts';
import type { LiveRing } from '../../keys/live-ring.ts';
import type { Deadline } from '../../lib/deadline.ts';
import type { Platform } from '../../lib/platform.ts';
import { newUlid } from '../../lib/ulid.ts';
import { type AmbientTokenConfig, keepAmbientToken } from '../../sessions/ambient-token.ts';
import { keepSession, type SessionKeeper } from '../../sessions/session.ts';
import type { Config } from '../config.ts';

const assertionSeconds = 60;

/**
 * What a broker shows to a ledger that is elsewhere: the platform's own token of it, or an assertion by its own key.
 * `audience`: who is to take it.
 */
export function ledgerLogin(
  { broker, ledger }: Config,
  ring: LiveRing | undefined,
  platform: Platform,
  audience = String(ledger.url),
): (deadline: Deadline) => Promise<string> {
  const ambient = ledger.identity as AmbientTokenConfig | undefined;
  if (ambient !== undefined) return keepAmbientToken(ambient, audience, platform).get;
  if (ring === undefined) throw new Error('no key to prove this broker with');
  return ownAssertions(ring, broker.url, audience, platform).get;
}

/** Made anew after two thirds of its life. */
function ownAssertions(
  ring: LiveRing,
  url: string,
  audience: string,
  { now, random }: Platform,
): SessionKeeper<string> {
  return keepSession(async (deadline) => {
    await ring.renew(deadline);
    const key = ring.assertions[0];
    if (key === undefined) throw new Error('no key to prove this broker with');
    const at = now();
    const iat = Math.floor(at / 1000);
    const exp = iat + assertionSeconds;
    const claims = { iss: url, sub: 'broker', aud: audience, iat, nbf: iat, exp, jti: newUlid(at, random) };
    return { value: await signJwt(key, claims), expiresAt: exp * 1000 };
  }, now);
}
