import { Secret } from '../../lib/secret.ts';
import { instantMs } from '../../lib/time.ts';
import { openSharing } from '../sharing.ts';
import { commentOf } from './account.ts';
import { dataOf } from './data.ts';
import { reach, type SharedAccount } from './reach.ts';
import { refuse } from './refuse.ts';
import { scramVerifier } from './scram.ts';
import type { Mode, ModeDeps } from './target.ts';

/** Mode `share`. An account lives as long as the longest of its leases, and none of them can end it before. */
export function openShare({ config, deps, admin }: ModeDeps): Mode {
  const { role } = config;
  const share = openSharing(
    config,
    deps,
    () => refuse('slow'),
    async ({ name, password, salt }, { id, expiresAt, deadline }) => {
      const verifier = await scramVerifier(password, salt, config.iterations);
      const account: SharedAccount = { name, role, verifier, comment: commentOf(id, deps.name) };
      await admin(deadline, (client) => reach(client, account, instantMs(expiresAt), deadline));
    },
  );
  return {
    revocable: false,
    account: () => undefined,
    async make(request) {
      const { name, password } = await share(request);
      return { data: dataOf(config, name, password), fingerprinted: new Secret(password), account: name };
    },
    async renew({ account }, expiresAt, deadline) {
      if (account === undefined) throw refuse('bad_account');
      await admin(deadline, (client) => reach(client, { name: account }, instantMs(expiresAt), deadline));
    },
  };
}
