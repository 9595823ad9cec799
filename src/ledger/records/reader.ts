import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { patternOf } from './form.ts';
import { type LedgerRecord, maxRecordBytes, parseRecord } from './record.ts';
import { checkOf, isPlain } from './shape.ts';

/** Forms kept; records are of few, and an odd one must not push out the usual. */
const most = 24;

/** Records of one type with the same members: their texts differ in the values alone. */
interface Form {
  /** Tells any text of this form, and captures the value of each leaf. */
  readonly pattern: RegExp;
  readonly leaves: readonly Leaf[];
  /** The record read last. */
  last: JsonObject;
  /** How the texts read so far are cut: what is the same in all of them, each time up to a leaf that is not. */
  runs: readonly Run[];
  tail: string;
  /** What stands behind the last leaf. */
  readonly ending: string;
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
  /** Whatever passes the check is printable ASCII without quote and backslash. */
  readonly isPlain: boolean;
  /** As it was read last, and found good. */
  text: string;
  varies: boolean;
}

interface Run {
  readonly fixed: string;
  readonly leaf: Leaf;
}

/**
 * Reads records as `parseRecord` does, sooner where many have the same members. What it gives may hold on to the whole text
 * that the record was cut from, and shares objects with what it gave before. The reading throws RecordError.
 */
export function openRecordReader(): (text: string) => LedgerRecord {
  const forms: Form[] = [];

  return (text) => {
    if (text.length <= maxRecordBytes) {
      for (const [at, form] of forms.entries()) {
        const record = readAs(form, text) ?? (tellVarying(form, text) ? readAs(form, text) : undefined);
        if (record === undefined) continue;
        // The next one is most likely of the same form.
        if (at > 0) [forms[0], forms[at]] = [form, forms[0] as Form];
        return record;
      }
    }
    // Whatever is wrong, the slow way says what.
    const record = parseRecord(text);
    if (forms.length < most) forms.push(...formOf(record, text));
    return record;
  };
}

const plain = /^[ !#-[\]-~]*$/;
const other = /(?:0|[1-9][0-9]{0,14}|true|false)/y;
const said: string[] = [];

/** Undefined where the text is not cut as those before, or says what no such record may. */
function readAs(form: Form, text: string): LedgerRecord | undefined {
  const { runs, tail, last } = form;
  let at = 0;
  for (let run = 0; run < runs.length; run++) {
    const { fixed, leaf } = runs[run] as Run;
    const from = at;
    at += fixed.length;
    // Sooner than startsWith.
    if (text.slice(from, at) !== fixed) return undefined;
    const end = leaf.isText ? text.indexOf('"', at) : endOfOther(text, at);
    if (end < 0) return undefined;
    said[run] = text.slice(at, end);
    at = end;
  }
  if (text.slice(at) !== tail) return undefined;
  const record = { ...last };
  for (let run = 0; run < runs.length; run++) {
    const { leaf } = runs[run] as Run;
    const part = said[run] as string;
    if (leaf.isText && !leaf.isPlain && !plain.test(part)) return undefined;
    const value: Json = leaf.isText ? part : JSON.parse(part);
    if (!leaf.check(value)) return undefined;
    if (leaf.inner === undefined) record[leaf.name] = value;
    else record[leaf.name] = { ...(record[leaf.name] as JsonObject), [leaf.inner]: value };
  }
  if (record.issuance !== undefined && record.issuance === record.id) return undefined;
  // All of it was good: what the next one has in common with it needs no look.
  for (let run = 0; run < runs.length; run++) (runs[run] as Run).leaf.text = said[run] as string;
  form.last = record;
  return record as unknown as LedgerRecord;
}

function endOfOther(text: string, at: number): number {
  other.lastIndex = at;
  return other.test(text) ? other.lastIndex : -1;
}

/** Learns which leaves may differ by a text of the form that is not cut as those before. False for any other text. */
function tellVarying(form: Form, text: string): boolean {
  const captured = form.pattern.exec(text);
  if (captured === null) return false;
  let more = false;
  for (const [at, leaf] of form.leaves.entries()) {
    if (leaf.varies || captured[at + 1] === leaf.text) continue;
    leaf.varies = true;
    more = true;
  }
  if (more) cut(form);
  return more;
}

function cut(form: Form): void {
  const runs: Run[] = [];
  let fixed = '';
  for (const leaf of form.leaves) {
    fixed += leaf.lead;
    if (leaf.varies) {
      runs.push({ fixed, leaf });
      fixed = '';
    } else fixed += leaf.text;
  }
  form.runs = runs;
  form.tail = fixed + form.ending;
}

/** None where no pattern says it. What a record must have depends on its type alone, so the type is part of the form. */
function formOf(record: LedgerRecord, text: string): Form[] {
  const last = record as unknown as JsonObject;
  if (patternOf(last) === undefined) return [];
  const leaves: Leaf[] = [];
  let lead = '{';
  for (const [name, value] of Object.entries(last)) {
    const inside = isJsonObject(value);
    lead += `"${name}":${inside ? '{' : ''}`;
    for (const [inner, held] of inside ? Object.entries(value) : [[undefined, value] as const]) {
      const check = checkOf(record.type, name, inner);
      if (check === undefined || isJsonObject(held)) return [];
      const isText = typeof held === 'string';
      lead += `${inner === undefined ? '' : `"${inner}":`}${isText ? '"' : ''}`;
      leaves.push({ name, inner, lead, isText, check, isPlain: isPlain(check), text: String(held), varies: false });
      lead = isText ? '",' : ',';
    }
    if (inside) lead = `${lead.slice(0, -1)}},`;
  }
  const ending = `${lead.slice(0, -1)}}`;
  const form = { pattern: patternFor(leaves, ending), leaves, last, runs: [], tail: '', ending };
  cut(form);
  // An empty object has no leaf, and so on: only what is put together again as it was is understood.
  return form.tail === text ? [form] : [];
}

function patternFor(leaves: readonly Leaf[], ending: string): RegExp {
  const parts = leaves.map(({ name, lead, isText, text }) => {
    const whatever = isText ? '[ !#-[\\]-~]*' : '(?:0|[1-9][0-9]{0,14}|true|false)';
    return `${literally(lead)}(${name === 'type' ? text : whatever})`;
  });
  return new RegExp(`^${parts.join('')}${literally(ending)}$`);
}

const literally = (text: string): string => text.replace(/[{}]/g, '\\$&');
