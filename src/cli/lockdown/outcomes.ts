import type { JsonObject } from '../../lib/strict-json.ts';
import { exit } from '../failure.ts';
import type { Shell } from '../shell.ts';
import { shown, tableOrBlocks } from '../terminal.ts';
import { cell, text } from './shown.ts';

const outcomes: Readonly<Record<string, string>> = {
  done: 'revoked',
  recorded: 'recorded, not yet done at the target',
  lives_on: 'cannot be revoked',
  failed: 'failed',
  unknown: 'may match: who it was is erased, or its grant is known to another server only',
};

/** Says how many had which outcome; leaves 75 where something is not done. */
export function told(items: readonly JsonObject[], { terminal, finish }: Shell): readonly JsonObject[] {
  const counts = Object.keys(outcomes).map((outcome) => ({
    outcome,
    count: items.filter((item) => item.outcome === outcome).length,
  }));
  const said = counts.filter(({ count }) => count > 0).map(({ outcome, count }) => `${count} ${outcomes[outcome]}`);
  terminal.err(`${said.length === 0 ? 'nothing was alive' : said.join('; ')}\n`);
  const many = (one: string) => counts.find(({ outcome }) => outcome === one)?.count ?? 0;
  if (many('recorded') > 0) terminal.err('what is recorded is tried until it is gone: `hallpass lease list`\n');
  if (many('failed') > 0) terminal.err('what failed is tried when you run it again: `hallpass lockdown revoke ID`\n');
  if (many('recorded') > 0 || many('failed') > 0) finish(exit.unfinished);
  return items;
}

/** A line for each lease as it is told, or a block where one of them is wider than the terminal. */
export function itemsText(items: readonly JsonObject[], columns: number | undefined): string {
  const rows = items.map(itemRow);
  const lines = rows.map((row) => row.join('  '));
  if (columns === undefined || lines.every((line) => line.length <= columns))
    return lines.map((line) => `${line}\n`).join('');
  return tableOrBlocks(['ID', 'CREDENTIAL', 'ACCOUNT', 'IDENTITY', 'OUTCOME'], rows, columns);
}

function itemRow({ outcome, id, credential, account, identity, expiresAt, reason, stored }: JsonObject): string[] {
  const said = outcomes[text(outcome)] ?? text(outcome);
  const end = stored === true ? ', stays good until it is rotated' : `, lives until ${cell(expiresAt)}`;
  const until = outcome === 'lives_on' ? end : '';
  const why = reason === undefined ? '' : ` (${cell(reason)})`;
  return [...[id, credential, account, identity].map(cell), `${shown(said)}${until}${why}`];
}
