import { sha256, toBase64Url, toHex } from '../../lib/bytes.ts';
import { Refusal } from '../../lib/refusal.ts';
import { Secret } from '../../lib/secret.ts';
import { instantMs } from '../../lib/time.ts';
import { commentOf, poolPrefix } from './account.ts';
import { openArming } from './arming.ts';
import { dataOf } from './data.ts';
import { fillPool, handOver, type Pool, prolong } from './hand-over.ts';
import { throughRaces } from './races.ts';
import { refuse } from './refuse.ts';
import { scramVerifier } from './scram.ts';
import type { Mode, ModeDeps } from './target.ts';

const passwordBytes = 32;

/** Mode `pool`: users made ahead, each handed over to one issuance at a time, under a password of this issuance alone. */
export function openPool({ config, deps, admin }: ModeDeps): Mode {
  // A role of another name is another pool: these users are members of theirs.
  const tag = toHex(sha256(`hallpass/postgres/pool/${JSON.stringify([deps.name, config.role])}`)).slice(0, 16);
  const pool: Pool = { prefix: `${poolPrefix}${tag}_`, tag, size: config.pool?.size ?? 0, role: config.role };
  return {
    account: () => undefined,
    async make({ id, expiresAt, deadline }) {
      const { mark, passwordOf } = await openArming(deps, config.iterations, deadline);
      const holder = { issuance: id, comment: commentOf(id, deps.name), mark, until: instantMs(expiresAt) };
      const { account, password } = await admin(deadline, async (client) => {
        const take = (verifier?: string) =>
          throughRaces(deadline, () => handOver(client, pool, { ...holder, verifier }, deadline));
        const armed = await take();
        if (armed?.nonce) return { account: armed.account, password: passwordOf(armed.account, armed.nonce) };
        // One that ran out, or has never been handed over, has no password yet.
        const wait = armed === undefined ? await fillPool(client, pool, deadline) : 1;
        const password = toBase64Url(deps.random(passwordBytes));
        const taken = await take(await scramVerifier(password, deps.random, config.iterations));
        if (taken === undefined) throw allHeld(wait);
        return { account: taken.account, password: taken.nonce ? passwordOf(taken.account, taken.nonce) : password };
      });
      return { data: dataOf(config, account, password), fingerprinted: new Secret(password), account };
    },
    async renew({ issuance, account }, expiresAt, deadline) {
      if (account === undefined) throw refuse('bad_account');
      const until = instantMs(expiresAt);
      await admin(deadline, (client) =>
        throughRaces(deadline, () => prolong(client, account, commentOf(issuance, deps.name), until)),
      );
    },
  };
}

/** Nobody's fault: a user is free again when a lease ends, `wait` seconds from now unless one is given back before. */
const allHeld = (wait: number): Refusal =>
  new Refusal('overloaded', 'pool_held', {
    detail: 'All users of the pool are held.',
    retryAfter: wait,
    facts: { kind: 'postgres', reason: 'pool_held' },
  });
