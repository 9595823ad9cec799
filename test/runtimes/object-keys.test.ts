import { afterAll, expect, it } from 'vitest';
import { temporaryFolder } from '../support/server.ts';
import { configFor, variables } from './scenario.ts';
import { type RunningWorkerd, startWorkerd } from './workerd-runner.ts';

const { folder, remove } = temporaryFolder();
let worker: RunningWorkerd | undefined;
afterAll(async () => {
  await worker?.end();
  remove();
});

const azure = {
  kind: 'azure-key-vault',
  vault: 'https://hub.vault.azure.net',
  tenant: '11111111-1111-1111-1111-111111111111',
  client: '22222222-2222-2222-2222-222222222222',
};

async function start(): Promise<RunningWorkerd> {
  const config = configFor({ ledger: { kind: 'durable-object', binding: 'LEDGER' }, signer: { kind: 'local' } });
  const { stores } = config as { stores: object };
  worker = await startWorkerd({ config: { ...config, stores: { ...stores, azure } }, variables, folder });
  return worker;
}

async function keys(): Promise<{ alg: string; kid: string }[]> {
  const response = await (worker as RunningWorkerd).send('/.well-known/jwks.json');
  return ((await response.json()) as { keys: { alg: string; kid: string }[] }).keys;
}

it('a Durable Object makes an RSA key too where a store takes nothing else, and keeps it', async () => {
  await start();
  const made = await keys();
  expect(made.map(({ alg }) => alg)).toEqual(['ES256', 'RS256']);
  await worker?.end();
  await start();
  expect(await keys()).toEqual(made);
});
