import { Refusal } from '../lib/refusal.ts';
import { isUlid } from '../lib/ulid.ts';

/** What a target knows an issuance by: `hp_` and its id, from which no other text can be made. @throws Refusal */
export function accountOf(issuance: string | undefined): string {
  if (!isUlid(issuance)) throw new Refusal('store_failed', 'bad_account');
  return `hp_${issuance}`;
}

/** The issuance an account was made for; undefined for what is no account of ours. */
export function issuanceOf(account: unknown): string | undefined {
  const issuance = typeof account === 'string' && account.startsWith('hp_') ? account.slice(3) : undefined;
  return isUlid(issuance) ? issuance : undefined;
}
