import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeAuthority } from '../credentials/authority.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const issuer = testIssuer('https://issuer.test', audience);
let broker: OpenBroker;
let remove: () => void;

beforeEach(async () => {
  const { folder, remove: removeFolder } = temporaryFolder();
  remove = removeFolder;
  const { certificate } = makeAuthority();
  const key = { store: 'vars', name: 'CA' };
  const config = embeddedConfig(folder, issuer, {
    stores: { vars: { kind: 'env' } },
    credentials: {
      partner: {
        kind: 'jwt',
        audience: 'https://api.partner.example',
        claims: { team: '{{ claims.team }}', by: '{{ subject }}' },
      },
      web: { kind: 'x509', certificate, key, dns: ['{{ claims.host }}.acme.example'], commonName: '{{ claims.team }}' },
    },
    roles: { checkout: ['partner', 'web'], auditor: { audit: 'read' } },
  });
  broker = await openBroker(config, folder);
});
afterEach(async () => {
  await broker.deployment.close();
  remove();
});

const explained = async (name: string, claims: Record<string, unknown>) => {
  const answer = await broker.ask(`/v1/explain/${name}`, issuer.token({ sub: 'svc:checkout', ...claims }));
  return (await answer.json()) as { decision: string; nearest: { grant: string; member: string }[] };
};

it.each([
  ['partner', {}, '{{ claims.team }}'],
  ['partner', { team: ['blue'] }, '{{ claims.team }}'],
  ['web', { team: 'blue' }, '{{ claims.host }}'],
  ['web', { team: 'blue', host: 'two.labels' }, '{{ claims.host }}'],
  ['web', { team: ' blue', host: 'shop' }, '{{ claims.team }}'],
])(
  'explain does not say allow where %s denies a token with %j, but names the place %s',
  async (name, claims, member) => {
    const refused = await broker.ask(`/v1/credentials/${name}`, issuer.token({ sub: 'svc:checkout', ...claims }));
    expect(refused.status).toBe(403);
    expect(await explained(name, claims)).toEqual({
      decision: 'deny',
      nearest: [{ grant: expect.any(String), member }],
    });
  },
);

it('explain says allow where the templates can be filled', async () => {
  for (const name of ['partner', 'web'])
    expect(await explained(name, { team: 'blue', host: 'shop' })).toMatchObject({ decision: 'allow', nearest: [] });
});
