import { toBase64Url } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { accountOf } from '../account.ts';
import { dataOf } from './data.ts';
import { makeAccount } from './make.ts';
import type { Mode, ModeDeps } from './target.ts';

export const passwordBytes = 32;

/** Mode `user`: a user made for one issuance. */
export function openUser({ config, deps, connected, inTurn }: ModeDeps): Mode {
  const { role, from } = config;
  return {
    account: accountOf,
    async make({ id, deadline }) {
      const name = accountOf(id);
      const password = toBase64Url(deps.random(passwordBytes));
      const account = { name, password, from, role };
      await inTurn(deadline, () => makeAccount(connected, account, deps.random, deadline));
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password) };
    },
    // The server knows no end of an account: the sweeper ends it when its lease is over, and reads that in the ledger.
    async renew() {},
  };
}
