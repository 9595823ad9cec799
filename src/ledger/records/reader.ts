import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { patternOf } from './form.ts';
import { type LedgerRecord, maxRecordBytes, parseRecord } from './record.ts';
import { checkOf, isDigest, isInstant, isText, isTime, isUlid, longestText } from './shape.ts';
import {
  type Bytes,
  base32,
  base64url,
  type Fixed,
  fixedOf,
  isFixedAt,
  isOf,
  isOfAt,
  isOfMinuteAt,
  plain,
} from './units.ts';

/** Forms kept; records are of few, and an odd one must not push out the usual. */
const most = 24;
const mostLeaves = 63;

/** What records have in common with many others. */
export type Common = Pick<LedgerRecord, 'v' | 'type' | 'writer' | 'epoch' | 'kind' | 'policy'>;
const common: ReadonlySet<string> = new Set(['v', 'type', 'writer', 'epoch', 'kind', 'policy']);

/** What a record has of its own, and somebody asks for. */
export const own = { id: 0, issuance: 1, once: 2, request: 3, who: 4, expiresAt: 5 } as const;
const ownMembers = ['id', 'issuance', 'once', 'request', 'identity.who', 'lease.expiresAt'];

/** A record that lies in bytes, and is one of a form that is known. */
export interface Lying {
  /** The same object as long as records of its form have it in common. */
  readonly common: Common;
  /** By `own`: where its value begins in the bytes that were read last, and ends, without quotes; -1 where it has none. */
  readonly froms: Int32Array;
  readonly tos: Int32Array;
}

export interface RecordReader {
  /** Undefined for whatever else `parse` may take. */
  find(text: Bytes, from: number, to: number): Lying | undefined;
  /** As `parseRecord`; its form is known from then on. @throws RecordError */
  parse(text: string): LedgerRecord;
}

/** Records of one type with the same members: their texts differ in the values alone. */
interface Form {
  /** Tells any text of this form, and captures the value of each leaf. */
  readonly pattern: RegExp;
  readonly leaves: readonly Leaf[];
  common: Common;
  /** How the texts read so far are cut: what is the same in all of them, each time up to a leaf that is not. */
  runs: readonly Run[];
  tail: Fixed;
  /** What stands behind the last leaf. */
  readonly ending: string;
  /** By `own`. */
  readonly places: (Place | undefined)[];
}

/** A text, number or flag of a record or of an object in it. */
interface Leaf {
  readonly name: string;
  /** Of the leaf in the member of that name, where that is an object. */
  readonly inner: string | undefined;
  /** What stands between it and the leaf before. */
  readonly lead: string;
  readonly isText: boolean;
  readonly check: (value: Json) => boolean;
  /** One that was found good. */
  good: string;
  readonly isCommon: boolean;
  varies: boolean;
}

interface Run {
  readonly fixed: Fixed;
  readonly leaf: Leaf;
}

/** So far behind where a run begins; behind all of the run where the leaf is the one that varies. */
interface Place {
  readonly run: number;
  readonly offset: number;
  readonly length: number | undefined;
}

/** Reads records as `parseRecord` does, sooner where many have the same members. */
export function openRecordReader(): RecordReader {
  const forms: Form[] = [];
  const begins = new Int32Array(mostLeaves + 1);
  const [froms, tos] = [new Int32Array(ownMembers.length), new Int32Array(ownMembers.length)];

  function lyingAs({ common, places }: Form): Lying {
    for (let member = 0; member < ownMembers.length; member++) {
      const place = places[member];
      const from = place === undefined ? -1 : (begins[place.run] as number) + place.offset;
      froms[member] = from;
      tos[member] =
        place?.length === undefined ? ((place && (begins[place.run + 1] as number)) ?? -1) : from + place.length;
    }
    return { common, froms, tos };
  }

  return {
    find(text, from, to) {
      for (const [at, form] of forms.entries()) {
        if (!liesAs(form, text, from, to, begins)) continue;
        // The next one is most likely of the same form.
        if (at > 0) [forms[0], forms[at]] = [form, forms[0] as Form];
        const lying = lyingAs(form);
        return isAboutItself(text.bytes, lying) ? undefined : lying;
      }
      return undefined;
    },
    parse(text) {
      // Whatever is wrong, the slow way says what.
      const record = parseRecord(text);
      const known = text.length <= maxRecordBytes && forms.some((form) => tellVarying(form, text));
      if (!known && forms.length < most) forms.push(...formOf(record, text));
      return record;
    },
  };
}

function isAboutItself(bytes: Buffer, { froms, tos }: Lying): boolean {
  const [id, issuance] = [froms[own.id] as number, froms[own.issuance] as number];
  return issuance >= 0 && bytes.compare(bytes, id, tos[own.id], issuance, tos[own.issuance]) === 0;
}

/** False where the text is not cut as those before, or says what no such record may. Puts down where runs begin. */
function liesAs(form: Form, text: Bytes, from: number, to: number, begins: Int32Array): boolean {
  const { runs, tail } = form;
  let at = from;
  for (let run = 0; run < runs.length; run++) {
    const { fixed, leaf } = runs[run] as Run;
    begins[run] = at;
    if (!isFixedAt(text, at, fixed)) return false;
    at = endOf(form, leaf, text, at + fixed.length, to);
    if (at < 0) return false;
  }
  begins[runs.length] = at;
  return to - at === tail.length && to - from <= maxRecordBytes && isFixedAt(text, at, tail);
}

/** Where the value ends that begins here; -1 where it is not what the leaf must be. */
function endOf(form: Form, leaf: Leaf, text: Bytes, at: number, to: number): number {
  const { check, good } = leaf;
  const { bytes } = text;
  if (check === isUlid) return (bytes[at] as number) < 0x38 && isOfAt(base32, bytes, at, 26) ? at + 26 : -1;
  if (check === isDigest) return isOfAt(base64url, bytes, at, 43) ? at + 43 : -1;
  if ((check === isTime || check === isInstant) && isOfMinuteAt(bytes, at, good)) return at + 24;
  const end = leaf.isText ? bytes.indexOf(0x22, at) : endOfOther(bytes, at);
  if (end < 0 || end > to) return -1;
  if (check === isText && !leaf.isCommon)
    return end > at && end <= at + longestText && isOfAt(plain, bytes, at, end - at) ? end : -1;
  const part = bytes.toString('latin1', at, end);
  if (part === good) return end;
  if (leaf.isText ? !isOf(plain, part) : !other.test(part)) return -1;
  const value: Json = leaf.isText ? part : JSON.parse(part);
  if (!check(value)) return -1;
  leaf.good = part;
  if (leaf.isCommon) form.common = { ...form.common, ...withMember(form.common, leaf, value) };
  return end;
}

const other = /^(?:0|[1-9][0-9]{0,14}|true|false)$/;

function endOfOther(bytes: Buffer, at: number): number {
  let end = at;
  // No comma and no brace.
  while (bytes[end] !== 0x2c && bytes[end] !== 0x7d && end < at + 16) end++;
  return end;
}

const withMember = (record: Common, { name, inner }: Leaf, value: Json): Partial<Common> => ({
  [name]: inner === undefined ? value : { ...(record[name as keyof Common] as object), [inner]: value },
});

/** Learns which leaves may differ by a text of the form that is not cut as those before. False for one of another form. */
function tellVarying(form: Form, text: string): boolean {
  const captured = form.pattern.exec(text);
  if (captured === null) return false;
  let more = false;
  for (const [at, leaf] of form.leaves.entries()) {
    if (leaf.varies || captured[at + 1] === leaf.good) continue;
    leaf.varies = true;
    more = true;
  }
  if (more) cut(form);
  return true;
}

function cut(form: Form): void {
  const runs: Run[] = [];
  let fixed = '';
  for (const leaf of form.leaves) {
    fixed += leaf.lead;
    const member = ownMembers.indexOf(leaf.inner === undefined ? leaf.name : `${leaf.name}.${leaf.inner}`);
    const length = leaf.varies ? undefined : leaf.good.length;
    if (member >= 0) form.places[member] = { run: runs.length, offset: fixed.length, length };
    if (leaf.varies) {
      runs.push({ fixed: fixedOf(fixed), leaf });
      fixed = '';
    } else fixed += leaf.good;
  }
  form.runs = runs;
  form.tail = fixedOf(fixed + form.ending);
}

/** None where no pattern says it. What a record must have depends on its type alone, so the type is part of the form. */
function formOf(record: LedgerRecord, text: string): Form[] {
  const members = record as unknown as JsonObject;
  if (patternOf(members) === undefined) return [];
  const leaves: Leaf[] = [];
  let lead = '{';
  for (const [name, value] of Object.entries(members)) {
    const inside = isJsonObject(value);
    lead += `"${name}":${inside ? '{' : ''}`;
    for (const [inner, held] of inside ? Object.entries(value) : [[undefined, value] as const]) {
      const check = checkOf(record.type, name, inner);
      if (check === undefined || isJsonObject(held)) return [];
      const isString = typeof held === 'string';
      lead += `${inner === undefined ? '' : `"${inner}":`}${isString ? '"' : ''}`;
      const isCommon = common.has(name);
      leaves.push({ name, inner, lead, isText: isString, check, good: String(held), isCommon, varies: false });
      lead = isString ? '",' : ',';
    }
    if (inside) lead = `${lead.slice(0, -1)}},`;
  }
  const ending = `${lead.slice(0, -1)}}`;
  const { v, type, writer, epoch, kind, policy } = record;
  const like = { v, type, writer, ...{ epoch, kind, policy } } as Common;
  const nothing = { runs: [], tail: fixedOf(''), places: [] };
  const form = { pattern: patternFor(leaves, ending), leaves, common: like, ending, ...nothing };
  cut(form);
  // An empty object has no leaf, and so on: only what is put together again as it was is understood.
  return form.tail.text === text && leaves.length <= mostLeaves ? [form] : [];
}

function patternFor(leaves: readonly Leaf[], ending: string): RegExp {
  const parts = leaves.map(({ name, lead, isText, good }) => {
    const whatever = isText ? '[ !#-[\\]-~]*' : '(?:0|[1-9][0-9]{0,14}|true|false)';
    return `${literally(lead)}(${name === 'type' ? good : whatever})`;
  });
  return new RegExp(`^${parts.join('')}${literally(ending)}$`);
}

const literally = (text: string): string => text.replace(/[{}]/g, '\\$&');
