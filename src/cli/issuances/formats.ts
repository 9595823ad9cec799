import { csvHead, csvLine } from '../../http/items.ts';
import type { PlacedEntry } from '../../ledger/ledger.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { isJsonObject, type Json, type JsonObject } from '../../lib/strict-json.ts';
import { ocsfEvent } from '../../sinks/formats/ocsf.ts';
import { exit, Failure } from '../failure.ts';
import { fitted, plainJson, shown, table, widthOf } from '../terminal.ts';

export const itemFormats = ['table', 'json', 'ndjson', 'csv', 'ocsf'] as const;
export type ItemFormat = (typeof itemFormats)[number];

/** @throws Failure for a format that is none of these */
export function chooseFormat<F extends ItemFormat>(
  { format, json }: { readonly format: string; readonly json?: boolean },
  formats: readonly F[],
): F {
  const chosen = json === true ? 'json' : format;
  const found = formats.find((one) => one === chosen);
  if (found !== undefined) return found;
  throw new Failure(exit.usage, `unknown format ${JSON.stringify(shown(chosen))}`, formats.join(', '));
}

/** Writes items page by page; what comes first of all is written once. */
export interface Writer {
  page(items: readonly JsonObject[]): string;
  end(): string;
}

export function writerOf(format: ItemFormat, columns: number | undefined, disclosures = true): Writer {
  let begun = false;
  const first = () => {
    const is = !begun;
    begun = true;
    return is;
  };
  const lines = (line: (item: JsonObject) => string): Writer => ({
    page: (items) => items.map(line).join(''),
    end: () => '',
  });
  switch (format) {
    case 'table': {
      const without = new Set<string>();
      return {
        page(items) {
          const rows = items.map((item) => row(item, disclosures));
          if (first()) rows.unshift(headings);
          return rows.length === 0 ? '' : table(columns === undefined ? rows : narrowed(rows, columns, without));
        },
        end: () => '',
      };
    }
    case 'json':
      return {
        page: (items) => items.map((item) => `${first() ? '{"items":[\n' : ',\n'}${plainJson(item)}`).join(''),
        end: () => `${first() ? '{"items":[' : '\n'}]}\n`,
      };
    case 'csv':
      return {
        page: (items) => `${first() ? csvHead : ''}${items.map((item) => csvLine(entryOf(item))).join('')}`,
        end: () => '',
      };
    case 'ocsf':
      return lines((item) => `${plainJson(ocsfEvent(entryOf(item)))}\n`);
    case 'ndjson':
      return lines((item) => `${plainJson(item)}\n`);
  }
}

function entryOf({ log, index, record, disclosure }: JsonObject): PlacedEntry {
  return {
    log: String(log),
    index: Number(index),
    leaf: Number(index),
    record: canonicalJson(record ?? {}),
    disclosure: typeof disclosure === 'string' ? disclosure : null,
  };
}

const headings = ['INDEX', 'TIME', 'TYPE', 'CREDENTIAL', 'GRANT', 'REASON', 'IDENTITY', 'ISSUANCE'];

/** What is shortened on a terminal that is too narrow, and then what is left out, in this order; `show` has it in full. */
const shortened = ['IDENTITY', 'CREDENTIAL', 'GRANT', 'REASON'];
const spare = ['GRANT', 'REASON', 'INDEX'];

/** Rows no wider than a terminal. What one page leaves out stays out: it is added to `without`. */
function narrowed(rows: readonly string[][], width: number, without: Set<string>): string[][] {
  const whole = widthOf(rows) <= width;
  const cells = rows.map((row) => row.map((cell) => (whole ? cell : cell.replace(milliseconds, '$1Z'))));
  for (;;) {
    const names = headings.filter((name) => !without.has(name));
    let kept = cells.map((row) => row.filter((_, at) => names.includes(headings[at] as string)));
    for (const name of shortened)
      if (names.includes(name)) kept = fitted(kept, names.indexOf(name), width, shortestCell);
    const next = spare.find((name) => !without.has(name));
    if (next === undefined || widthOf(kept) <= width) return kept;
    without.add(next);
  }
}

const shortestCell = 8;
const milliseconds = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{3}Z$/;

/** One line for each record. */
function row(item: JsonObject, disclosures: boolean): string[] {
  const { record, who, issuance } = partsOf(item, disclosures);
  const { time, type, credential, grant, reason } = record;
  return [placeOf(item), time, type, credential, grant, reason, who, issuance].map((value) => cell(value));
}

/** One block for each record, the oldest first: the story in the order it happened; `ids`: with the issuance each is of. */
export const asStory = (items: readonly JsonObject[], ids = false): string =>
  [...items]
    .sort((a, b) => timeOf(a).localeCompare(timeOf(b)) || Number(a.index) - Number(b.index))
    .map((item) => block(item, ids))
    .join('\n');

const timeOf = (item: JsonObject): string => String(objectOf(item.record).time);

function block(item: JsonObject, ids: boolean): string {
  const { record, disclosed, who, issuance } = partsOf(item);
  const { expiresAt, ttl, account, revocable } = objectOf(record.lease);
  const lease =
    record.lease === undefined ? undefined : `until ${expiresAt} (${ttl} s, ${revocable ? '' : 'not '}revocable)`;
  const lines: [string, Json | undefined][] = [
    ['issuance', ids ? issuance : undefined],
    ['credential', record.credential],
    ['grant', record.grant],
    ['reason', record.reason],
    ['count', record.count],
    ['lease', lease],
    ['account', account],
    ['identity', who],
    ['why', disclosed.why],
    ['address', disclosed.address],
  ];
  const known = lines.filter(([, value]) => value !== undefined).map(([name, value]) => [`  ${name}`, cell(value)]);
  return `${placeOf(item)}  ${cell(record.time)}  ${cell(record.type)}\n${table(known)}`;
}

/** The index, after what the log's name has beyond its ledger's: `/shard`, `~generation` or both. */
function placeOf({ log, index }: JsonObject): string {
  const [suffix = ''] = /(?:\/\d{1,2})?(?:~\d{1,9})?$/.exec(String(log)) ?? [];
  return cell(suffix === '' ? index : `${suffix}:${index}`);
}

function partsOf(item: JsonObject, disclosures = true) {
  const record = objectOf(item.record);
  const disclosed = objectOf(item.disclosed);
  const { issuer } = objectOf(record.identity);
  const who = disclosed.name ?? (issuer === undefined || !disclosures ? issuer : `${issuer} (erased)`);
  return { record, disclosed, who, issuance: record.issuance ?? (record.type === 'issuance' ? record.id : undefined) };
}

const objectOf = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

const cell = (value: Json | undefined) =>
  value === undefined ? '-' : shown(typeof value === 'string' ? value : JSON.stringify(value));

/** The items of an answer. */
export const itemsIn = ({ items }: JsonObject): JsonObject[] =>
  Array.isArray(items) ? items.filter(isJsonObject) : [];
