import type { StoredEntry } from '../log-store.ts';
import { type Bytes, bytesOf } from '../records/units.ts';

/** The texts of an entry, in the order in which they lie. */
export const column = { id: 0, type: 1, issuance: 2, writer: 3, record: 4, disclosure: 5 } as const;
const columns = 6;

/** What an entry has not, in `lacks`; `type`: its texts are of another type than their columns, so that no look-up finds them. */
export const lacking = { issuance: 1, disclosure: 2, leaf: 4, type: 8 } as const;

/** Entries as their texts lie side by side, none of which becomes one of its own where a look at its bytes will do. */
export interface Rows extends Bytes {
  readonly many: number;
  /** By row. */
  readonly indices: Float64Array;
  readonly trees: Float64Array;
  readonly lacks: Uint8Array;
  /** 32 bytes each. */
  readonly leaves: Uint8Array;
  /** Where a text begins; before that of a record is a zero byte: a leaf is the hash of both (RFC 6962). */
  from(row: number, text: number): number;
  to(row: number, text: number): number;
}

function emptyRows(many: number, buffer: Buffer, leaves: Uint8Array) {
  const [froms, tos] = [new Int32Array(many * columns), new Int32Array(many * columns)];
  return {
    ...bytesOf(buffer),
    many,
    indices: new Float64Array(many),
    trees: new Float64Array(many),
    lacks: new Uint8Array(many),
    leaves,
    froms,
    tos,
    from: (row: number, text: number) => froms[row * columns + text] as number,
    to: (row: number, text: number) => tos[row * columns + text] as number,
  };
}

const separator = 0x1f;

/**
 * Of `INDEX TREE LACKS ID TYPE ISSUANCE WRITER RECORD DISCLOSURE` of each, all with a separator between. Undefined where
 * somebody put a separator or another hash into a value: then there is more than so many entries have.
 */
export function parted(buffer: Buffer, leaves: Uint8Array, many: number): Rows | undefined {
  if (leaves.length !== many * 32) return undefined;
  const rows = emptyRows(many, buffer, leaves);
  let at = 0;
  let short = false;
  for (let row = 0; row < many; row++) {
    rows.indices[row] = number();
    // No tree ends at 0.
    rows.trees[row] = number() || 0;
    rows.lacks[row] = number();
    for (let text = row * columns; text < (row + 1) * columns; text++) {
      rows.froms[text] = at;
      rows.tos[text] = end();
    }
    buffer[rows.from(row, column.record) - 1] = 0;
  }
  return many === 0 || (!short && at === buffer.length + 1) ? rows : undefined;

  /** Of what begins here; the next begins behind the separator. */
  function end(): number {
    short ||= at > buffer.length;
    const found = buffer.indexOf(separator, at);
    const place = found < 0 ? buffer.length : found;
    at = place + 1;
    return place;
  }

  function number(): number {
    const from = at;
    let value = 0;
    // The usual ones, without a text of their own.
    for (let digit = digitAt(at); digit >= 0 && digit <= 9; digit = digitAt(++at)) value = value * 10 + digit;
    if (buffer[at] !== separator || at === from || at > from + 15) {
      at = from;
      return Number(buffer.toString('latin1', from, end()));
    }
    at++;
    return value;
  }

  function digitAt(place: number): number {
    return (buffer[place] ?? 0) - 0x30;
  }
}

/** The same of entries that were read one by one. */
export function rowsOf(entries: readonly StoredEntry[]): Rows {
  const texts = entries.flatMap(({ id, type, issuance, writer, record, disclosure }) => [
    id,
    String(type),
    issuance ?? '',
    writer,
    record,
    disclosure ?? '',
  ]);
  const leaves = Buffer.alloc(entries.length * 32);
  const rows = emptyRows(entries.length, Buffer.from(texts.map((text) => `\0${text}`).join('')), leaves);
  let at = 0;
  for (const [place, text] of texts.entries()) {
    rows.froms[place] = at + 1;
    at += 1 + Buffer.byteLength(text);
    rows.tos[place] = at;
  }
  for (const [row, { index, tree, issuance, disclosure, leaf }] of entries.entries()) {
    rows.indices[row] = index;
    rows.trees[row] = Number.isInteger(tree) ? tree : 0;
    if (leaf.length === 32) leaves.set(leaf, row * 32);
    rows.lacks[row] =
      (issuance === null ? lacking.issuance : 0) +
      (disclosure === null ? lacking.disclosure : 0) +
      (leaf.length === 32 ? 0 : lacking.leaf);
  }
  return rows;
}
