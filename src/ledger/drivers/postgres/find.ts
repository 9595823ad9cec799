import { type Found, type Head, type Held, holdingKey, StoreFault, type Wanted } from '../../log-store.ts';
import type { Param, Row, Statement } from './connection.ts';
import { entryJson, entryOfJson, headColumns, headOf, issuanceJson, issuanceOfJson } from './rows.ts';

/** One statement sees one state of the log: the head, and whatever of the wanted keys is there, as JSON. */
export function findStatement(schema: string): Statement {
  const some = (json: string, from: string) => `(SELECT json_agg(${json}) FROM ${schema}.${from})`;
  const disclosures = `LEFT JOIN ${schema}.disclosures d ON d.log = e.log AND d.idx = e.idx`;
  return {
    name: 'find',
    text: `SELECT ${headColumns(schema)},
      ${some(entryJson, `entries e ${disclosures} WHERE e.log = $1 AND e.id = ANY($2::text[])`)} AS entries,
      ${some(issuanceJson, 'issuances i WHERE i.log = $1 AND i.id = ANY($3::text[])')} AS issuances,
      ${some('json_build_array(l.id, l.credential, l.holder, l.expires)', 'held l WHERE l.log = $1 AND l.id = ANY($3::text[]) AND l.expires > 0')} AS held,
      ${some('json_build_array(s.key, s.idx)', 'spent s WHERE s.log = $1 AND s.key = ANY($4::text[])')} AS spent,
      ${some('s.name', 'seen s WHERE s.log = $1 AND s.name = ANY($5::text[])')} AS seen,
      (SELECT json_agg((SELECT count(*) FROM ${schema}.held l
         WHERE l.log = $1 AND l.holder = w.holder AND l.credential = w.credential AND l.expires > $8) ORDER BY w.at)
         FROM unnest($6::text[], $7::text[], $9::integer[]) AS w(holder, credential, at)) AS holding,
      CASE WHEN h.epoch > 0 THEN (SELECT json_agg(${entryJson} ORDER BY e.idx) FROM ${schema}.lockdowns o
         JOIN ${schema}.entries e ON e.log = o.log AND e.idx = o.idx ${disclosures}
         WHERE o.log = $1 AND NOT o.lifted) END AS lockdowns,
      CASE WHEN h.checkpoint <> $10 AND h.base + h.size >= $11 THEN EXISTS (SELECT 1 FROM ${schema}.checkpoints k
         WHERE k.log = $1 AND k.ends = $11 AND k.note = $10) ELSE true END AS grown
      FROM ${schema}.head h WHERE h.log = $1`,
  };
}

export function findParams(log: number, { ids, issuances, spent, seen, holders, now, known }: Wanted): Param[] {
  const [of, credentials] = [holders.map(({ holder }) => holder), holders.map(({ credential }) => credential)];
  return [log, ids, issuances, spent, seen, of, credentials, now, holders.map((_, at) => at), ...knownOf(known)];
}

/** The newest checkpoint that the asker knows, and where its tree ends. */
const knownOf = (known: Head | undefined): [string, number] =>
  known === undefined || known.size === 0 ? ['', Number.MAX_SAFE_INTEGER] : [known.checkpoint, known.base + known.size];

/**
 * @throws StoreFault head_missing, past_changed: another broker's head is of a log that lacks what the asker knows, such as
 * one that a standby without it went on with
 */
export function foundOf(row: Row | undefined, { holders }: Wanted): Found {
  if (row === undefined) throw new StoreFault('head_missing');
  if (row.grown !== true) throw new StoreFault('past_changed');
  const all = <T extends readonly unknown[]>(name: string) => (row[name] ?? []) as readonly T[];
  const held = all<[string, string, string, number]>('held');
  const counts = (row.holding ?? []) as readonly number[];
  return {
    head: headOf(row),
    entries: new Map(
      all('entries')
        .map(entryOfJson)
        .map((entry) => [entry.id, entry]),
    ),
    issuances: new Map(
      all('issuances')
        .map(issuanceOfJson)
        .map((state) => [state.id, state]),
    ),
    spent: new Map(all<[string, number]>('spent')),
    seen: new Set((row.seen ?? []) as readonly string[]),
    lockdowns: all('lockdowns').map(entryOfJson),
    held: new Map(
      held.map(([id, credential, holder, expiresAt]): [string, Held] => [id, { credential, holder, expiresAt }]),
    ),
    holding: new Map(holders.map((one, at) => [holdingKey(one), counts[at] ?? 0])),
  };
}
