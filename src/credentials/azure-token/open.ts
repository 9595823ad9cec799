import { Secret } from '../../lib/secret.ts';
import { instant, parseDuration } from '../../lib/time.ts';
import { UpstreamError } from '../../lib/upstream.ts';
import { cloudAt } from '../../sessions/azure/cloud.ts';
import { exchangeAssertion } from '../../sessions/azure/exchange.ts';
import type { AzureTokenConfig } from '../azure-token.ts';
import type { KindDeps, ReadCredential } from '../kind.ts';
import { atTarget } from '../target-error.ts';

/** Seconds. Entra gives tokens of about an hour, and of up to a day to clients that can be told of a revocation. */
const usual = 3600;

export function open(config: AzureTokenConfig, deps: KindDeps): ReadCredential {
  const { tenant, client, authority = cloudAt(undefined).authority } = config;
  const resource = config.scope.replace(/\/\.default$/, '');
  return {
    made: 'read',
    maxTtl: config.ttl === undefined ? usual : (parseDuration(config.ttl) as number),
    read: ({ id, expiresAt, deadline }) =>
      atTarget({ kind: 'azure-token', ...deps }, async () => {
        if (deps.assert === undefined) throw new UpstreamError('denied', { step: 'assertion', reason: 'nobody_signs' });
        deps.step?.('assertion');
        const assertion = await deps.assert(deadline, id);
        const at = { tenant, client, authority, resource };
        const { value, expiresAt: until } = await exchangeAssertion(at, assertion, deps, deadline);
        if (until <= deps.now()) throw new UpstreamError('unreachable', { step: 'exchange', reason: 'session_over' });
        return {
          data: { accessToken: value, tokenType: 'Bearer', expiresOn: instant(until) },
          fingerprinted: new Secret(value),
          ...(until < expiresAt && { expiresAt: until }),
        };
      }),
  };
}
