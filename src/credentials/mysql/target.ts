import type { Deadline } from '../../lib/deadline.ts';
import type { Ref } from '../../lib/ref.ts';
import { accountOf } from '../account.ts';
import { openGate } from '../gate.ts';
import type { KindDeps, Lease, TargetCredential } from '../kind.ts';
import type { MysqlConfig } from '../mysql.ts';
import { shapeOf } from './account.ts';
import { type Connected, openConnections, refuse } from './connection.ts';
import { dropAccount } from './drop.ts';
import { listAccounts } from './list.ts';
import { openPool, release } from './pool.ts';
import { findAccount } from './roster.ts';
import { dropOver, openShare } from './share.ts';
import { openUser } from './user.ts';

export type TargetConfig = MysqlConfig & { readonly admin: Ref; readonly role: string };

/** How a mode comes to an account; ending one is the same for all. */
export type Mode = Pick<TargetCredential, 'account' | 'make' | 'renew' | 'revocable'>;

export interface ModeDeps {
  readonly config: TargetConfig;
  readonly deps: KindDeps;
  readonly connected: Connected;
  /** Lets a few pieces of work go on at a time: one admin connection each, and perhaps the account's own. */
  readonly inTurn: <T>(deadline: Deadline, work: () => Promise<T>) => Promise<T>;
}

const mostAtOnce = 8;

/** Users as an admin makes or hands them over. One is ended by its shape, whatever the entry's mode is by now. */
export function openTarget(config: TargetConfig, deps: KindDeps): TargetCredential {
  const connected = openConnections(config, deps.read);
  const gate = openGate(mostAtOnce);
  const inTurn: ModeDeps['inTurn'] = (deadline, work) => gate(deadline, () => refuse('slow'), work);
  const modeDeps: ModeDeps = { config, deps, connected, inTurn };
  const mode = (config.pool ? openPool : config.share ? openShare : openUser)(modeDeps);

  /** Where the account does not derive from the issuance, the roster tells. */
  async function accountFor({ issuance, account }: Lease, deadline: Deadline): Promise<string | undefined> {
    accountOf(issuance);
    return account ?? mode.account(issuance) ?? connected(deadline, (client) => findAccount(client, issuance));
  }

  async function end(lease: Lease, deadline: Deadline): Promise<void> {
    const account = await accountFor(lease, deadline);
    if (account === undefined) return;
    const shape = shapeOf(account);
    // What a record names is what its writer wrote there: an account of its own is that of its issuance alone.
    if (shape === undefined || (shape === 'own' && account !== accountOf(lease.issuance))) throw refuse('bad_account');
    if (shape === 'own') await dropAccount(connected, account, deadline);
    else if (shape === 'pooled') await release(modeDeps, account, lease.issuance, deadline);
    else await dropOver(modeDeps, account, deadline);
  }

  return {
    made: 'target',
    ...mode,
    undo: (lease, deadline) => inTurn(deadline, () => end(lease, deadline)),
    accounts: (deadline) => inTurn(deadline, () => listAccounts(connected, config.role, deps.name, deadline)),
  };
}
