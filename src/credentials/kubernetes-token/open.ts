import { Secret } from '../../lib/secret.ts';
import { parseDuration } from '../../lib/time.ts';
import { openKubernetes } from '../../sessions/kubernetes.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import type { KubernetesTokenConfig } from '../kubernetes-token.ts';
import { atTarget } from '../target-error.ts';
import { readToken } from './answer.ts';

/** Nothing ends a token early, so it lives an hour at most unless the config says otherwise. */
const defaultMaxTtl = 3600;
/** An API server gives none for less, seconds. */
const least = 600;
/** What a kubelet asks for: an API server may give a year in its place. */
const extended = 3607;

export function open(config: KubernetesTokenConfig, deps: KindDeps): ReadCredential {
  const cluster = openKubernetes(config, deps);
  const target = { kind: config.kind, name: deps.name, log: deps.log };
  const { namespace, serviceAccount, server, audiences } = config;
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? defaultMaxTtl : (parseDuration(config.ttl) as number),
    read: ({ ttl, expiresAt, deadline }) =>
      atTarget(target, async () => {
        let seconds = least;
        // It counts from when the API server makes it: logging in there may have taken some of the lease's time.
        const body = () => {
          const left = Math.min(ttl, Math.ceil((expiresAt - deps.now()) / 1000));
          seconds = Math.max(least, left === extended ? left - 1 : left);
          const spec = { audiences, expirationSeconds: seconds };
          return { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
        };
        const answer = await cluster.ask({ method: 'POST', path, step: 'token', body }, deadline);
        const subject = `system:serviceaccount:${namespace}:${serviceAccount}`;
        const { token, endsAt, id } = readToken(answer, { subject, audiences, seconds, now: deps.now() });
        return {
          data: { token, namespace, serviceAccount, server },
          fingerprinted: new Secret(token),
          ...(id !== undefined && { account: id }),
          ...(endsAt < expiresAt && { expiresAt: endsAt }),
        };
      }),
  };
}
