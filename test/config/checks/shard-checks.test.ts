import { expect, test } from 'vitest';
import { checkValue } from '../../../src/config/check.ts';
import type { JsonObject } from '../../../src/lib/strict-json.ts';

const found = async (ledger: object, grant: object) => {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' }, ...ledger },
    issuers: { ci: { issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/keys' } },
    stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
    roles: { all: ['partner'] },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['all'], ttl: '5m', ...grant }],
  };
  const options = { file: 'test', runtime: 'node', env: {}, folder: '/nowhere' } as const;
  const { findings } = await checkValue(config as unknown as JsonObject, options);
  return findings
    .filter(({ path }) => path[0] === 'grants')
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('a grant of a sharded ledger takes once or max', async () => {
  for (const grant of [{ once: true }, { max: 2 }]) expect(await found({ shards: 4 }, grant)).toEqual([]);
  expect(await found({ shards: 4 }, { once: true, max: 2 })).toEqual([
    'grants.0.max: once and max do not go together in a ledger of several shards',
  ]);
});

test('a grant of a ledger with one log takes both', async () => {
  for (const ledger of [{}, { shards: 1 }]) expect(await found(ledger, { once: true, max: 2 })).toEqual([]);
});
