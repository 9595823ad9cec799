import { deadlineIn } from '../../../lib/deadline.ts';
import type { OperatorLog } from '../../../lib/platform.ts';
import type { Lane } from './lane.ts';

const added = ['entries', 'disclosures', 'checkpoints', 'subtrees', 'ended', 'spent', 'seen', 'lockdowns'] as const;
const changed = ['issuances', 'held', 'texts'] as const;
const indexed = ['seen', 'rows', 'names', 'keys', 'times', 'forgotten'].map((name) => `index_${name}`);
const columns = {
  head: ['generation', 'base', 'size', 'compact', 'root', 'epoch', 'checkpoint'],
  lockdowns: ['lifted'],
} as const;

/** What a broker does with its tables; see docs/ledger.md. The third part names a column. */
const neededRights: readonly (readonly [right: string, table: string, column?: string])[] = [
  ...['made', 'head', ...added, ...changed, ...indexed].map((table) => ['SELECT', table] as const),
  ...[...added, ...changed, ...indexed].map((table) => ['INSERT', table] as const),
  ...[...changed, ...indexed].map((table) => ['UPDATE', table] as const),
  ...['held', 'texts', ...indexed].map((table) => ['DELETE', table] as const),
  ...Object.entries(columns).flatMap(([table, names]) => names.map((name) => ['UPDATE', table, name] as const)),
];

/** How long it may take, milliseconds: nobody waits for it. */
const askMs = 5_000;

/** Says which rights the role of a broker lacks: most would be missed only later, one of them by a lockdown. */
export async function sayMissingRights(lane: Lane, schema: string, now: () => number, log: OperatorLog): Promise<void> {
  const names = (at: 0 | 1 | 2) => neededRights.map((right) => right[at] ?? '');
  const text = `SELECT n.right || ' ' || n.of || CASE WHEN n.part = '' THEN '' ELSE '.' || n.part END AS missing
    FROM unnest($1::text[], $2::text[], $3::text[]) AS n("right", of, part)
    WHERE NOT CASE WHEN n.part = '' THEN has_table_privilege('${schema}.' || n.of, n.right)
      ELSE has_column_privilege('${schema}.' || n.of, n.part, n.right) END ORDER BY 1`;
  const rows = await lane.run({ text }, [names(0), names(1), names(2)], deadlineIn(askMs, now), { again: true });
  if (rows.length > 0)
    log('warn', 'ledger_rights', { error: `lacks ${rows.map(({ missing }) => missing).join(', ')}` });
}
