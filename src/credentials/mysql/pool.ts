import { toBase64Url } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { shapeOf } from './account.ts';
import { refuse } from './connection.ts';
import { dataOf } from './data.ts';
import { endSessions, shutAccount } from './drop.ts';
import { fillPool, type Pool, poolOf, takeFree } from './free.ts';
import { provideAccount } from './make.ts';
import { literal } from './names.ts';
import { askRoster, at, beginTurn, endTurn, roster, serverNow, settings, turnAt } from './roster.ts';
import type { Mode, ModeDeps } from './target.ts';
import { passwordBytes } from './user.ts';

/** Mode `pool`: users made ahead, each handed over to one issuance at a time, under a password of this issuance alone. */
export function openPool(modeDeps: ModeDeps): Mode {
  const { config, deps, connected, inTurn } = modeDeps;
  const { role, from } = config;
  const pool: Pool = poolOf(config, deps.name);

  /**
   * A user is free again once it was given back or its holder's time is up; then the sessions it has left end first. What
   * comes after the new password was set, and before anybody knows it, can only be a login that was under way before.
   */
  const handOver = (issuance: string, expiresAt: number, password: string, deadline: Deadline): Promise<string> =>
    connected(deadline, async (client) => {
      const holder = { issuance, credential: deps.name, until: expiresAt };
      const take = () => takeFree(client, pool, holder, deps.random, deadline);
      let taken = await take();
      if (taken === undefined) {
        const wait = await fillPool(client, pool, deps.name);
        taken = await take();
        if (taken === undefined) throw allHeld(wait);
      }
      const { turn, heldBefore, dialect } = taken;
      await endTurn(client, turn, { set: '' }, async () => {
        if (heldBefore) await shutAccount(client, turn.account, deadline);
        const account = { name: turn.account, password, from, role };
        do await provideAccount(connected, client, dialect, account, deps.random, deadline);
        while (await endSessions(client, turn.account, deadline));
      });
      return turn.account;
    });

  return {
    account: () => undefined,
    async make({ id, expiresAt, deadline }) {
      const password = toBase64Url(deps.random(passwordBytes));
      const account = await inTurn(deadline, () => handOver(id, expiresAt, password, deadline));
      return { data: dataOf(config, account, password), fingerprinted: new Secret(password), account };
    },
    async renew({ issuance, account = '' }, expiresAt, deadline) {
      if (shapeOf(account) !== 'pooled') throw refuse('bad_account');
      const held = `account = '${account}' AND issuance = ${literal(issuance)} AND until > ${serverNow}`;
      const [row] = await inTurn(deadline, () =>
        connected(deadline, (client) =>
          askRoster(
            client,
            settings(deadline),
            `UPDATE ${roster} SET until = ${at(expiresAt)} WHERE ${held} AND busy <= ${serverNow}`,
            'SELECT ROW_COUNT() AS ours',
          ),
        ),
      );
      if (Number(row?.ours) !== 1) throw refuse('lease_over');
    },
  };
}

/** Takes a pool's user back from this issuance, and from no other: it is shut, its sessions end, and only then it is free. */
export function release(
  { connected, deps }: ModeDeps,
  account: string,
  issuance: string,
  deadline: Deadline,
): Promise<void> {
  return connected(deadline, async (client) => {
    await client.query(settings(deadline));
    const turn = turnAt(account, deps.random);
    if (!(await beginTurn(client, turn, { where: `issuance = ${literal(issuance)}` }, deadline))) return;
    await endTurn(client, turn, { set: `issuance = '', until = ${serverNow}, ` }, async () => {
      await shutAccount(client, account, deadline);
    });
  });
}

/** Nobody's fault: a user is free again when a lease ends, `wait` seconds from now unless one is given back before. */
const allHeld = (wait: number): Refusal =>
  new Refusal('overloaded', 'pool_held', {
    detail: 'All users of the pool are held.',
    retryAfter: wait,
    facts: { kind: 'mysql', reason: 'pool_held' },
  });
