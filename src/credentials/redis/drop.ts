import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../../lib/deadline.ts';
import { type Client, refuse } from './connection.ts';

/** Between two looks at the connections that are ending, milliseconds. */
const lookMs = 25;

/**
 * Ends an account: the user, and with it its connections, which is looked at; and the connection of a make whose outcome
 * is unknown. An account that is not there is fine.
 */
export async function dropAccount(client: Client, account: string, deadline: Deadline): Promise<void> {
  while (deadline.left() > 0) {
    await client.call('ACL', 'DELUSER', account);
    const left = connectionsOf(await client.call('CLIENT', 'LIST'), account, client.username);
    if (left.length === 0) return;
    await Promise.all(left.map((id) => client.call('CLIENT', 'KILL', 'ID', id)));
    await sleep(lookMs);
  }
  throw refuse('slow');
}

/** The ids of the connections that are logged in as the account, or were to make it. Anybody may take a name: only the admin's count. */
function connectionsOf(list: unknown, account: string, admin: string): string[] {
  if (typeof list !== 'string') throw refuse('unreachable');
  return list.split('\n').flatMap((line) => {
    const facts = new Map(line.split(' ').map((fact) => fact.split('=', 2) as [string, string]));
    const ours = facts.get('user') === account || (facts.get('user') === admin && facts.get('name') === account);
    const id = facts.get('id');
    return ours && id !== undefined ? [id] : [];
  });
}
