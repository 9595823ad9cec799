import type { Deadline } from '../../lib/deadline.ts';
import type { Ref } from '../../lib/ref.ts';
import { accountOf } from '../account.ts';
import { openGate } from '../gate.ts';
import type { KindDeps, Lease, TargetCredential } from '../kind.ts';
import type { PostgresConfig } from '../postgres.ts';
import { commentOf, shapeOf } from './account.ts';
import { openAdmin } from './admin.ts';
import { openArming } from './arming.ts';
import type { Client } from './connection.ts';
import { dropAccount } from './drop.ts';
import { findAccount, listAccounts, listOver } from './list.ts';
import { openPool } from './pool.ts';
import { refuse } from './refuse.ts';
import { release } from './release.ts';
import { openShare } from './share.ts';
import { openUser } from './user.ts';

export type TargetConfig = PostgresConfig & { readonly admin: Ref; readonly role: string };

/** How a mode comes to an account; ending one is the same for all. */
export type Mode = Pick<TargetCredential, 'account' | 'make' | 'renew' | 'revocable'>;

export interface ModeDeps {
  readonly config: TargetConfig;
  readonly deps: KindDeps;
  /** On a connection to the configured database, as soon as there is one. */
  readonly admin: <T>(deadline: Deadline, work: (client: Client) => Promise<T>) => Promise<T>;
}

/** What a process does for one credential at a time: one admin connection each, two where it looks into another database. */
const mostAtOnce = 8;
const tooSlow = () => refuse('slow');

/** Accounts as an admin makes or hands them over. An account is ended by its shape, whatever the entry's mode is by now. */
export function openTarget(config: TargetConfig, deps: KindDeps): TargetCredential {
  const asAdmin = openAdmin(config, mostAtOnce, deps);
  const gate = openGate(mostAtOnce);
  const admin: ModeDeps['admin'] = (deadline, work) =>
    gate(deadline, tooSlow, () => asAdmin(config.database, deadline, work));
  const mode = (config.pool ? openPool : config.share ? openShare : openUser)({ config, deps, admin });

  /** Where the account does not derive from the issuance, the role's comment tells. */
  async function accountFor({ issuance, account }: Lease, deadline: Deadline): Promise<string | undefined> {
    const known = account ?? mode.account(issuance);
    if (known !== undefined) return known;
    accountOf(issuance);
    return admin(deadline, (client) => findAccount(client, commentOf(issuance, deps.name)));
  }

  const drop = (account: string, onlyOver: boolean, deadline: Deadline): Promise<void> =>
    gate(deadline, tooSlow, () => dropAccount(asAdmin, config, { account, role: config.role, onlyOver }, deadline));

  /** A shared account may live longer than the leases that a record was left of: who ends one ends what is over besides. */
  async function dropOver(besides: string, deadline: Deadline): Promise<void> {
    const over = await admin(deadline, (client) => listOver(client, config.role, deps.name));
    for (const account of over)
      if (account !== besides)
        await drop(account, true, deadline).catch(({ reason }) => {
          deps.log('error', 'undo_failed', { credential: deps.name, kind: config.kind, reason });
        });
  }

  return {
    made: 'target',
    ...mode,
    async undo(lease, deadline) {
      const account = await accountFor(lease, deadline);
      if (account === undefined) return;
      const shape = shapeOf(account);
      // What a record names is what its writer wrote there: an account of its own is that of its issuance alone.
      if (shape === undefined || (shape === 'own' && account !== accountOf(lease.issuance)))
        throw refuse('bad_account');
      if (shape === 'pooled') {
        const comment = commentOf(lease.issuance, deps.name);
        const next = await openArming(deps, config.iterations, deadline)
          .then(({ arm }) => arm(account))
          .catch(() => undefined);
        return admin(deadline, (client) => release(client, { account, comment, next }, deadline));
      }
      await drop(account, shape === 'shared', deadline);
      if (shape === 'shared') await dropOver(account, deadline);
    },
    accounts: (deadline) => admin(deadline, (client) => listAccounts(client, config.role, deps.name)),
  };
}
