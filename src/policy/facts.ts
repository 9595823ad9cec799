import type { Identity } from '../lib/identity.ts';
import type { Json } from '../lib/strict-json.ts';

/** What a `when` is asked about. */
export interface Facts {
  /** The whole verified payload, objects as maps. */
  readonly claims: unknown;
  readonly subject: string;
  /** The issuer's name in the config. */
  readonly issuer: string;
}

const longestList = 256;
const longestText = 2048;

const known = new WeakMap<Identity, Facts>();

/** Made once per identity: an identity is a value and does not change. */
export function factsOf(identity: Identity): Facts {
  let facts = known.get(identity);
  if (facts === undefined) {
    facts = { claims: toFact(identity.claims), subject: identity.subject, issuer: identity.issuer };
    known.set(identity, facts);
  }
  return facts;
}

class TooLarge {}

/** Stands for a value beyond the limits: CEL knows no such type, so touching it is an error and denies. */
export const tooLarge: unknown = new TooLarge();

// Maps, not objects: a claim named `constructor` would otherwise be taken for the object's own.
function toFact(value: Json): unknown {
  if (typeof value === 'string') return value.length > longestText ? tooLarge : value;
  // It has lost digits on the way, so it would equal the id of somebody else.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return tooLarge;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.length > longestList ? tooLarge : value.map(toFact);
  const members = Object.entries(value);
  if (members.length > longestList) return tooLarge;
  return new Map(members.map(([name, member]) => [name, toFact(member)]));
}
