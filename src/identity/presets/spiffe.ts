import type { Fault } from '../../lib/fault.ts';
import type { Member } from '../../lib/issuer-shape.ts';
import * as s from '../../lib/schema/index.ts';
import { isTrustDomain, parseSpiffeId } from '../../lib/spiffe-id.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import type { Algorithm } from '../algorithms.ts';
import { type CommonConfig, commonFaults, commonMembers, commonProfile, urlFaults } from '../issuer-config.ts';
import { type Caller, encodeComponent, type Preset, type TokenForm } from '../preset.ts';
import type { TokenReason } from '../refuse.ts';

interface SpiffeConfig extends Omit<CommonConfig, 'jwksUri'> {
  readonly trustDomain: string;
  /** The trust domain's bundle endpoint (profile `https_web`); else `jwksFile` or `jwks` hold the bundle. */
  readonly bundle?: string;
  /** Where JWT-SVIDs carry `iss`, what it is; absent: they carry none. */
  readonly issuer?: string;
  readonly withoutKid?: true;
}

const members = {
  id: { type: 'string' },
  trustDomain: { type: 'string' },
  path: { type: 'string' },
} as const satisfies Record<string, Member>;

/** JWT-SVID section 2.1, as far as we verify it. */
const algorithms: readonly Algorithm[] = ['RS256', 'ES256', 'ES384'];
const allowed: ReadonlySet<string> = new Set(algorithms);
const { jwksUri: _, ...ownMembers } = commonMembers;

/** Workloads of one SPIFFE trust domain, by JWT-SVIDs. */
export const spiffe: Preset = {
  name: 'spiffe',
  about: 'Workloads of one SPIFFE trust domain, by JWT-SVIDs; its bundle from its endpoint, a file, or in the config',
  schema: s.later(() =>
    s.strictObject({
      preset: s.literal('spiffe'),
      trustDomain: s.string().check(s.refine(isTrustDomain, 'a trust domain is in lower case and has no spiffe://')),
      bundle: s.optional(s.string()),
      issuer: s.optional(s.string()),
      withoutKid: s.optional(s.literal(true)),
      ...ownMembers,
    }),
  ),
  shape: { preset: 'spiffe', members, generic: false },
  check: (config) => {
    const entry = config as SpiffeConfig;
    return [...commonFaults(entry, 'jwt-svid'), ...urlFaults('bundle', entry.bundle), ...bundleFaults(entry)];
  },
  compile: (config, name) => {
    const { bundle, ...entry } = config as SpiffeConfig;
    const issuer = entry.issuer ?? `spiffe://${entry.trustDomain}`;
    const common = { ...entry, issuer, ...(bundle === undefined ? {} : { jwksUri: bundle }) };
    const profile = commonProfile(common, name, { lifetime: 3600, algorithms, keyUse: 'jwt-svid' });
    const own = new Set([...profile.algorithms].filter((alg) => allowed.has(alg)));
    const form = formOf(entry);
    return [{ ...profile, algorithms: own, form, identify: (claims) => identify(claims, entry.trustDomain) }];
  },
};

/** JWT-SVID sections 2 and 3: no header but alg, kid and typ; SPIFFE-ID section 2.3 sets the length. */
const formOf = ({ withoutKid }: Pick<SpiffeConfig, 'withoutKid'>): TokenForm => ({
  types: ['JWT', 'JOSE'],
  kidRequired: withoutKid !== true,
  thumbprintAllowed: false,
  issuedAtRequired: false,
  longestSubject: 2048,
});

function bundleFaults({ bundle, jwks, jwksFile, algorithms: chosen = [] }: SpiffeConfig): Fault[] {
  const sources = [bundle, jwks, jwksFile].filter((source) => source !== undefined).length;
  const hint = 'one of bundle: URL, jwksFile: PATH, jwks: { keys: [...] }';
  const wrong = chosen.findIndex((alg) => !algorithms.includes(alg));
  return [
    ...(sources === 0 ? [{ path: [], message: 'nothing says where the keys of the trust domain are', hint }] : []),
    ...(sources > 1 && bundle !== undefined ? [{ path: ['bundle'], message: 'keys have one source', hint }] : []),
    ...(wrong === -1 ? [] : [{ path: ['algorithms', wrong], message: 'a JWT-SVID is never signed with it' }]),
  ];
}

function identify(claims: JsonObject, trustDomain: string): Caller | TokenReason {
  const id = claims.sub as string;
  const parsed = parseSpiffeId(id);
  if (parsed === undefined) return 'claims';
  if (parsed.trustDomain !== trustDomain) return 'tenant';
  const path = parsed.path.slice(1).split('/').map(encodeComponent).join('/');
  return { path, members: { id, trustDomain, path: parsed.path }, disclosed: {} };
}
