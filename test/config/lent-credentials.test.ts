import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/text/problem.ts';
import type { Runtime } from '../../src/lib/platform.ts';

const token = {
  kind: 'kubernetes-token',
  server: 'https://k8s.example.com',
  namespace: 'shop',
  serviceAccount: 'checkout',
  audiences: ['https://api.example.com'],
};
const vault = { kind: 'vault', address: 'https://bao.example.com', role: 'orders', path: 'database/creds/orders' };
const base = {
  broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
  ledger: { kind: 'sqlite', path: './ledger.db' },
  issuers: { ci: { issuer: 'https://ci.example.com', audience: 'https://hooks.example.com' } },
  stores: {
    bao: { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' },
    cluster: { kind: 'kubernetes', server: 'https://k8s.example.com' },
  },
  grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['lent'], ttl: '10m' }],
};

async function problems(lent: object, runtime: Runtime = 'node', more: object = {}): Promise<string[]> {
  const text = JSON.stringify({ ...base, ...more, credentials: { lent } });
  try {
    const { warnings } = await loadConfig(text, { file: 'c', runtime, env: {}, folder: '/srv/hallpass' });
    return warnings.map(({ message }) => message);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

describe('a token of a service account', () => {
  it('is fine beside a store of the same cluster', async () => {
    expect(await problems(token)).toEqual([]);
  });

  it.each(['https://pass.example.com', 'https://pass.example.com/x', 'https://hooks.example.com'])(
    'is refused for the audience %s, with which a workload could come back as somebody else',
    async (audience) => {
      const found = await problems({ ...token, audiences: ['https://api.example.com', audience] });
      expect(found.join()).toMatch(/come to Hallpass as somebody else/);
    },
  );
});

describe('a dynamic path of a Vault', () => {
  it('is fine beside a store in the same Vault', async () => {
    expect(await problems(vault)).toEqual([]);
  });

  it('is refused where what proves us to it would prove us to another Vault', async () => {
    const found = await problems({
      ...vault,
      address: 'https://other.example.com',
      audience: 'https://bao.example.com',
    });
    expect(found.join()).toMatch(/would prove us to/);
  });

  it('takes parameters of whatever name', async () => {
    const parameters = { store: 'shop', name: 'orders', ca: 'shop', tokenFile: 'no' };
    expect(await problems({ ...vault, method: 'write', parameters })).toEqual([]);
    const found = await problems({ ...vault, method: 'write', parameters }, 'workerd');
    expect(found.join()).not.toMatch(/a file can be read|a certificate of its own/);
  });
});

it.each([token, vault])('%o is refused on workerd with a file or a certificate of its own', async (entry) => {
  const found = await problems({ ...entry, tokenFile: './token', ca: './ca.pem' }, 'workerd');
  expect(found).toContain('a file can be read on node and lambda, not on workerd');
  expect(found).toContain('a certificate of its own can be pinned on node and lambda, not on workerd');
});

describe('a token of Entra', () => {
  const uuid = '11111111-2222-4333-8444-555555555555';
  const graph = { kind: 'azure-token', tenant: 'acme.example', client: uuid };

  it.each([
    'https://pass.example.com/.default',
    'https://hooks.example.com//.default',
    'api://hallpass/.default',
    `${uuid}/.default`,
  ])('is refused for %s, with which a workload could come back as somebody else', async (scope) => {
    const issuers = { ...base.issuers, app: { issuer: 'https://app.example.com', audience: 'api://hallpass' } };
    const other = { ...issuers, id: { issuer: 'https://id.example.com', audience: `api://${uuid}` } };
    const found = await problems({ ...graph, scope }, 'node', { issuers: other });
    expect(found.filter((text) => /come to Hallpass as somebody else/.test(text))).toHaveLength(1);
  });

  it('is fine for a resource of somebody else', async () => {
    const found = await problems({ ...graph, scope: 'https://graph.microsoft.com/.default' });
    expect(found.join()).not.toMatch(/come to Hallpass/);
  });
});
