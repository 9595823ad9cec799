import { signJwt } from '../keys/jwt.ts';
import type { LiveRing } from '../keys/live-ring.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Platform } from '../lib/platform.ts';
import { newUlid } from '../lib/ulid.ts';
import { type AmbientTokenConfig, keepAmbientToken } from '../sessions/ambient-token.ts';
import type { Config } from './config.ts';

const assertionSeconds = 60;
const assertionReuseMs = 40_000;

/** What a broker shows to a ledger that is elsewhere: the platform's own token of it, or an assertion by its own key. */
export function ledgerLogin(
  { broker, ledger }: Config,
  ring: LiveRing | undefined,
  platform: Platform,
): (deadline: Deadline) => Promise<string> {
  const audience = String(ledger.url);
  const ambient = ledger.identity as AmbientTokenConfig | undefined;
  if (ambient !== undefined) return keepAmbientToken(ambient, audience, platform).get;
  if (ring === undefined) throw new Error('no key to prove this broker with');
  return ownAssertions(ring, broker.url, audience, platform);
}

/** Made anew after two thirds of its life. */
function ownAssertions(
  ring: LiveRing,
  url: string,
  audience: string,
  { now, random }: Platform,
): (deadline: Deadline) => Promise<string> {
  let made: { readonly token: Promise<string>; readonly at: number } | undefined;
  return (deadline) => {
    const at = now();
    if (made !== undefined && at - made.at < assertionReuseMs && at >= made.at) return made.token;
    const iat = Math.floor(at / 1000);
    const claims = {
      iss: url,
      sub: 'broker',
      aud: audience,
      iat,
      nbf: iat,
      exp: iat + assertionSeconds,
      jti: newUlid(at, random),
    };
    const token = ring.renew(deadline).then(() => {
      const key = ring.assertions[0];
      if (key === undefined) throw new Error('no key to prove this broker with');
      return signJwt(key, claims);
    });
    made = { token, at };
    token.catch(() => {
      made = undefined;
    });
    return token;
  };
}
