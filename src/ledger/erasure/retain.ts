import { sha256Url } from '../../lib/bytes.ts';
import { durationSchema } from '../../lib/common-schemas.ts';
import * as s from '../../lib/schema/index.ts';
import { parseDuration, parseInstant } from '../../lib/time.ts';
import type { RecordType } from '../records/record.ts';

/** The types of record that may have a disclosure. */
export const disclosedTypes = [
  'intent',
  'issuance',
  'failure',
  'denial',
  'revocation',
  'renewal',
  'session',
  'lockdown',
  'rotation',
  'store-write',
  'erasure',
  'read',
  'sign-in',
] as const satisfies readonly RecordType[];

const years = 100 * 365 * 86_400;
const secondsOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text);

const rule = s.later(() =>
  s.strictObject({ min: s.optional(durationSchema(1, years)), max: s.optional(durationSchema(1, years)) }).check(
    s.refine(({ min, max }) => min !== undefined || max !== undefined, 'expected min, max or both'),
    s.refine(
      ({ min, max }) => (secondsOf(min) ?? 0) <= (secondsOf(max) ?? Number.POSITIVE_INFINITY),
      'min is longer than max',
    ),
  ),
);

const text = s.later(() => s.string().check(s.minLength(1), s.maxLength(512)));
/** As long as one may be that a SPIFFE id is in. */
const identityName = s.later(() => s.string().check(s.minLength(1), s.maxLength(4096)));
const when = s.later(() =>
  s
    .string()
    .check(s.refine((value) => parseInstant(value) !== undefined, 'expected an instant such as 2026-11-22T12:00:00Z')),
);

const hold = s.later(() =>
  s.strictObject({
    name: text,
    /** Why, for whoever reads the config. */
    reason: text,
    type: s.optional(s.enum(disclosedTypes)),
    identity: s.optional(identityName),
    issuer: s.optional(text),
    credential: s.optional(text),
    from: s.optional(when),
    to: s.optional(when),
  }),
);

/** Members of every ledger driver's entry: how long disclosures are kept, and which are kept whatever comes. */
export const retentionMembers = {
  retain: s.optional(
    s.later(() =>
      s.strictObject(
        Object.fromEntries([...disclosedTypes, '*'].map((type) => [type, s.optional(rule)])) as {
          [type in (typeof disclosedTypes)[number] | '*']: ReturnType<typeof s.optional<typeof rule>>;
        },
      ),
    ),
  ),
  hold: s.optional(s.later(() => s.array(hold).check(s.maxLength(100)))),
} as const;

/** How long the disclosures of a type of record are kept; milliseconds. */
export interface Keep {
  /** Never erased before. */
  readonly min: number;
  /** Erased after; absent: kept until somebody erases it. */
  readonly max?: number;
}

/** What a legal hold is decided by. */
export interface Held {
  readonly type: string;
  readonly issuer?: string | undefined;
  readonly credential?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Whether the name in the disclosure fits a pattern. */
  readonly isCalled: (pattern: string) => boolean;
}

/** What a config says of erasing. */
export interface RetentionRules {
  of(type: string): Keep;
  /** Types whose disclosures are erased in time; `*` stands for all that have no entry of their own. */
  readonly timed: readonly string[];
  /** Whether a cursor of this type passes a record. */
  covers(timed: string, type: string): boolean;
  isHeld(about: Held): boolean;
  /** Names of the holds. */
  readonly holds: readonly string[];
  /** Changes with whatever decides what a pass over this type may erase. */
  digest(timed: string): string;
}

type Members = { readonly [member in keyof typeof retentionMembers]?: s.infer<(typeof retentionMembers)[member]> };

/** Reads the checked members of a ledger's entry. */
export function retentionRules(entry: Readonly<Record<string, unknown>>): RetentionRules {
  const { retain = {}, hold: holds = [] } = entry as Members;
  const keeps = new Map(
    Object.entries(retain).map(([type, { min, max } = {}]): [string, Keep] => [
      type,
      { min: (secondsOf(min) ?? 0) * 1000, ...(max !== undefined && { max: (secondsOf(max) as number) * 1000 }) },
    ]),
  );
  const of = (type: string): Keep => keeps.get(type) ?? keeps.get('*') ?? { min: 0 };
  return {
    of,
    timed: [...keeps].filter(([, { max }]) => max !== undefined).map(([type]) => type),
    covers: (timed, type) => (timed === '*' ? !keeps.has(type) : timed === type),
    isHeld: (about) => holds.some((one) => holdsIt(one, about)),
    holds: holds.map(({ name }) => name),
    digest: (timed) => sha256Url(JSON.stringify([of(timed).max, timed === '*' ? [...keeps.keys()] : [], holds])),
  };
}

function holdsIt({ type, identity, issuer, credential, from, to }: s.infer<typeof hold>, about: Held): boolean {
  if (type !== undefined && type !== about.type) return false;
  if (issuer !== undefined && issuer !== about.issuer) return false;
  if (credential !== undefined && credential !== about.credential) return false;
  if (from !== undefined && about.time < (parseInstant(from) as number)) return false;
  if (to !== undefined && about.time >= (parseInstant(to) as number)) return false;
  return identity === undefined || about.isCalled(identity);
}
