import { toBase64Url } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import { parseDuration } from '../../lib/time.ts';
import { accountOf, issuanceOf } from '../account.ts';
import { hostAndPort } from '../address.ts';
import { openGate } from '../gate.ts';
import type { Issued, IssueRequest, KindDeps, Lease, TargetCredential } from '../kind.ts';
import type { MysqlConfig } from '../mysql.ts';
import { openConnections, refuse } from './connection.ts';
import { dropAccount } from './drop.ts';
import { listAccounts } from './list.ts';
import { makeAccount } from './make.ts';

const passwordBytes = 32;
/** Accounts of one credential that a process makes or ends at a time: one admin connection each, and perhaps the account's own. */
const mostAtOnce = 8;
const tooSlow = () => refuse('slow');

export function open(config: MysqlConfig, deps: KindDeps): TargetCredential {
  const connected = openConnections(config, deps.read);
  const gate = openGate(mostAtOnce);
  const { role, from, ttl } = config;
  return {
    made: 'target',
    ...(ttl === undefined ? {} : { maxTtl: parseDuration(ttl) as number }),
    account: accountOf,
    async make({ id, deadline }: IssueRequest): Promise<Issued> {
      const name = accountOf(id);
      const password = toBase64Url(deps.random(passwordBytes));
      const account = { name, password, from, role };
      await gate(deadline, tooSlow, () => makeAccount(connected, account, deps.random, deadline));
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password) };
    },
    async undo({ issuance, account = accountOf(issuance) }: Lease, deadline: Deadline) {
      if (issuanceOf(account) === undefined) throw refuse('bad_account');
      await gate(deadline, tooSlow, () => dropAccount(connected, account, deadline));
    },
    // The server knows no end of an account: the sweeper ends it when its lease is over, and reads that in the ledger.
    async renew() {},
    accounts: (deadline) => gate(deadline, tooSlow, () => listAccounts(connected, role, deadline)),
  };
}

function dataOf(config: MysqlConfig, username: string, password: string) {
  const { host, port, database } = config;
  const url = `mysql://${username}:${password}@${hostAndPort(config)}/${encodeURIComponent(database)}`;
  return { host, port, database, username, password, url };
}
