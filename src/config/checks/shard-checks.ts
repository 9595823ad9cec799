import { isJsonObject } from '../../lib/strict-json.ts';
import type { Report } from '../sections/entries.ts';
import type { Written } from './cross-checks.ts';

/** In a sharded ledger a token is spent in one shard and a holder's leases are counted in another. */
export function checkShards({ ledger, grants }: Written, report: Report): void {
  if (typeof ledger.shards !== 'number' || ledger.shards < 2) return;
  for (const [at, grant] of grants.entries()) {
    if (!isJsonObject(grant) || grant.once !== true || grant.max === undefined) continue;
    report({
      path: ['grants', at, 'max'],
      message: 'once and max do not go together in a ledger of several shards',
      hint: 'take one of them away, or ledger.shards',
    });
  }
}
