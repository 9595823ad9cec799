import { issuanceOf } from '../account.ts';

/** What a user is to us, told by its name alone. */
export type AccountShape = 'own' | 'pooled' | 'shared';

export const poolPrefix = 'hp_p_';

export function shapeOf(account: string): AccountShape | undefined {
  if (issuanceOf(account) !== undefined) return 'own';
  if (/^hp_p_[0-9a-f]{16}_[1-9][0-9]{0,3}$/.test(account)) return 'pooled';
  return /^hp_s_[0-9a-f]{26}$/.test(account) ? 'shared' : undefined;
}
