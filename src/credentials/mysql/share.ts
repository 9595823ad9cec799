import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import type { IssueRequest } from '../kind.ts';
import { openSharing, type SharedLogin } from '../sharing.ts';
import { shapeOf } from './account.ts';
import { refuse } from './connection.ts';
import { dataOf } from './data.ts';
import { dialectOf } from './dialect.ts';
import { dropUsers } from './drop.ts';
import { provideAccount } from './make.ts';
import { literal } from './names.ts';
import { at, beginTurn, endTurn, roster, rosterIfAny, serverNow, settings, turnAt } from './roster.ts';
import type { Mode, ModeDeps } from './target.ts';

/** Of those that are over, an undo ends this many at most. */
const mostAtOnce = 20;

/** Mode `share`. An account lives as long as the longest of its leases, and none of them can end it before. */
export function openShare({ config, deps, connected, inTurn }: ModeDeps): Mode {
  const { role, from } = config;

  const reach = ({ name, password, salt }: SharedLogin, { id, expiresAt, deadline }: IssueRequest): Promise<void> =>
    connected(deadline, async (client) => {
      const [row] = await client.query(`${settings(deadline)}; SELECT VERSION() AS version`);
      const turn = turnAt(name, deps.random);
      const until = at(expiresAt);
      const facts = `'${name}', '', ${literal(deps.name)}, ${literal(id)}, ${until}, '', ${serverNow}`;
      const first = [
        `INSERT IGNORE INTO ${roster} (account, pool, credential, issuance, until, worker, busy) VALUES (${facts})`,
      ];
      const claim = { where: 'TRUE', set: `until = GREATEST(until, ${until}), `, first };
      // Who ended it may have deleted the row between the two statements.
      while (!(await beginTurn(client, turn, claim, deadline)));
      const account = { name, password, from, role };
      await endTurn(client, turn, { set: '' }, () =>
        provideAccount(connected, client, dialectOf(String(row?.version)), account, salt, deadline),
      );
    });

  const share = openSharing(
    config,
    deps,
    () => refuse('slow'),
    (login, request) => inTurn(request.deadline, () => reach(login, request)),
  );

  return {
    revocable: false,
    account: () => undefined,
    async make(request) {
      const { name, password } = await share(request);
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password), account: name };
    },
    async renew({ account = '' }, expiresAt, deadline) {
      if (shapeOf(account) !== 'shared') throw refuse('bad_account');
      const turn = turnAt(account, deps.random);
      const claim = { where: 'TRUE', set: `until = GREATEST(until, ${at(expiresAt)}), ` };
      await inTurn(deadline, () =>
        connected(deadline, async (client) => {
          await client.query(settings(deadline));
          if (!(await beginTurn(client, turn, claim, deadline))) throw refuse('lease_over');
          await endTurn(client, turn, { set: '' }, async () => {});
        }),
      );
    },
  };
}

/**
 * Ends a shared account, if all its leases are over, and what else of this credential is: the server has no end of an
 * account, and one may live longer than the leases that a record was left of. By our clock, as the end of a lease is.
 */
export function dropOver({ connected, deps }: ModeDeps, account: string, deadline: Deadline): Promise<void> {
  const over = `until <= ${at(deps.now())}`;
  return connected(deadline, async (client) => {
    await client.query(settings(deadline));
    const rows = await rosterIfAny(
      client,
      `SELECT account FROM ${roster} WHERE pool = '' AND credential = ${literal(deps.name)} AND ${over}
        ORDER BY account <> ${literal(account)} LIMIT ${mostAtOnce}`,
    );
    for (const row of rows) {
      const turn = turnAt(String(row.account), deps.random);
      if (shapeOf(turn.account) === 'shared' && (await beginTurn(client, turn, { where: over }, deadline)))
        await endTurn(client, turn, 'delete', () => dropUsers(client, turn.account, deadline));
    }
  });
}
