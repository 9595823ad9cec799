import type { Deadline } from '../../lib/deadline.ts';
import { isUlid } from '../../lib/ulid.ts';
import { issuanceOf } from '../account.ts';
import type { Lease } from '../kind.ts';
import { shapeOf } from './account.ts';
import type { Connected } from './connection.ts';
import { dialectOf } from './dialect.ts';
import { literal } from './names.ts';
import { roster, rosterIfAny } from './roster.ts';

const most = 10_000;

/**
 * The accounts that this credential has made or handed over and not ended: those of one issuance each are told by the
 * configured role, the others by the roster.
 */
export function listAccounts(
  connected: Connected,
  role: string,
  credential: string,
  deadline: Deadline,
): Promise<readonly Lease[]> {
  return connected(deadline, async (client) => {
    const [row] = await client.query('SELECT VERSION() AS version');
    const held = dialectOf(String(row?.version)).holders(role);
    const own = await client.query(
      `SELECT DISTINCT name FROM (${held}) AS held WHERE LEFT(name, 3) = 'hp_' LIMIT ${most}`,
    );
    const others = await rosterIfAny(
      client,
      `SELECT account, issuance FROM ${roster} WHERE credential = ${literal(credential)} AND issuance <> '' LIMIT ${most}`,
    );
    const leases = [
      ...own.map(({ name }) => ({ issuance: issuanceOf(name), account: String(name) })),
      ...others.map(({ account, issuance }) => ({ issuance: String(issuance), account: String(account) })),
    ];
    const isOurs = (lease: (typeof leases)[number]): lease is Required<Lease> =>
      isUlid(lease.issuance) && shapeOf(lease.account) !== undefined;
    return leases.filter(isOurs).slice(0, most);
  });
}
