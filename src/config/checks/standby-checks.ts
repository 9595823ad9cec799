import type { Runtime } from '../../lib/platform.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { Report } from '../sections/entries.ts';
import type { Written } from './cross-checks.ts';

/** Confirming is between one log and its one standby. */
export function checkStandbys({ ledger }: Written, runtime: Runtime, report: Report): void {
  const { confirm, follow, shards, kind } = ledger;
  const sharded = typeof shards === 'number' && shards > 1;
  const hint = 'promote it yourself: hallpass ledger promote';
  if (confirm !== undefined && follow !== undefined)
    report({
      path: ['ledger', 'confirm'],
      message: '`confirm` and `follow` exclude each other',
      hint: 'a standby has none of its own; one that took over drops `follow`',
    });
  if (confirm !== undefined && sharded)
    report({
      path: ['ledger', 'confirm'],
      message: 'a ledger of several shards waits for no standby',
      hint: 'take it away, or shards',
    });
  if (confirm !== undefined && runtime !== 'node')
    report({
      path: ['ledger', 'confirm'],
      message: 'only a server that runs can wait for its standby',
      hint: 'run it on Node',
    });
  if (!isJsonObject(follow) || follow.promote === undefined) return;
  if (sharded || kind === 'dynamodb')
    report({
      path: ['ledger', 'follow', 'promote'],
      message: 'only one log in sqlite or postgres takes over by itself',
      hint,
    });
}
