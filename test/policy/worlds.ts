import type { Identity } from '../../src/lib/identity.ts';
import type { IssuerShape } from '../../src/lib/issuer-shape.ts';
import type { Lockdown } from '../../src/lib/lockdown.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import type { RawConfig, RawGrant, World } from './reference.ts';

/** A small fixed vocabulary, so that random grants and identities meet often and miss narrowly. */
const texts = [
  'acme/shop',
  'acme/shop2',
  'Acme/shop',
  'acme/shop/',
  'acme/shop/x',
  'acme:shop',
  'acme//shop',
  'acme',
  'acme/',
  'acme/*',
  '1',
  'true',
  'caf\u00e9/a',
  'cafe\u0301/a',
  '\u0430cme/shop',
  'pull_request',
  'push',
];
const exact = texts.filter((text) => !text.includes('*'));
const patterns = ['acme/*', 'acme/*/*', 'acme:*', 'acme//*', 'acme/shop/*', 'caf\u00e9/*'];
/** Thumbprints of nobody's keys. */
const pins = ['A'.repeat(43), `${'b'.repeat(42)}w`];
const paths = ['team', 'org.team', 'org.team.name', 'a.b', 'a.b.c', 'n', 'flag', '__proto__.x', 'constructor'];

export const shapes: Record<string, IssuerShape> = {
  ci: {
    preset: 'github-actions',
    generic: false,
    members: {
      repository: { type: 'string', prefer: 'repository_id' },
      repository_id: { type: 'string', immutable: true },
      event: { type: 'string' },
      protected: { type: 'boolean' },
      run: { type: 'number' },
    },
    requireNamed: { event: ['pull_request'] },
  },
  shop: {
    preset: 'kubernetes',
    generic: false,
    members: { namespace: { type: 'string' }, serviceAccount: { type: 'string' } },
  },
  any: { preset: 'generic', generic: true, members: {} },
};

export const whens: World['whens'] = {
  'subject == "acme/shop"': ({ subject }) => subject === 'acme/shop',
  'has(claims.n) && claims.n == 1': ({ claims }) => claims.n === 1,
  'claims.flag': ({ claims }) => Object.hasOwn(claims, 'flag') && claims.flag === true,
  'claims.team.startsWith("acme")': ({ claims }) => typeof claims.team === 'string' && claims.team.startsWith('acme'),
  'issuer != "shop"': ({ issuer }) => issuer !== 'shop',
};

export type Random = () => number;

/** Mulberry32: small, seeded, good enough to choose cases. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const one = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const chance = (random: Random, share: number): boolean => random() < share;
const some = <T>(random: Random, list: readonly T[]): T[] => {
  const chosen = list.filter(() => chance(random, 0.4));
  return chosen.length === 0 ? [one(random, list)] : chosen.toSorted(() => random() - 0.5);
};

export function randomWorld(random: Random): World {
  const config: RawConfig = {
    issuers: { ci: {}, shop: {}, any: {} },
    credentials: {
      a: { kind: 'secret', store: 's1' },
      b: { kind: 'postgres', admin: { store: 's2', name: 'x' } },
      c: { kind: 'jwt' },
    },
    roles: {
      list: some(random, ['a', 'b']),
      both: { credentials: some(random, ['b', 'c']), audit: chance(random, 0.5) ? 'read' : ['trace', 'read'] },
      rights: { ledger: 'append', leases: 'revoke', lockdown: 'write' },
    },
    grants: [],
  };
  // Few words to a world, so that several grants match one identity and their order counts.
  const words = some(random, exact).slice(0, 2).concat(one(random, patterns));
  const count = Math.floor(random() * 16);
  for (let at = 0; at < count; at++) config.grants.push(randomGrant(random, `g${at}`, words));
  return { config, generic: ['any'], requireNamed: { ci: { event: ['pull_request'] } }, whens };
}

function randomGrant(random: Random, name: string, words: readonly string[]): RawGrant {
  const grant: RawGrant = {
    name,
    identity: randomIdentityMembers(random, words),
    may: some(random, ['a', 'b', 'c', 'list', 'both', 'rights']),
    ttl: one(random, ['30s', '10m', '1h']),
  };
  if (chance(random, 0.2)) grant.when = one(random, Object.keys(whens));
  if (chance(random, 0.2)) grant.maxTtl = '7d';
  if (chance(random, 0.2)) grant.once = true;
  if (chance(random, 0.2)) grant.tokenLife = true;
  if (chance(random, 0.2)) grant.claims = ['team'];
  if (chance(random, 0.2)) grant.sealTo = one(random, pins);
  return grant;
}

function randomIdentityMembers(random: Random, words: readonly string[]): RawGrant['identity'] {
  const bound = () => one(random, words);
  const issuer = one(random, ['ci', 'shop', 'any']);
  const identity: RawGrant['identity'] = { issuer };
  if (issuer === 'any') {
    const claims: JsonObject = {};
    for (const path of some(random, paths).slice(0, 2)) {
      claims[path] = one<string | number | boolean>(random, [bound(), bound(), 1, true, false]);
    }
    if (chance(random, 0.6)) identity.subject = bound();
    if (identity.subject === undefined || chance(random, 0.5)) identity.claims = claims;
    return identity;
  }
  for (const key of some(random, Object.keys(shapes[issuer]?.members ?? {}))) {
    const type = shapes[issuer]?.members[key]?.type;
    identity[key] = type === 'boolean' ? chance(random, 0.5) : type === 'number' ? one(random, [0, 1, 2]) : bound();
  }
  return identity;
}

/** An identity made to fit one of the world's grants, then, as often as not, bent in one place. */
export function randomIdentity(random: Random, world: World): Identity {
  const target = world.config.grants.length === 0 ? undefined : one(random, world.config.grants);
  const wanted = target?.identity ?? randomIdentityMembers(random, texts);
  const members: Record<string, string | number | boolean> = {};
  const claims: JsonObject = {};
  let subject = one(random, exact);
  for (const [key, value] of Object.entries(wanted)) {
    if (key === 'issuer') continue;
    if (wanted.issuer !== 'any') members[key] = instantiate(random, value as string);
    else if (key === 'subject') subject = instantiate(random, value as string);
    else
      for (const [path, expected] of Object.entries(value as JsonObject)) put(random, claims, path, expected as string);
  }
  if (chance(random, 0.4)) claims.n = one<number | string>(random, [1, '1', 2]);
  if (chance(random, 0.4)) claims.flag = one<boolean | string>(random, [true, 'true', false]);
  if (chance(random, 0.3)) claims.team = one<string | number>(random, ['acme/shop', 'acme', 1]);
  if (chance(random, 0.3) && wanted.issuer === 'ci') members.event = 'pull_request';
  if (chance(random, 0.5)) bend(random, members);
  const issuer = chance(random, 0.05) ? one(random, ['ci', 'shop', 'any', 'unknown', '__proto__']) : wanted.issuer;
  const name = `${issuer}:${one(random, ['acme/shop', 'acme/other'])}`;
  return { issuer, iss: 'https://issuer.example', subject, claims, name, members, disclosed: {} };
}

function instantiate<T>(random: Random, value: T): T {
  if (typeof value !== 'string' || !value.includes('*')) return value;
  return value.replaceAll('*', () => one(random, ['x', 'shop', '', '*', 'x/y'])) as T;
}

function put(random: Random, claims: JsonObject, path: string, value: string): void {
  const cut = chance(random, 0.5) ? path.indexOf('.') : path.lastIndexOf('.');
  const actual = instantiate(random, value);
  if (cut === -1 || chance(random, 0.3)) define(claims, path, actual);
  else define(claims, path.slice(0, cut), { [path.slice(cut + 1)]: actual });
}

// As JSON.parse would: an own member, even when it is named __proto__.
function define(claims: JsonObject, name: string, value: JsonObject | string): void {
  Object.defineProperty(claims, name, { value, enumerable: true, configurable: true, writable: true });
}

function bend(random: Random, members: Record<string, string | number | boolean>): void {
  const key = one(random, Object.keys(members));
  if (key === undefined) return;
  const value = members[key];
  if (chance(random, 0.2)) delete members[key];
  else if (typeof value === 'string')
    members[key] = one(random, [`${value} `, `${value}/`, value.toUpperCase(), ...exact]);
  else members[key] = one<string | number | boolean>(random, [String(value), 1, true, 0, false]);
}

export function randomLockdowns(random: Random): Lockdown[] {
  if (chance(random, 0.6)) return [];
  const match: Record<string, string> = {};
  const members: Record<string, string[]> = {
    issuer: ['ci', 'shop', 'any'],
    identity: ['ci:acme/*', 'shop:acme/shop', '*:acme/*', 'any:*'],
    grant: ['g0', 'g1', 'g2'],
    role: ['list', 'both', 'rights', 'a'],
    credential: ['a', 'b'],
    store: ['s1', 's2'],
  };
  for (const [member, values] of Object.entries(members)) if (chance(random, 0.25)) match[member] = one(random, values);
  const until = one(random, [undefined, undefined, '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z']);
  return [{ id: 'l', epoch: 1, match, ...(until === undefined ? {} : { until }) }];
}
