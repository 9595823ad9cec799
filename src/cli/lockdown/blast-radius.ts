import type { JsonObject } from '../../lib/strict-json.ts';
import { fitted, table } from '../terminal.ts';
import { cell, objectsIn, text } from './shown.ts';

const countHeadings = ['ISSUED', 'ALIVE', 'REVOCABLE', 'LIVES UNTIL'];

/** What was issued of what a lockdown stops: in all, by credential and by identity. */
export function radiusText(radius: JsonObject, columns: number | undefined): string {
  const { since, issued, alive, revocable, livesUntil, complete, from, unknown, identitiesTotal } = radius;
  const lives = livesUntil === undefined ? '' : `, the others live until ${cell(livesUntil)} at the latest`;
  const lines = [
    `since ${cell(since)}: ${cell(issued)} issued, ${cell(alive)} alive, ${cell(revocable)} of them revocable${lives}`,
  ];
  if (complete === false && from === undefined)
    lines.push('there was no time to look at all of it: more was issued than is counted here, or may have been');
  else if (complete === false)
    lines.push(`this counts what was issued since ${cell(from)}: there was no time for more`);
  if (unknown !== 0)
    lines.push(`${cell(unknown)} more may match: who it was is erased, or another server knows the grant`);
  const counts = (row: JsonObject) => [row.issued, row.alive, row.revocable, row.livesUntil];
  const credentials = objectsIn(radius.credentials).map((row) => [row.credential, row.kind, ...counts(row)].map(cell));
  const identities = objectsIn(radius.identities).map((row) =>
    [row.identity ?? `${text(row.issuer)} (erased)`, ...counts(row)].map(cell),
  );
  const more = Number(identitiesTotal) - identities.length;
  const counted = (rows: readonly string[][]) => table(fitted(rows, 0, columns));
  return [
    `${lines.join('\n')}\n`,
    ...(credentials.length > 0 ? ['\n', counted([['CREDENTIAL', 'KIND', ...countHeadings], ...credentials])] : []),
    ...(identities.length > 0 ? ['\n', counted([['IDENTITY', ...countHeadings], ...identities])] : []),
    ...(more > 0 ? [`and ${more} identities more\n`] : []),
  ].join('');
}
