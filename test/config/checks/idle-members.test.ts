import { expect, test } from 'vitest';
import { checkValue } from '../../../src/config/check.ts';
import type { JsonObject } from '../../../src/lib/strict-json.ts';

const found = async (grant: object, sink: object = {}) => {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'sqlite', path: './ledger.db' },
    issuers: { ci: { issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/keys' } },
    stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
    roles: { auditor: { audit: 'read' }, keeper: { ledger: 'roll', credentials: ['partner'] }, all: ['partner'] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['auditor'], ...grant }],
    sinks: { copy: { kind: 'file', path: './copy', ...sink } },
  };
  const options = { file: 'test', runtime: 'node', env: {}, folder: '/nowhere' } as const;
  const { findings } = await checkValue(config as unknown as JsonObject, options);
  return findings.map(({ path, message, warning }) => `${warning ? 'warning ' : ''}${path.join('.')}: ${message}`);
};

test('a grant of permissions alone is told what it says of credentials', async () => {
  const said = (member: string) =>
    `warning grants.0.${member}: ${member} is about credentials, and this grant gives permissions only`;
  for (const member of [{ once: true }, { tokenLife: true }, { max: 2 }, { maxTtl: '1h' }])
    expect(await found(member)).toEqual([said(Object.keys(member)[0] as string)]);
  expect(await found({ ttl: '15m', claims: ['ref'] })).toEqual([]);
});

test('a grant that gives a credential in whatever way is told nothing', async () => {
  for (const may of [['partner'], ['all'], ['keeper'], ['auditor', 'partner']])
    expect(await found({ may, ttl: '5m', once: true })).toEqual([]);
});

test('a sink of checkpoints is told what it says of records', async () => {
  expect(await found({}, { send: 'checkpoints', types: ['denial'], disclosures: false, every: '1h' })).toEqual([
    'warning sinks.copy.types: types is about records, and this sink is sent checkpoints',
    'warning sinks.copy.disclosures: disclosures is about records, and this sink is sent checkpoints',
  ]);
  expect(await found({}, { types: ['denial'] })).toEqual([]);
});
