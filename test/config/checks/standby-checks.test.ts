import { expect, test } from 'vitest';
import { checkValue } from '../../../src/config/check.ts';
import type { Runtime } from '../../../src/lib/platform.ts';
import type { JsonObject } from '../../../src/lib/strict-json.ts';

const found = async (ledger: object, runtime: Runtime = 'node') => {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' }, ...ledger },
    stores: { vars: { kind: 'env', prefix: 'TEST_SECRET_' } },
  };
  const options = { file: 'test', runtime, env: {}, folder: '/nowhere' };
  const { findings } = await checkValue(config as unknown as JsonObject, options);
  return findings
    .filter(({ path }) => path[0] === 'ledger')
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
};

const confirm = { standby: 'frankfurt' };
const follow = { url: 'https://first.example.com', promote: { after: '15s' } };

test('one log on Node waits for a standby, and one log takes over by itself', async () => {
  for (const ledger of [{ confirm }, { follow }, { confirm: { ...confirm, within: '1s' }, shards: 1 }])
    expect(await found(ledger)).toEqual([]);
});

test('shards, functions and standbys wait for none, and shards do not take over by themselves', async () => {
  expect(await found({ confirm, shards: 4 })).toEqual([
    'ledger.confirm: a ledger of several shards waits for no standby',
  ]);
  expect(await found({ confirm }, 'lambda')).toContain(
    'ledger.confirm: only a server that runs can wait for its standby',
  );
  expect(await found({ confirm, follow })).toEqual(['ledger.confirm: `confirm` and `follow` exclude each other']);
  expect(await found({ follow, shards: 2 })).toEqual([
    'ledger.follow.promote: only one log in sqlite or postgres takes over by itself',
  ]);
  expect(await found({ follow: { ...follow, promote: { after: '1s' } } })).toHaveLength(1);
});
