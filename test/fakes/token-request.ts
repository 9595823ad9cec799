import { type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../src/lib/strict-json.ts';
import { takeRsaPair } from '../support/rsa.ts';

export interface FakeServiceAccounts {
  /** `namespace/name` of those there are. */
  readonly known: Set<string>;
  /** What RBAC lets callers ask tokens for, `namespace/name`; undefined: all. */
  allowed: Set<string> | undefined;
  /** Longest life it gives, seconds (`--service-account-max-token-expiration`). */
  longest: number;
  /** Has the last word on the claims of each token. */
  change: (claims: JsonObject) => JsonObject;
  /** Every TokenRequest's `spec`, in order. */
  readonly asked: JsonObject[];
  /** As TokenReview would say: whose token it is, for that audience; undefined for one it does not take. */
  review(token: string, audience: string, now?: number): string | undefined;
}

interface Said {
  readonly code: number;
  readonly reason?: string;
  readonly body?: JsonObject;
}

const encode = (part: JsonObject) => Buffer.from(JSON.stringify(part)).toString('base64url');

// One for all: making it takes longer than most tests.
const { privateKey, publicKey } = takeRsaPair();

/** Service accounts whose tokens are signed for real, as an API server signs them. */
export function makeServiceAccounts(): FakeServiceAccounts & {
  answer(namespace: string, name: string, body: JsonObject): Said;
} {
  const accounts = {
    known: new Set<string>(),
    allowed: undefined as Set<string> | undefined,
    longest: 2 ** 32,
    change: (claims: JsonObject) => claims,
    asked: [] as JsonObject[],
    review(token: string, audience: string, now = Date.now()): string | undefined {
      const [header, payload, signature] = token.split('.');
      const signed = Buffer.from(`${header}.${payload}`);
      if (!verify('sha256', signed, publicKey, Buffer.from(signature ?? '', 'base64url'))) return undefined;
      const { sub, aud, exp } = parseStrictJsonObject(Buffer.from(payload ?? '', 'base64url'));
      return (aud as string[]).includes(audience) && Number(exp) * 1000 > now ? String(sub) : undefined;
    },
    answer(namespace: string, name: string, { apiVersion, kind, spec }: JsonObject): Said {
      const id = `${namespace}/${name}`;
      if (accounts.allowed?.has(id) === false) return { code: 403, reason: 'Forbidden' };
      if (!accounts.known.has(id)) return { code: 404, reason: 'NotFound' };
      if (apiVersion !== 'authentication.k8s.io/v1' || kind !== 'TokenRequest' || !isJsonObject(spec))
        return { code: 400, reason: 'BadRequest' };
      accounts.asked.push(spec);
      const { audiences, expirationSeconds } = spec;
      if (typeof expirationSeconds !== 'number' || expirationSeconds < 600) return { code: 422, reason: 'Invalid' };
      // What a kubelet asks for is stretched to a year.
      const stretched = expirationSeconds === 3607 ? 31_536_000 : expirationSeconds;
      const iat = Math.floor(Date.now() / 1000);
      const exp = iat + Math.min(stretched, accounts.longest);
      const sub = `system:serviceaccount:${namespace}:${name}`;
      const about = { namespace, serviceaccount: { name, uid: randomUUID() } };
      const standard = {
        iss: 'https://cluster.example',
        sub,
        aud: audiences ?? [],
        iat,
        nbf: iat,
        exp,
        jti: randomUUID(),
      };
      const token = signed(accounts.change({ ...standard, 'kubernetes.io': about }), privateKey);
      const status = { token, expirationTimestamp: new Date(exp * 1000).toISOString().replace('.000Z', 'Z') };
      return { code: 201, body: { apiVersion, kind, metadata: { name, namespace }, spec, status } };
    },
  };
  return accounts;
}

function signed(claims: JsonObject, key: KeyObject): string {
  const text = `${encode({ alg: 'RS256', kid: 'of the cluster' })}.${encode(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
