import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import type { LeaseHolder, Vault } from '../../sessions/vault.ts';
import type { Lease } from '../kind.ts';
import { refuse } from './answer.ts';

const batch = 'batch';

/** What a renewal must know of the token that a lease ends with. Vault itself counts with the end of a batch token. */
export const keptOf = ({ accessor = batch }: LeaseHolder): string => accessor;

/**
 * Prolongs a lease, and before it the token under which it was made: with that it would end, whatever was said of it.
 *
 * @param seconds from now, that both must last
 * @throws UpstreamError no_handle, too_short, token_too_short
 */
export async function renewLease(vault: Vault, { account, kept }: Lease, seconds: number, deadline: Deadline) {
  if (kept === undefined || account === undefined) throw refuse('no_handle', 'renew');
  if (kept !== batch) await prolongToken(vault, kept, seconds, deadline);
  const body = { lease_id: account, increment: seconds };
  const answer = await vault.ask({ method: 'POST', path: 'sys/leases/renew', step: 'renew', body }, deadline);
  if (answer.lease_id !== account || !lasts(answer.lease_duration, seconds)) throw refuse('too_short', 'renew');
}

async function prolongToken(vault: Vault, accessor: string, seconds: number, deadline: Deadline): Promise<void> {
  const ask = (name: string, body: Record<string, Json>) =>
    vault.ask({ method: 'POST', path: `auth/token/${name}`, step: 'renew', body }, deadline);
  const { data } = await ask('lookup-accessor', { accessor });
  // Renewing for less than it has left would shorten it, and everything else that hangs on it.
  if (isJsonObject(data) && lasts(data.ttl, seconds)) return;
  const { auth } = await ask('renew-accessor', { accessor, increment: seconds });
  if (!isJsonObject(auth) || !lasts(auth.lease_duration, seconds)) throw refuse('token_too_short', 'renew');
}

const lasts = (given: Json | undefined, seconds: number): boolean => typeof given === 'number' && given >= seconds;
