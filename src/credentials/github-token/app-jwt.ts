import { createPrivateKey, sign } from 'node:crypto';
import { toBase64Url, toUtf8 } from '../../lib/bytes.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { keepSession, type SessionKeeper } from '../../sessions/session.ts';
import type { GithubTokenConfig } from '../github-token.ts';
import type { KindDeps } from '../kind.ts';

/** GitHub refuses one that ends more than 10 minutes from its own now; its clock may be a minute behind, or ahead. */
const lifeSeconds = 600;
const behindSeconds = 60;
const leastBits = 2048;

/** What proves the App to GitHub, signed here by the key that the store holds; good for several calls. */
export function keepAppJwt({ app, key }: GithubTokenConfig, { read, now }: KindDeps): SessionKeeper<string> {
  return keepSession(async (deadline) => {
    const { value } = await read(key, deadline);
    const iat = Math.floor(now() / 1000) - behindSeconds;
    const exp = iat + lifeSeconds;
    return { value: signAppJwt(value.reveal(), { iss: app, iat, exp }), expiresAt: exp * 1000 };
  }, now);
}

function signAppJwt(key: Uint8Array, claims: Readonly<Record<string, string | number>>): string {
  const [header, payload] = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) =>
    toBase64Url(toUtf8(JSON.stringify(part))),
  );
  const signed = `${header}.${payload}`;
  try {
    const pem = new TextDecoder().decode(key).trim();
    refuseUnfit(pem);
    return `${signed}.${toBase64Url(sign('sha256', toUtf8(signed), pem))}`;
  } catch {
    // What Node says of a key that it cannot read is not for the log.
    throw new UpstreamError('unreachable', { step: 'login', reason: 'bad_key' });
  }
}

/** GitHub's own file is PKCS#1; whoever converts it for a store makes PKCS#8 of it. */
function refuseUnfit(pem: string): void {
  if (!/^-----BEGIN (RSA )?PRIVATE KEY-----/.test(pem)) throw new TypeError('not a private key');
  const key = createPrivateKey(pem);
  const { n = '' } = key.export({ format: 'jwk' });
  if (key.asymmetricKeyType !== 'rsa' || Buffer.from(n, 'base64url').length * 8 < leastBits)
    throw new TypeError('not an RSA key of enough bits');
}
