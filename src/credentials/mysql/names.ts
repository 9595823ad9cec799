import { isUlid } from '../../lib/ulid.ts';
import { refuse } from './connection.ts';

const prefix = 'hp_';

/** @throws Refusal store_failed for what is no issuance id */
export function accountOf(issuance: string): string {
  if (!isUlid(issuance)) throw refuse('bad_account');
  return prefix + issuance;
}

/** The issuance an account was made for; undefined for what is no account of ours. */
export function issuanceOf(account: unknown): string | undefined {
  if (typeof account !== 'string' || !account.startsWith(prefix)) return undefined;
  const issuance = account.slice(prefix.length);
  return isUlid(issuance) ? issuance : undefined;
}

/** Backticks quote a name whatever the server's sql_mode is. */
export const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

export const quotedAccount = (name: string, from: string): string => `${quoted(name)}@${quoted(from)}`;

/** A text to compare with, as bytes: a quote or a backslash in it has nothing to say. */
export const literal = (text: string): string => `x'${Buffer.from(text).toString('hex')}'`;
