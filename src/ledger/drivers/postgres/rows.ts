import type { Head, IssuanceState, StoredEntry } from '../../log-store.ts';
import type { RecordType } from '../../records/record.ts';
import type { Row } from './connection.ts';

/** Columns of `entries e` and `disclosures d`, as `entryOf` reads them. */
export const entryColumns = 'e.idx, e.id, e.type, e.issuance, e.writer, e.record, d.text AS disclosure, e.leaf, e.tree';

export const entryOf = (row: Row): StoredEntry => ({
  index: row.idx as number,
  id: row.id as string,
  type: row.type as RecordType,
  issuance: row.issuance as string | null,
  writer: row.writer as string,
  record: row.record as string,
  disclosure: row.disclosure as string | null,
  leaf: row.leaf as Uint8Array,
  tree: row.tree as number,
});

/** The same as one JSON array, where entries come beside other things. */
export const entryJson =
  "json_build_array(e.idx, e.id, e.type, e.issuance, e.writer, e.record, d.text, encode(e.leaf, 'hex'), e.tree)";

export function entryOfJson(values: readonly unknown[]): StoredEntry {
  const [idx, id, type, issuance, writer, record, disclosure, leaf, tree] = values;
  return entryOf({
    idx,
    id,
    type,
    issuance,
    writer,
    record,
    disclosure,
    leaf: Buffer.from(leaf as string, 'hex'),
    tree,
  });
}

/** `ended` is JSON: [generation, base, size] of each. */
export const headColumns = (schema: string): string =>
  `h.generation, h.base, h.size, h.compact, h.root, h.epoch, h.checkpoint,
   CASE WHEN h.generation > 1 THEN (SELECT json_agg(json_build_array(o.generation, o.base, o.size) ORDER BY o.generation)
     FROM ${schema}.ended o WHERE o.log = h.log) END AS ended`;

export function headOf(row: Row): Head {
  const compact = row.compact as Uint8Array;
  const ended = (row.ended ?? []) as readonly [number, number, number][];
  return {
    generation: row.generation as number,
    base: row.base as number,
    ended: ended.map(([generation, base, size]) => ({ generation, base, size })),
    size: row.size as number,
    range: Array.from({ length: compact.length / 32 }, (_, at) => compact.subarray(at * 32, at * 32 + 32)),
    root: row.root as Uint8Array,
    epoch: row.epoch as number,
    checkpoint: row.checkpoint as string,
  };
}

export const issuanceJson =
  'json_build_array(i.id, i.writer, i.intent, i.outcome, i.once, i.expires, i.ended, i.since, i.told)';

export function issuanceOfJson(values: readonly unknown[]): IssuanceState {
  const [id, writer, intent, outcome, once, expires, ended, since, told] = values;
  return {
    id: id as string,
    writer: writer as string,
    intent: intent as number | null,
    outcome: outcome as number | null,
    once: once as string | null,
    expiresAt: expires as number | null,
    ended: ended as number | null,
    owed: since === null ? null : { since: since as number, told: told as number | null },
  };
}
