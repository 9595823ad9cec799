import { createPublicKey, verify } from 'node:crypto';

type Jwk = Record<string, string>;

/** A Vault that takes Hallpass's assertions, and is as slow to hear of a new key as its caches let it. */
export interface RelyingParty {
  readonly url: string;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Logins by assertion, and those of them it did not take, with the kid it did not know. */
  readonly logins: number;
  readonly refused: readonly string[];
  /** Seconds a login lasts. */
  ttl: number;
}

const jwksSeconds = 300;

/**
 * `jwks` fetches Hallpass's keys and is asked again only when the last answer is past its max-age, never because a kid
 * is unknown.
 */
export function relyingParty(jwks: () => Promise<readonly unknown[]>, now: () => number): RelyingParty {
  let cached: { readonly keys: readonly Jwk[]; readonly at: number } | undefined;
  const refused: string[] = [];
  const counts = { logins: 0 };
  const party = {
    url: 'http://127.0.0.1:21200',
    ttl: 60,
    refused,
    get logins() {
      return counts.logins;
    },
    async fetch(url: string, init: RequestInit): Promise<Response> {
      const { pathname } = new URL(url);
      if (pathname === '/v1/auth/jwt/login') return login(JSON.parse(String(bodyOf(init))).jwt);
      const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z' };
      return Response.json({ data: { data: { value: 'not-a-key' }, metadata } });
    },
  };

  async function login(jwt: string): Promise<Response> {
    counts.logins++;
    if (cached === undefined || now() - cached.at >= jwksSeconds * 1000)
      cached = { keys: (await jwks()) as readonly Jwk[], at: now() };
    const [header, payload, signature] = jwt.split('.') as [string, string, string];
    const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    const { kid, alg } = decode(header);
    const jwk = cached.keys.find((key) => key.kid === kid);
    const key = jwk && createPublicKey({ key: jwk as never, format: 'jwk' });
    const data = Buffer.from(`${header}.${payload}`);
    const bytes = Buffer.from(signature, 'base64url');
    const fine =
      key && verify('sha256', data, alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key, bytes);
    if (fine !== true || decode(payload).exp * 1000 <= now()) {
      refused.push(kid);
      return Response.json({ errors: ['error validating token'] }, { status: 400 });
    }
    return Response.json({ auth: { client_token: 's.not-a-real-token', lease_duration: party.ttl, renewable: false } });
  }

  return party;
}

const bodyOf = ({ body }: RequestInit): string =>
  body instanceof Uint8Array ? Buffer.from(body).toString() : String(body);
