import type { Deadline } from '../../lib/deadline.ts';
import { issuanceOf } from '../account.ts';
import type { Lease } from '../kind.ts';
import type { Connected } from './connection.ts';
import { dialectOf } from './dialect.ts';

const most = 10_000;

/** The accounts of ours that hold the configured role: those of a credential are told by it. */
export function listAccounts(connected: Connected, role: string, deadline: Deadline): Promise<readonly Lease[]> {
  return connected(deadline, async (client) => {
    const [row] = await client.query('SELECT VERSION() AS version');
    const held = dialectOf(String(row?.version)).holders(role);
    const rows = await client.query(
      `SELECT DISTINCT name FROM (${held}) AS held WHERE LEFT(name, 3) = 'hp_' LIMIT ${most}`,
    );
    return rows.flatMap(({ name }) => {
      const issuance = issuanceOf(name);
      return issuance === undefined ? [] : [{ issuance, account: name as string }];
    });
  });
}
