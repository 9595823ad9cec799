import { afterAll, expect, it } from 'vitest';
import { longLivedSecrets } from '../../../src/config/checks/long-lived.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { audience, embeddedConfig } from '../../support/config.ts';
import { testIssuer } from '../../support/issuer.ts';
import { temporaryFolder } from '../../support/server.ts';

const { folder, remove } = temporaryFolder();
afterAll(remove);

it('counts the key of a GitHub App as what this deployment uses itself, and a value that is handed over as none', async () => {
  const repository = {
    kind: 'github-token',
    app: '12345',
    key: { store: 'here', name: 'app' },
    installation: '678',
    repositories: ['shop'],
    permissions: { contents: 'read' },
  };
  const vault = { kind: 'vault', address: 'https://bao.example.com', role: 'orders', path: 'database/creds/orders' };
  const stripe = { kind: 'secret', store: 'here', name: 'stripe' };
  const more = {
    credentials: { repository, vault, stripe },
    roles: { checkout: ['stripe'], auditor: { audit: 'read' } },
  };
  const config = embeddedConfig(folder, testIssuer('https://issuer.test', audience), more);
  const options = { file: 'test.json', runtime: 'node', env: {}, folder } as const;
  const held = longLivedSecrets((await loadConfig(JSON.stringify(config), options)).config);
  expect(held.filter(({ member }) => member.startsWith('credentials.'))).toEqual([
    { member: 'credentials.repository', what: 'the App’s private key, app in the store here' },
  ]);
});
