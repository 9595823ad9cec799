import { concat } from '../../../lib/bytes.ts';
import type { Change } from '../../log-store.ts';
import { howDurable, type Param, type Request } from './connection.ts';

/** Rows that one commit adds to, or changes in, one table: a column of values for each column. */
interface Part {
  readonly table: string;
  /** Name and type of each column after `log`. */
  readonly columns: readonly (readonly [name: string, type: string])[];
  /** What an older row of the same key becomes; absent: there is none. */
  readonly onConflict?: string;
  readonly values: (change: Change) => readonly (readonly unknown[])[];
}

const updating = (key: string, ...columns: string[]): string =>
  `ON CONFLICT (log, ${key}) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`;

const parts: readonly Part[] = [
  {
    table: 'entries',
    columns: [
      ['idx', 'bigint'],
      ['id', 'text'],
      ['type', 'text'],
      ['issuance', 'text'],
      ['writer', 'text'],
      ['record', 'text'],
      ['leaf', 'bytea'],
      ['tree', 'bigint'],
    ],
    values: ({ entries }) =>
      entries.map((one) => [one.index, one.id, one.type, one.issuance, one.writer, one.record, one.leaf, one.tree]),
  },
  {
    table: 'disclosures',
    columns: [
      ['idx', 'bigint'],
      ['text', 'text'],
    ],
    values: ({ entries }) =>
      entries.flatMap(({ index, disclosure }) => (disclosure === null ? [] : [[index, disclosure]])),
  },
  {
    table: 'checkpoints',
    columns: [
      ['ends', 'bigint'],
      ['note', 'text'],
    ],
    values: ({ checkpoints }) => checkpoints.map(({ end, note }) => [end, note]),
  },
  {
    table: 'subtrees',
    columns: [
      ['base', 'bigint'],
      ['level', 'integer'],
      ['idx', 'bigint'],
      ['hash', 'bytea'],
    ],
    values: ({ subtrees }) => subtrees.map(({ base, level, index, hash }) => [base, level, index, hash]),
  },
  {
    table: 'ended',
    columns: [
      ['generation', 'integer'],
      ['base', 'bigint'],
      ['size', 'bigint'],
    ],
    values: ({ ended }) => ended.map(({ generation, base, size }) => [generation, base, size]),
  },
  {
    table: 'issuances',
    columns: [
      ['id', 'text'],
      ['writer', 'text'],
      ['intent', 'bigint'],
      ['outcome', 'bigint'],
      ['once', 'text'],
      ['expires', 'bigint'],
      ['ended', 'bigint'],
      ['since', 'bigint'],
      ['told', 'bigint'],
    ],
    onConflict: updating('id', 'writer', 'intent', 'outcome', 'once', 'expires', 'ended', 'since', 'told'),
    values: ({ issuances }) =>
      issuances.map(({ id, writer, intent, outcome, once, expiresAt, ended, owed }) => [
        id,
        writer,
        intent,
        outcome,
        once,
        expiresAt,
        ended,
        owed?.since ?? null,
        owed?.told ?? null,
      ]),
  },
  {
    // What is freed has expired for ever: one kind of change for one table, as CockroachDB wants it.
    table: 'held',
    columns: [
      ['id', 'text'],
      ['credential', 'text'],
      ['holder', 'text'],
      ['expires', 'bigint'],
    ],
    onConflict: updating('id', 'expires'),
    values: ({ held, freed }) => [
      ...held.map(({ id, credential, holder, expiresAt }) => [id, credential, holder, expiresAt]),
      ...freed.map((id) => [id, '', '', 0]),
    ],
  },
  {
    table: 'spent',
    columns: [
      ['key', 'text'],
      ['idx', 'bigint'],
    ],
    values: ({ spent }) => spent.map(({ key, index }) => [key, index]),
  },
  {
    table: 'seen',
    columns: [
      ['name', 'text'],
      ['idx', 'bigint'],
    ],
    values: ({ seen }) => seen.map(({ name, index }) => [name, index]),
  },
  {
    table: 'lockdowns',
    columns: [
      ['idx', 'bigint'],
      ['lifted', 'boolean'],
    ],
    onConflict: updating('idx', 'lifted'),
    values: ({ lockdowns }) => lockdowns.map(({ index, lifted }) => [index, lifted]),
  },
];

const headTypes = ['bigint', 'bytea', 'bytea', 'bigint', 'text', 'integer', 'bigint', 'bigint', 'bigint', 'bytea'];

/**
 * One statement, and so one transaction and one round trip: it moves the head, and only where it did adds the rows. Where
 * another holds the head it does not wait: whoever holds it moves it. It answers `moved`, 1 or 0, and whether the commit is
 * durable; and divides by zero (22012), so that nothing is kept, where the tables took fewer rows than they were given. Only
 * the tables that get rows are in it.
 */
export function commitOf(schema: string, log: number, change: Change): Required<Request> {
  const { from, head } = change;
  const { generation, base, size, range, root, epoch, checkpoint } = head;
  const params: Param[] = [
    log,
    ...[size, concat(...range), root, epoch, checkpoint, generation, base, from.base, from.size, from.root],
  ];
  let mask = 0;
  let given = 0;
  const added: string[] = [];
  const inserts: string[] = [];
  for (const [at, { table, columns, onConflict = '', values }] of parts.entries()) {
    const rows = values(change);
    if (rows.length === 0) continue;
    mask |= 1 << at;
    given += rows.length;
    added.push(`SELECT 1 FROM ${table}_in`);
    const names = columns.map(([name]) => name).join(', ');
    const arrays = columns.map(([, type], column) => {
      params.push(rows.map((row) => row[column]) as Param);
      return `$${params.length}::${type}[]`;
    });
    inserts.push(`${table}_in AS (INSERT INTO ${schema}.${table} (log, ${names})
      SELECT $1::integer, ${names} FROM unnest(${arrays.join(', ')}) AS added(${names})
       WHERE EXISTS (SELECT 1 FROM moved) ${onConflict} RETURNING 1)`);
  }
  params.push(given);
  const came = `SELECT count(*) FROM (${added.join(' UNION ALL ')}) AS added`;
  const [a, b, c, d, e, f, g, h, i, j] = headTypes.map((type, at) => `$${at + 2}::${type}`);
  const text = `WITH mine AS (SELECT log FROM ${schema}.head
      WHERE log = $1::integer AND base = ${h} AND size = ${i} AND root = ${j} FOR UPDATE SKIP LOCKED),
    moved AS (UPDATE ${schema}.head h SET size = ${a}, compact = ${b}, root = ${c}, epoch = ${d}, checkpoint = ${e},
      generation = ${f}, base = ${g} FROM mine WHERE h.log = mine.log RETURNING 1), ${inserts.join(', ')}
    SELECT count(*) AS moved, ${howDurable},
      1 / CASE WHEN count(*) = 0 OR (${came}) = $${params.length}::bigint THEN 1 ELSE 0 END AS whole FROM moved`;
  return { statement: { name: `commit_${mask.toString(16)}`, text }, params };
}
