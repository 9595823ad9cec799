import { toBase64Url } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { parseDuration } from '../../lib/time.ts';
import { accountOf } from '../account.ts';
import { hostAndPort, usesTls } from '../address.ts';
import { openGate } from '../gate.ts';
import type { Issued, IssueRequest, KindDeps, TargetCredential } from '../kind.ts';
import type { RedisConfig } from '../redis.ts';
import { openAdmin, refuse } from './connection.ts';
import { dropAccount } from './drop.ts';
import { listAccounts } from './list.ts';
import { makeAccount } from './make.ts';

const passwordBytes = 32;
/** Accounts of one credential that a process makes or ends at a time: one admin connection each. */
const mostAtOnce = 8;
const tooSlow = () => refuse('slow');

export function open(config: RedisConfig, deps: KindDeps): TargetCredential {
  const asAdmin = openAdmin(config, deps.read);
  const gate = openGate(mostAtOnce);
  const tag = `&hallpass:${deps.name}`;
  const rules = config.rules.map(besideOthers);
  return {
    made: 'target',
    ...(config.ttl === undefined ? {} : { maxTtl: parseDuration(config.ttl) as number }),
    account: accountOf,
    async make({ id, deadline }: IssueRequest): Promise<Issued> {
      const name = accountOf(id);
      const password = toBase64Url(deps.random(passwordBytes));
      const account = { name, password, rules, tag };
      await gate(deadline, tooSlow, () => asAdmin(deadline, (client) => makeAccount(client, account)));
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password) };
    },
    async undo({ issuance, account = accountOf(issuance) }, deadline) {
      // What a record names is what its writer wrote there.
      if (account !== accountOf(issuance)) throw refuse('bad_account');
      await gate(deadline, tooSlow, () => asAdmin(deadline, (client) => dropAccount(client, account, deadline)));
    },
    // The server knows no end of an account: the sweeper ends it when its lease is over, and reads that in the ledger.
    async renew() {},
    accounts: (deadline) => gate(deadline, tooSlow, () => asAdmin(deadline, (client) => listAccounts(client, tag))),
  };
}

/** After a rule for all channels the server takes no other, and so no tag; after one for each that has a name it does. */
const besideOthers = (rule: string): string => (/^(allchannels|&\*)$/i.test(rule) ? '&?*' : rule);

function dataOf(config: RedisConfig, username: string, password: string) {
  const { host, port, database } = config;
  const scheme = usesTls(config) ? 'rediss' : 'redis';
  const path = database === undefined ? '' : `/${database}`;
  const url = `${scheme}://${username}:${password}@${hostAndPort(config)}${path}`;
  return { host, port, ...(database === undefined ? {} : { database }), username, password, url };
}
