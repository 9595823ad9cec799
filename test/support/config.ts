import { join } from 'node:path';
import { type TestIssuer, testIssuer } from './issuer.ts';
import { runCli, writeConfig } from './server.ts';

export const audience = 'https://pass.test';
export const secretValue = 'correct-horse-not-a-real-secret';

/** A config on embedded parts with one static issuer: a stored secret, a signed token, an auditor. */
export function embeddedConfig(
  folder: string,
  issuer: TestIssuer,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    broker: { url: audience, signer: { kind: 'local', path: join(folder, 'keys') } },
    ledger: { kind: 'sqlite', path: join(folder, 'ledger.db') },
    issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks } },
    stores: { here: { kind: 'local', path: join(folder, 'store') } },
    credentials: {
      'stripe-key': { kind: 'secret', store: 'here', name: 'stripe' },
      partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' },
    },
    roles: { checkout: ['stripe-key', 'partner'], auditor: { audit: 'read' } },
    grants: [
      { name: 'checkout', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['checkout'], ttl: '10m' },
      { name: 'audit', identity: { issuer: 'ci', subject: 'svc:auditor' }, may: ['auditor'] },
    ],
    ...more,
  };
}

/** Writes the embedded config and its one stored value; gives the config's path. */
export function prepareEmbedded(
  folder: string,
  more: Record<string, unknown> = {},
): { file: string; issuer: TestIssuer } {
  const issuer = testIssuer('https://issuer.test', audience);
  const file = writeConfig(folder, embeddedConfig(folder, issuer, more));
  const put = runCli(['secret', 'put', 'here', 'stripe', '--config', file], {}, secretValue);
  if (put.code !== 0) throw new Error(`secret put: ${put.stderr}`);
  return { file, issuer };
}
