import { expect, test } from 'vitest';
import { checkValue } from '../../src/config/check.ts';
import type { JsonObject } from '../../src/lib/strict-json.ts';
import { parseDuration } from '../../src/lib/time.ts';

const found = async (ledger: object) => {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'sqlite', path: './ledger.db', ...ledger },
    issuers: { ci: { issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/keys' } },
    grants: [],
  };
  const options = { file: 'test', runtime: 'node', env: {}, folder: '/nowhere' } as const;
  const { findings } = await checkValue(config as unknown as JsonObject, options);
  return findings
    .filter(({ path }) => path[0] === 'ledger')
    .map(
      ({ path, message, hint, warning }) =>
        `${path.join('.')}: ${message}${hint ? ` (${hint})` : ''}${warning ? ' !' : ''}`,
    );
};

test('how long disclosures are kept is said by type, and * for all others', async () => {
  const retain = { issuance: { min: '30d', max: '730d' }, denial: { max: '90d' }, '*': { max: '365d' } };
  const hold = [{ name: 'case-7', reason: 'a lawsuit', identity: 'ci:acme/*', from: '2026-01-01T00:00:00Z' }];
  expect(await found({ retain, hold })).toEqual([]);
  expect(parseDuration('730d')).toBe(63_072_000);
});

test.each<[string, object, string]>([
  [
    'a type that is mistyped',
    { isuance: { max: '90d' } },
    'ledger.retain.isuance: unknown member "isuance" (did you mean issuance?)',
  ],
  ['a type without disclosures', { policy: { max: '90d' } }, 'ledger.retain.policy: unknown member "policy"'],
  [
    'a min longer than the max',
    { issuance: { min: '91d', max: '90d' } },
    'ledger.retain.issuance: min is longer than max',
  ],
  ['neither min nor max', { issuance: {} }, 'ledger.retain.issuance: expected min, max or both'],
  ['a duration without a unit', { issuance: { max: '90' } }, 'ledger.retain.issuance.max: expected a duration'],
])('a config with %s is refused', async (_, retain, message) => {
  expect((await found({ retain })).join('\n')).toContain(message);
});

test.each<[string, object, string]>([
  ['no name', { reason: 'x' }, 'ledger.hold.0.name: name is missing'],
  [
    'a date that is none',
    { name: 'a', reason: 'x', from: '2026-02-30T00:00:00Z' },
    'ledger.hold.0.from: expected an instant',
  ],
  [
    'a member that is unknown',
    { name: 'a', reason: 'x', subject: 'y' },
    'ledger.hold.0.subject: unknown member "subject"',
  ],
  ['a type that is unknown', { name: 'a', reason: 'x', type: 'isuance' }, 'ledger.hold.0.type: expected'],
])('a hold with %s is refused', async (_, hold, message) => {
  expect((await found({ hold: [hold] })).join('\n')).toContain(message);
});

test('beside a ledger that is elsewhere, what is said of keeping is told to have no effect', async () => {
  const ledger = {
    kind: 'http',
    url: 'https://ledger.example.com',
    path: undefined,
    key: 'x',
    retain: { '*': { max: '1d' } },
  };
  expect((await found(ledger)).join('\n')).toContain('ledger.retain: the ledger itself says what it keeps !');
});
