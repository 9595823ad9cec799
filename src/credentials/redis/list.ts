import { issuanceOf } from '../account.ts';
import type { Lease } from '../kind.ts';
import { type Client, refuse } from './connection.ts';

const most = 10_000;

/** The accounts of ours that have the credential's tag. */
export async function listAccounts(client: Client, tag: string): Promise<readonly Lease[]> {
  const users = await client.call('ACL', 'LIST');
  if (!Array.isArray(users)) throw refuse('unreachable');
  const leases = users.flatMap((line): Lease[] => {
    const [, account, ...rules] = String(line).split(' ');
    const issuance = issuanceOf(account);
    return issuance !== undefined && rules.includes(tag) ? [{ issuance, account: account as string }] : [];
  });
  return leases.slice(0, most);
}
