import type { Deadline } from '../../lib/deadline.ts';
import { Secret } from '../../lib/secret.ts';
import type { JsonObject } from '../../lib/strict-json.ts';
import { parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { openVault } from '../../sessions/vault.ts';
import type { Issued, KindDeps, TargetCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';
import type { VaultKindConfig } from '../vault.ts';
import { dataIn, isLeaseId, leaseIn, refuse } from './answer.ts';
import { keptOf, renewLease } from './renew.ts';

export function open(config: VaultKindConfig, deps: KindDeps): TargetCredential {
  const { path, method, parameters, fingerprint } = config;
  const vault = openVault(config, deps);
  const target = { kind: config.kind, name: deps.name, log: deps.log };
  const call =
    method === 'read'
      ? ({ method: 'GET', path, step: 'make' } as const)
      : ({ method: 'POST', path, step: 'make', body: { ...parameters } } as const);

  async function revoke(lease: string, deadline: Deadline): Promise<void> {
    const body = { lease_id: lease, sync: true };
    const done = vault.ask({ method: 'POST', path: 'sys/leases/revoke', step: 'revoke', body }, deadline);
    await done.catch((error) => {
      if (!(error instanceof UpstreamError) || error.facts.code !== 'no_such_lease') throw error;
    });
  }

  /** What is handed over of an answer; the lease ends when Vault's does, or the token under which it was given. */
  function issuedOf(answer: JsonObject, account: string, kept: string, endsAt: number, expiresAt: number): Issued {
    const data = dataIn(answer);
    const covered = fingerprint === undefined ? undefined : Object.hasOwn(data, fingerprint) && data[fingerprint];
    if (covered !== undefined && typeof covered !== 'string') throw refuse('no_such_member');
    if (endsAt <= deps.now()) throw refuse('lease_over');
    return {
      data,
      account,
      kept,
      ...(covered !== undefined && { fingerprinted: new Secret(covered) }),
      ...(endsAt < expiresAt && { expiresAt: endsAt }),
    };
  }

  return {
    made: 'target',
    ...(config.ttl !== undefined && { maxTtl: parseDuration(config.ttl) as number }),
    account: () => undefined,
    make: ({ expiresAt, deadline }) =>
      atTarget(target, async () => {
        const asked = deps.now();
        const { answer, holder } = await vault.lease(call, deadline);
        const { id, seconds } = leaseIn(answer);
        try {
          const endsAt = Math.min(asked + seconds * 1000, holder.endsAt);
          return issuedOf(answer, id, keptOf(holder), endsAt, expiresAt);
        } catch (error) {
          await atTarget(target, () => revoke(id, deadline)).catch(() => {});
          throw error;
        }
      }),
    async undo({ issuance, account }, deadline) {
      if (account === undefined) {
        // Nobody knows the lease of an answer that was never got; Vault ends it when its time is over.
        deps.log('info', 'lease_unknown', { credential: deps.name, kind: config.kind, issuance });
        return;
      }
      await atTarget(target, async () => {
        if (!isLeaseId(account)) throw refuse('bad_account', 'revoke');
        await revoke(account, deadline);
      });
    },
    renewedByHandle: true,
    renew: (lease, expiresAt, deadline) =>
      atTarget(target, () => renewLease(vault, lease, Math.ceil((expiresAt - deps.now()) / 1000), deadline)),
  };
}
