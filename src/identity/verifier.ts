import { sha256Url } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';
import type { Deadline } from '../lib/deadline.ts';
import type { Identity } from '../lib/identity.ts';
import { Refusal } from '../lib/refusal.ts';
import { trustDomainOf } from '../lib/spiffe-id.ts';
import type { JsonObject } from '../lib/strict-json.ts';
import { presetOf } from './catalog.ts';
import { claimsFault } from './claims.ts';
import { type CompactToken, readCompact } from './compact.ts';
import { type KeySource, type KeySourceDeps, keySource } from './keys.ts';
import type { IssuerProfile, TokenForm } from './preset.ts';
import { refuseToken } from './refuse.ts';
import { type CheckSignature, signatureCheck } from './signature.ts';
import type { Strangers } from './strangers.ts';

export interface Verifier {
  /**
   * Who a workload token is about.
   *
   * Rejects with Refusal `token_invalid` (`reason` is a TokenReason) or `issuer_unavailable`; `facts.issuer` is the
   * issuer's name in the config once that is known.
   */
  verify(token: string, deadline: Deadline): Promise<Identity>;
}

export interface VerifierOptions extends Omit<KeySourceDeps, 'jwksMs'> {
  /** The config's `issuers`, each of which passed its preset's schema and check. */
  readonly issuers: Readonly<Record<string, unknown>>;
  /** The one audience accepted by issuers that name none. */
  readonly audience: string;
  readonly limits: { readonly tokenBytes: number; readonly jwksMs: number };
  /** Default: node:crypto as Node has it. */
  readonly checkSignature?: CheckSignature;
}

interface ConfiguredIssuer extends IssuerProfile {
  readonly audience: string;
  readonly source: KeySource;
}

/** Compiles the configured issuers once; what it returns holds their key caches. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { now, limits, checkSignature = signatureCheck('node') } = options;
  const issuers = issuersByUrl(options);
  /** From the first token of a foreign tenant on. */
  let strangers: Strangers | undefined;

  async function verify(text: string, deadline: Deadline): Promise<Identity> {
    const token = readCompact(text, limits.tokenBytes);
    // Unverified, it is a key into what is configured and nothing else: no address ever comes from a token.
    const said = issuerOf(token.claims);
    const candidates = said === undefined ? undefined : issuers.get(said);
    if (candidates === undefined) throw refuseToken('issuer');
    const flooding = strangers?.areMany(candidates, token.claims, now()) === true;
    let refusal: unknown;
    let foreign = true;
    for (const issuer of candidates) {
      try {
        return await admit(token, issuer, deadline, flooding);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        // The file's order decides whose it is: while the keys of one that would take it cannot be had, nobody knows.
        if (error.code === 'issuer_unavailable' && typeof judge(token.claims, issuer) !== 'string') throw error;
        foreign &&= error.reason === 'tenant';
        if (!(refusal instanceof Refusal && refusal.code === 'issuer_unavailable')) refusal = error;
      }
    }
    if (foreign) {
      const { countStrangers } = await import('./strangers.ts');
      strangers ??= countStrangers();
      strangers.count(candidates, token.claims, now());
    }
    throw refusal;
  }

  async function admit(
    token: CompactToken,
    issuer: ConfiguredIssuer,
    deadline: Deadline,
    flooding: boolean,
  ): Promise<Identity> {
    if (!fits(token, issuer.form)) throw refuseToken('header', issuer.name);
    if (!issuer.algorithms.has(token.alg)) throw refuseToken('algorithm', issuer.name);
    const found = issuer.source.find(token.kid, deadline);
    const key = found instanceof Promise ? await found : found;
    if (key === undefined) throw refuseToken('kid', issuer.name);
    if (key.alg !== token.alg) throw refuseToken('algorithm', issuer.name);
    // Only to refuse: what would be taken with a good signature has its signature checked, flood or not.
    if (flooding && typeof judge(token.claims, issuer) === 'string') throw refuseToken('unverified', issuer.name);
    if (!checkSignature(key.alg, key.key, Buffer.from(token.signed, 'latin1'), token.signature)) {
      throw refuseToken('signature', issuer.name);
    }
    const caller = judge(token.claims, issuer);
    if (typeof caller === 'string') throw refuseToken(caller, issuer.name);
    return {
      issuer: issuer.name,
      iss: issuer.issuer,
      subject: token.claims.sub as string,
      claims: token.claims,
      name: `${issuer.name}:${caller.path}`,
      members: caller.members,
      token: tokenDigest(token, issuer.issuer),
      expiresAt: (token.claims.exp as number) * 1000,
      disclosed: caller.disclosed,
    };
  }

  /** Who claims say it is, or why they would be refused whoever signed them. */
  const judge = (claims: JsonObject, issuer: ConfiguredIssuer) =>
    claimsFault(claims, issuer, now()) ?? issuer.identify(claims);

  return { verify };
}

/** By `iss`: one platform's issuer may be configured more than once, for several tenants; the file's order decides. */
function issuersByUrl(options: VerifierOptions): Map<string, ConfiguredIssuer[]> {
  const deps = { ...options, jwksMs: options.limits.jwksMs };
  const issuers = new Map<string, ConfiguredIssuer[]>();
  for (const [name, config] of Object.entries(options.issuers)) {
    const profiles = presetOf(config)?.compile(config, name);
    if (profiles === undefined) throw new Error(`issuer ${name} has an unknown preset`);
    for (const profile of profiles) {
      const issuer = { ...profile, audience: profile.audience ?? options.audience, source: keySource(profile, deps) };
      issuers.set(profile.issuer, [...(issuers.get(profile.issuer) ?? []), issuer]);
    }
  }
  return issuers;
}

/** Names the token whatever its signature's or its base64url's spelling: what `once` counts by. */
function tokenDigest({ claims: { jti }, signed }: CompactToken, iss: string): string {
  return sha256Url(typeof jti === 'string' ? canonicalJson([iss, jti]) : signed);
}

/** Who says to have signed: `iss`, or where a JWT-SVID has none, the trust domain of its subject. */
function issuerOf({ iss, sub }: JsonObject): string | undefined {
  if (typeof iss === 'string') return iss;
  return iss === undefined && typeof sub === 'string' ? trustDomainOf(sub) : undefined;
}

function fits({ kid, typ, x5t }: CompactToken, form: TokenForm): boolean {
  if (kid === undefined && form.kidRequired) return false;
  if (x5t !== undefined && !form.thumbprintAllowed) return false;
  return typ === undefined || form.types.includes(typ);
}
