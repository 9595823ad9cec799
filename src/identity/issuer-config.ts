import { refSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import type { Ref } from '../lib/ref.ts';
import * as s from '../lib/schema/index.ts';
import { parseDuration } from '../lib/time.ts';
import { caSchema } from '../lib/trust.ts';
import { urlFault } from '../lib/url.ts';
import { type Algorithm, algorithmNames } from './algorithms.ts';
import { type KeyUse, readKeySet } from './jwk.ts';
import { defaultAlgorithms, type IssuerProfile, type KeyOrigin, oidcForm, type TokenFile } from './preset.ts';

/** What every preset's entry may say beside its own members. */
export interface CommonConfig {
  readonly audience?: string;
  readonly jwks?: { readonly keys: readonly unknown[] };
  readonly jwksUri?: string;
  readonly jwksFile?: string;
  readonly jwksAuth?: TokenFile | Ref;
  readonly ca?: string;
  readonly algorithms?: readonly Algorithm[];
  readonly lifetime?: string;
}

export interface IssuerConfig extends CommonConfig {
  readonly issuer: string;
}

/** The schema members of IssuerConfig but `issuer`, which some presets know. */
export const commonMembers = {
  audience: s.optional(s.later(() => s.string().check(s.minLength(1), s.maxLength(255)))),
  jwks: s.optional(
    s.later(() =>
      s.strictObject({ keys: s.array(s.record(s.string(), s.unknown())).check(s.minLength(1), s.maxLength(100)) }),
    ),
  ),
  jwksUri: s.optional(s.string()),
  jwksFile: s.optional(s.later(() => s.string().check(s.minLength(1), s.maxLength(4096)))),
  jwksAuth: s.optional(
    s.later(() =>
      s.union([s.strictObject({ tokenFile: s.string().check(s.minLength(1), s.maxLength(4096)) }), refSchema]),
    ),
  ),
  ca: caSchema,
  algorithms: s.optional(s.later(() => s.array(s.enum(algorithmNames)).check(s.minLength(1)))),
  lifetime: s.optional(s.string()),
};

/** The id of a tenant that is a UUID, as its platform writes it. */
export const uuidSchema = (what: string) =>
  s.string().check(s.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, `${what} is a UUID in lower case`));

/** 25 hours, in seconds: the longest life any platform's workload tokens have (Entra's, with its slack). */
const longestLifetime = 25 * 3600;

// Audiences of other services, in lower case: a token made for one of them must not open this door (RFC 8725 section 3.9).
const foreignAudiences: readonly RegExp[] = [
  /^(https:\/\/)?sts\.([a-z0-9-]+\.)?amazonaws\.com(\.cn)?\/?$/,
  /^api:\/\/azureadtokenexchange(usgov|china)?$/,
  /^https:\/\/(management\.azure\.com|management\.core\.windows\.net|graph\.microsoft\.com|vault\.azure\.net)(\/|$)/,
  /^(https?:)?\/\/iam\.googleapis\.com\//,
  /^https:\/\/([a-z0-9-]+\.)*googleapis\.com(\/|$)/,
  /^https:\/\/kubernetes\.default(\.svc(\.cluster\.local)?)?(:\d+)?\/?$/,
  /^https:\/\/git(hub|lab)\.com(\/|$)/,
  /^(aws|azure|gcp|vault)\.workload\.identity$/,
  /^(sigstore|kubernetes|vault|octo-sts\.dev)$/,
];

// One of them is in whatever these fit, and in hardly anything else: nine expressions need not be compiled for most starts.
const foreignWords =
  'amazonaws azure windows.net microsoft googleapis kubernetes git workload.identity sigstore vault octo-sts'.split(
    ' ',
  );

/** Faults of the members every preset shares; paths count from the entry. */
export function commonFaults(config: CommonConfig & { readonly issuer?: string }, use: KeyUse = 'sig'): Fault[] {
  return [
    ...urlFaults('issuer', config.issuer),
    ...urlFaults('jwksUri', config.jwksUri),
    ...sourceFaults(config),
    ...audienceFaults(config.audience),
    ...lifetimeFaults(config.lifetime),
    ...keyFaults(config, use),
  ];
}

export function urlFaults(member: string, url: string | undefined): Fault[] {
  const message = url === undefined ? undefined : urlFault(url);
  return message === undefined ? [] : [{ path: [member], message }];
}

/** Also for `broker.audience`. */
export function audienceFaults(audience: string | undefined, path: readonly string[] = ['audience']): Fault[] {
  if (audience === undefined) return [];
  if (!/^[\x21-\x7e]{1,255}$/.test(audience))
    return [{ path, message: 'an audience is 1 to 255 printable ASCII characters' }];
  const folded = audience.toLowerCase();
  if (!foreignWords.some((word) => folded.includes(word))) return [];
  if (!foreignAudiences.some((foreign) => foreign.test(folded))) return [];
  const message = 'this audience belongs to another service: its tokens would open this door too';
  return [{ path, message, hint: 'leave it out to use the URL of the broker' }];
}

function lifetimeFaults(lifetime: string | undefined): Fault[] {
  if (lifetime === undefined) return [];
  const seconds = parseDuration(lifetime);
  if (seconds === undefined) return [{ path: ['lifetime'], message: 'not a duration', hint: 'such as 15m or 24h' }];
  return seconds > longestLifetime ? [{ path: ['lifetime'], message: 'a lifetime is 25h at most' }] : [];
}

/** Keys come from one place, and only a server can be shown a token or held to a certificate. */
function sourceFaults(config: CommonConfig): Fault[] {
  const [first, second] = (['jwks', 'jwksFile', 'jwksUri'] as const).filter((name) => config[name] !== undefined);
  const both =
    second === undefined ? [] : [{ path: [second], message: `either ${first} or ${second}: keys have one source` }];
  if (first === undefined || first === 'jwksUri') return both;
  const idle = (['jwksAuth', 'ca'] as const).filter((name) => config[name] !== undefined);
  return [...both, ...idle.map((name) => ({ path: [name], message: `with ${first} nothing is fetched` }))];
}

function keyFaults({ jwks, algorithms }: CommonConfig, use: KeyUse): Fault[] {
  if (jwks === undefined) return [];
  const { keys, refused } = readKeySet(jwks.keys, use);
  const bad = refused.map(({ at, problem }): Fault => ({ path: ['jwks', 'keys', at], message: problem }));
  const unused = [...keys.values()]
    .filter(({ alg }) => algorithms !== undefined && !algorithms.includes(alg))
    .map(({ kid, alg }): Fault => {
      const at = jwks.keys.findIndex((jwk) => (jwk as { kid?: unknown }).kid === kid);
      return { path: ['jwks', 'keys', Math.max(at, 0)], message: `algorithms leaves out ${alg}, which this key needs` };
    });
  const none: Fault[] =
    keys.size > 0 || bad.length > 0 ? [] : [{ path: ['jwks', 'keys'], message: `none of these keys is for ${use}` }];
  return [...bad, ...unused, ...none];
}

/** What a platform is known for, where the entry does not say otherwise. */
export interface PlatformDefaults {
  /** Longest `exp - iat`, seconds. */
  readonly lifetime: number;
  /** Of fetched keys; those in the config are believed. */
  readonly algorithms?: readonly Algorithm[];
  readonly keyUse?: KeyUse;
  /** Where its keys are; by discovery if absent. */
  readonly jwksUri?: string;
}

/** The parts of a profile that every preset has. */
export function commonProfile(
  config: IssuerConfig,
  name: string,
  defaults: PlatformDefaults,
): Omit<IssuerProfile, 'identify'> {
  const { keyUse = 'sig' } = defaults;
  const keys = keyOrigin(config, keyUse, defaults.jwksUri);
  const usual = keys.kind === 'static' ? keysAlgorithms(keys) : (defaults.algorithms ?? defaultAlgorithms);
  return {
    name,
    issuer: config.issuer,
    ...(config.audience === undefined ? {} : { audience: config.audience }),
    algorithms: new Set(config.algorithms ?? usual),
    lifetime: (config.lifetime === undefined ? undefined : parseDuration(config.lifetime)) ?? defaults.lifetime,
    form: oidcForm,
    keys,
    keyUse,
    access: {
      ...(config.ca === undefined ? {} : { ca: config.ca }),
      ...(config.jwksAuth === undefined ? {} : { auth: config.jwksAuth }),
    },
  };
}

const keysAlgorithms = (origin: KeyOrigin & { kind: 'static' }) => [...origin.keys.values()].map(({ alg }) => alg);

function keyOrigin(config: IssuerConfig, use: KeyUse, usualUri: string | undefined): KeyOrigin {
  const { issuer, jwks, jwksFile, jwksUri = usualUri } = config;
  if (jwks !== undefined) return { kind: 'static', keys: readKeySet(jwks.keys, use).keys };
  if (jwksFile !== undefined) return { kind: 'file', path: jwksFile };
  return jwksUri === undefined ? { kind: 'discovery', issuer } : { kind: 'url', url: jwksUri };
}
