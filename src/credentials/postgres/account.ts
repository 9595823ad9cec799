import { isUlid } from '../../lib/ulid.ts';

/** What a role is to us, told by its name alone. */
export type AccountShape = 'own' | 'pooled' | 'shared';

export const poolPrefix = 'hp_pool_';

export function shapeOf(account: string): AccountShape | undefined {
  if (account.startsWith('hp_') && isUlid(account.slice(3))) return 'own';
  if (/^hp_pool_[0-9a-f]{16}_[1-9][0-9]{0,3}$/.test(account)) return 'pooled';
  return /^hp_s_[0-9a-f]{26}$/.test(account) ? 'shared' : undefined;
}

/** The comment on a role: whose issuance it is, or was the first of; for whoever looks into the server, and for us to find it. */
export const commentOf = (issuance: string, credential: string): string => `hallpass ${issuance} ${credential}`;
