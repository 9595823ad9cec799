import { toBase64Url } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { instantMs, parseDuration } from '../../lib/time.ts';
import { isUlid } from '../../lib/ulid.ts';
import { openGate } from '../gate.ts';
import type { Issued, IssueRequest, KindDeps, TargetCredential } from '../kind.ts';
import type { PostgresConfig } from '../postgres.ts';
import { openAdmin, refuse } from './admin.ts';
import { dropAccount } from './drop.ts';
import { makeAccount } from './make.ts';
import { scramVerifier } from './scram.ts';

const passwordBytes = 32;
/** Accounts of one credential that a process makes or ends at a time: one admin connection each, two across databases. */
const mostAtOnce = 8;
const tooSlow = () => refuse('slow');

export function open(config: PostgresConfig, deps: KindDeps): TargetCredential {
  const asAdmin = openAdmin(config, deps.read);
  const gate = openGate(mostAtOnce);
  const ceiling = config.ttl === undefined ? {} : { maxTtl: parseDuration(config.ttl) as number };
  return {
    made: 'target',
    ...ceiling,
    account: accountOf,
    async make({ id, expiresAt, deadline }: IssueRequest): Promise<Issued> {
      const username = accountOf(id);
      const password = toBase64Url(deps.random(passwordBytes));
      const verifier = await scramVerifier(password, deps.random);
      const account = { name: username, role: config.role, verifier, validUntil: instantMs(expiresAt) };
      await gate(deadline, tooSlow, () => asAdmin(config.database, deadline, (client) => makeAccount(client, account)));
      return { data: dataOf(config, username, password), fingerprinted: new Secret(password) };
    },
    async undo(account, deadline) {
      if (!account.startsWith(prefix) || !isUlid(account.slice(prefix.length))) throw refuse('bad_account');
      await gate(deadline, tooSlow, () => dropAccount(asAdmin, config, account, deadline));
    },
  };
}

const prefix = 'hp_';

function accountOf(issuance: string): string {
  if (!isUlid(issuance)) throw refuse('bad_account');
  return prefix + issuance;
}

function dataOf({ host, port, database }: PostgresConfig, username: string, password: string) {
  const at = host.includes(':') ? `[${host}]` : host;
  const url = `postgres://${username}:${password}@${at}:${port}/${encodeURIComponent(database)}`;
  return { host, port, database, username, password, url };
}
