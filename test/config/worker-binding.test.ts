import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Runtime } from '../../src/lib/platform.ts';

const audience = 'https://pass.example.com';
const edge = { kind: 'worker-binding', audience };
const config = (issuers: object, grant: object = {}) => ({
  broker: { url: audience, signer: { kind: 'local' } },
  ledger: { kind: 'durable-object', binding: 'LEDGER' },
  issuers,
  credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example' } },
  grants: [{ name: 'shop', identity: { issuer: 'edge', worker: 'shop' }, may: ['partner'], ttl: '5m', ...grant }],
});
const messages = async (of: object, runtime: Runtime = 'workerd') =>
  loadConfig(JSON.stringify(of), { file: 'test.json', runtime, env: {}, folder: '/' }).then(
    () => [],
    (error: { problems: { message: string }[] }) => error.problems.map(({ message }) => message),
  );

it('takes an issuer whose Workers come by a binding, on Workers alone', async () => {
  expect(await messages(config({ edge }))).toEqual([]);
  expect(await messages(config({ edge }), 'lambda')).toContain('worker-binding issuers do not run on lambda');
});

it.each(['once', 'tokenLife'])('refuses %s, which is about a token', async (member) => {
  expect(await messages(config({ edge }, { [member]: true }))).toEqual([
    `${member} is about a token, and this issuer gives none`,
  ]);
});

it('refuses two of one audience: whose a binding is would be a matter of their order', async () => {
  const other = { kind: 'worker-binding', audience: 'https://other.example.com' };
  expect(await messages(config({ edge, other }))).toEqual([]);
  expect(await messages(config({ edge, other: edge }))).toEqual(['another worker-binding issuer has this audience']);
});
