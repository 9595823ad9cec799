import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { parseInstant } from '../../lib/time.ts';
import type { RecordType } from './record.ts';
import { base32, base64url, digits, isOf } from './units.ts';

type Check = (value: Json) => boolean;

type Shape = Readonly<Record<string, Check>>;

/** Characters. */
export const longestText = 2048;
export const isText: Check = (value) => typeof value === 'string' && value.length > 0 && value.length <= longestText;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive: Check = (value) => isCount(value) && value !== 0;
const isObject: Check = (value) => isJsonObject(value);
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
export const isDigest: Check = (value) => typeof value === 'string' && value.length === 43 && isOf(base64url, value);
/** `sha256:` and the base64url of a policy's digest. */
export const isPolicyHash = matches(/^sha256:[A-Za-z0-9_-]{43}$/);
const isWord = matches(/^[a-z][a-z0-9_]{0,63}$/);

/** Of many instants in a row most are of one minute; then only what is behind that is looked at. */
function instants(): Check {
  let minute = '';

  /** With a second below 60 and three decimals: nothing else can make it none. */
  function isOfSameMinute(text: string): boolean {
    if (text.length !== 24 || minute === '') return false;
    for (let at = 0; at < 17; at++) if (text.charCodeAt(at) !== minute.charCodeAt(at)) return false;
    const digit = (at: number) => digits[text.charCodeAt(at)] === 1;
    const seconds = digit(17) && text.charCodeAt(17) < 0x36 && digit(18);
    return seconds && text[19] === '.' && digit(20) && digit(21) && digit(22) && text[23] === 'Z';
  }

  return (value) => {
    if (typeof value !== 'string') return false;
    if (isOfSameMinute(value)) return true;
    if (parseInstant(value) === undefined) return false;
    if (value.length === 24) minute = value.slice(0, 17);
    return true;
  };
}

export const isInstant = instants();
const isAnyTime = instants();
export const isTime: Check = (value) => isAnyTime(value) && (value as string).length === 24;
const isOneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string);

const writerShape: Shape = { name: isText, instance: isText, version: isText };
const identityShape: Shape = { issuer: isText, who: isDigest };
const leaseShape: Shape = { expiresAt: isInstant, ttl: isCount, revocable: (flag) => typeof flag === 'boolean' };
const leaseMayHave: Shape = { account: isText };
export const isUlid: Check = (value) =>
  typeof value === 'string' && value.length === 26 && value.charCodeAt(0) < 0x38 && isOf(base32, value);
const isWriter: Check = (value) => hasMembers(value, writerShape);
const isIdentity: Check = (value) => hasMembers(value, identityShape);
const isLease: Check = (value) => hasMembers(value, leaseShape, leaseMayHave);
const isCounts: Check = (value) => isJsonObject(value) && Object.values(value).every(isCount);

// A record that was never text may hold members that are undefined: they are not there.
const has = (value: JsonObject, member: string): boolean => Object.hasOwn(value, member) && value[member] !== undefined;

function hasMembers(value: Json, needed: Shape, optional: Shape = {}): boolean {
  if (!isJsonObject(value)) return false;
  for (const member of Object.keys(needed)) if (!has(value, member)) return false;
  for (const [member, held] of Object.entries(value)) {
    if (held === undefined) continue;
    const shape = Object.hasOwn(needed, member) ? needed : optional;
    if (!Object.hasOwn(shape, member) || shape[member]?.(held) !== true) return false;
  }
  return true;
}

const everywhere: Shape = {
  v: (value) => value === 1,
  type: isText,
  id: isUlid,
  time: isTime,
  writer: isWriter,
};
const caused: Shape = { request: isText, trace: matches(/^[0-9a-f]{32}$/), identity: isIdentity };
const about: Shape = { credential: isText, kind: isText, store: isText, version: isText };
const decision: Shape = { grant: isText, policy: isPolicyHash, epoch: isCount };
const decided: Shape = { ...caused, ...about, ...decision };

/** Per type: the members it must have, and those it may have beside what every record has. */
const shapes: Readonly<Record<RecordType, readonly [needed: Shape, optional: Shape]>> = {
  intent: [
    { issuance: isUlid, credential: isText, kind: isText, epoch: isCount },
    { ...decided, once: isDigest, lease: isLease },
  ],
  issuance: [
    { credential: isText, kind: isText, epoch: isCount },
    {
      ...decided,
      once: isDigest,
      lease: isLease,
      fingerprint: matches(/^hmac-sha256:[A-Za-z0-9_-]{43}$/),
      fingerprintKey: matches(/^[A-Za-z0-9_-]{1,64}$/),
    },
  ],
  failure: [
    { issuance: isUlid, reason: isWord },
    { ...decided, count: isPositive },
  ],
  denial: [{ reason: isWord, count: isPositive }, decided],
  revocation: [{ issuance: isUlid }, { ...decided, reason: isWord, count: isPositive }],
  renewal: [
    { issuance: isUlid, lease: isLease },
    { ...decided, once: isDigest },
  ],
  session: [{ audience: isText }, { ...decided, issuance: isUlid }],
  lockdown: [
    { op: isOneOf('add', 'lift'), target: isText, epoch: isPositive },
    { ...caused, ...decision, until: isInstant, reason: isWord, count: isPositive },
  ],
  policy: [{ hash: isPolicyHash }, { ...caused, grants: isCount, credentials: isCount }],
  key: [{ purpose: isText, kid: isText, jwk: isObject, state: isOneOf('begin', 'end') }, caused],
  rotation: [
    { credential: isText, step: isText },
    { ...decided, reason: isWord },
  ],
  'store-write': [{ store: isText, version: isText }, decided],
  erasure: [{ count: isCount }, { ...caused, ...decision }],
  read: [
    { query: isDigest, items: isCount },
    { ...caused, ...decision },
  ],
  'sign-in': [{}, { ...caused, ...decision, reason: isWord }],
  // A log ends, and names its successor; or begins, and commits to the tree before it: `size` entries with that `root`,
  // of which the first `kept` are still there (absent: all).
  roll: [
    { state: isOneOf('end', 'begin'), log: isText },
    { ...caused, size: isCount, root: isDigest, kept: isCount, reason: isWord },
  ],
  summary: [
    { from: isInstant, to: isInstant, counts: isCounts },
    { ...caused, issuer: isText },
  ],
};

const merged = new Map(
  Object.entries(shapes).map(([type, [needed, optional]]) => [
    type,
    {
      needed: Object.keys({ ...everywhere, ...needed }),
      checks: new Map(Object.entries({ ...everywhere, ...optional, ...needed })),
    },
  ]),
);

/** The objects whose members are known by name. */
const inside = new Map<Check | undefined, Shape>([
  [isWriter, writerShape],
  [isIdentity, identityShape],
  [isLease, { ...leaseShape, ...leaseMayHave }],
]);

/**
 * What a member of a record of this type must fit, or one inside that member; undefined where it has none of that name. An
 * object whose members fit one by one is still to have all that it needs.
 */
export function checkOf(type: RecordType, member: string, inner?: string): Check | undefined {
  const check = merged.get(type)?.checks.get(member);
  if (inner === undefined) return check;
  const shape = inside.get(check);
  return shape !== undefined && Object.hasOwn(shape, inner) ? shape[inner] : undefined;
}

/** Why an object is no record, as a stable word; undefined when it has the members of its type and no others. */
export function shapeFault(record: JsonObject): string | undefined {
  const shape = merged.get(record.type as string);
  if (shape === undefined) return 'unknown_type';
  for (const member of shape.needed) if (!has(record, member)) return `${member}_missing`;
  for (const member of Object.keys(record)) {
    if (record[member] === undefined) continue;
    const check = shape.checks.get(member);
    // The name of an unknown member is the sender's word and goes into no reason.
    if (check === undefined) return 'unknown_member';
    if (!check(record[member] as Json)) return `${member}_malformed`;
  }
  if (record.type === 'session' && has(record, 'store') === has(record, 'credential')) return 'store_missing';
  if (record.issuance === record.id) return 'issuance_malformed';
  return undefined;
}
