import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { neededAlgorithms } from '../../../src/config/parts/key-ring.ts';
import { ConfigError } from '../../../src/config/text/problem.ts';
import { stores as catalog } from '../../../src/stores/index.ts';

const uuid = '11111111-2222-4333-8444-555555555555';
const provider = 'projects/123/locations/global/workloadIdentityPools/shop/providers/hallpass';
const vault = { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' };
const base = {
  broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
  ledger: { kind: 'sqlite', path: './ledger.db' },
  issuers: { ci: { issuer: 'https://ci.example.com' } },
  stores: { bao: vault, vars: { kind: 'env' } },
  credentials: { stripe: { kind: 'secret', store: 'bao', name: 'stripe' } },
  grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['stripe'], ttl: '10m' }],
};

async function problems(more: object): Promise<string[]> {
  const text = JSON.stringify({ ...base, ...more });
  try {
    const { warnings } = await loadConfig(text, { file: 'c', runtime: 'node', env: {}, folder: '/srv/hallpass' });
    return warnings.map(({ message }) => message);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

describe('a credential with replicas', () => {
  const credentials = (more: object) => ({
    stripe: { kind: 'secret', store: 'bao', name: 'stripe', replicas: [{ store: 'vars', name: 'STRIPE' }], ...more },
  });

  it('is refused when one of the stores has no versions, unless any value is good enough', async () => {
    expect((await problems({ credentials: credentials({}) })).join()).toMatch(/the store vars has no versions/);
    expect(await problems({ credentials: credentials({ stale: 'allow' }) })).toEqual([]);
    const stores = { bao: { ...vault, version: 1 }, other: { ...vault, address: 'https://bao.example.org' } };
    const replicas = [{ store: 'other', name: 'stripe' }];
    expect((await problems({ stores, credentials: credentials({ replicas }) })).join()).toMatch(/bao has no versions/);
  });
});

describe('a config whose store takes an assertion', () => {
  it('is fine when every audience has one purpose', async () => {
    expect(await problems({})).toEqual([]);
  });

  it.each([
    ['the broker', { ...vault, audience: 'https://pass.example.com' }],
    ['an issuer', { ...vault, audience: 'https://hooks.example.com' }],
  ])('is refused when the audience is one that %s takes', async (_, bao) => {
    const issuers = { ci: { issuer: 'https://ci.example.com', audience: 'https://hooks.example.com' } };
    expect((await problems({ issuers, stores: { bao } })).join()).toMatch(/would open a door of Hallpass itself/);
  });

  it('is refused when a jwt credential is for that audience', async () => {
    const credentials = { ...base.credentials, partner: { kind: 'jwt', audience: 'https://bao.example.com/v1' } };
    expect((await problems({ credentials })).join()).toMatch(/could be used as Hallpass itself/);
  });

  it.each([
    { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: 'arn:aws:iam::123456789012:role/one' },
    { kind: 'azure-key-vault', vault: 'https://shop.vault.azure.net', tenant: 'acme.example', client: uuid },
    { kind: 'google-secret-manager', project: 'shop-prod', provider },
    { kind: 'kubernetes', server: 'https://k8s.example.com' },
    vault,
    { ...vault, audience: 'urn:bao' },
  ])('is told once that a jwt, or our own audience, is for what takes %o', async (entry) => {
    const audience = catalog.find(({ name }) => name === entry.kind)?.assertion?.({ ...entry })?.audience ?? '';
    const told = async (more: object) =>
      (await problems({ stores: { ...base.stores, there: entry }, ...more })).filter((text) =>
        /as Hallpass itself|belongs to another service|a door of Hallpass itself/.test(text),
      );
    const partner = { kind: 'jwt', audience };
    expect(await told({ credentials: { ...base.credentials, partner } })).toHaveLength(1);
    // The two Vaults are one service, which is told of each.
    const stores = { vars: base.stores.vars, there: entry };
    const broker = { ...base.broker, audience };
    const credentials = { stripe: { kind: 'secret', store: 'vars', name: 'STRIPE' } };
    expect(await told({ stores, broker, credentials })).toHaveLength(1);
  });

  it.each([
    ['another Vault', { ...vault, address: 'https://other.example.com', audience: 'https://bao.example.com' }],
    ['a cluster', { kind: 'kubernetes', server: 'https://k8s.example.com', audience: 'https://bao.example.com' }],
  ])('is refused when %s takes what proves us to the first', async (_, other) => {
    expect((await problems({ stores: { bao: vault, other } })).join()).toMatch(/would prove us to bao as well/);
  });

  it('may have several engines in one Vault, and several roles in one cloud', async () => {
    const aws = { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: 'arn:aws:iam::123456789012:role/one' };
    const second = { ...aws, assume: 'arn:aws:iam::123456789012:role/two' };
    expect(await problems({ stores: { bao: vault, kv: { ...vault, mount: 'kv' }, aws, second } })).toEqual([]);
    const sink = {
      kind: 's3',
      bucket: 'acme-audit',
      region: 'eu-west-1',
      assume: 'arn:aws:iam::123456789012:role/two',
    };
    expect(await problems({ stores: { bao: vault, aws }, sinks: { archive: sink } })).toEqual([]);
    const stranger = { ...sink, sts: 'https://sts.example.com' };
    const found = await problems({ stores: { bao: vault, aws }, sinks: { archive: stranger } });
    expect(found.join()).toMatch(/would prove us to aws as well/);
  });

  it('is refused when what stands in for a cloud could show the cloud what proves us', async () => {
    const aws = { kind: 'aws-secrets-manager', region: 'eu-west-1', assume: 'arn:aws:iam::123456789012:role/one' };
    const azure = {
      kind: 'azure-key-vault',
      vault: 'https://shop.vault.azure.net',
      tenant: 'acme.example',
      client: uuid,
    };
    const bao = vault;
    for (const [first, place] of [
      [aws, { sts: 'https://sts.example.com' }],
      [azure, { authority: 'https://login.example.com' }],
    ] as const) {
      const found = (second: object) => problems({ stores: { bao, first, second: { ...first, ...second } } });
      expect((await found(place)).join()).toMatch(/would prove us to first as well/);
      expect((await found({ ...place, audience: 'urn:x' })).join()).not.toMatch(/would prove us/);
      expect((await found({})).join()).not.toMatch(/would prove us/);
    }
    const near = { ...aws, sts: 'https://vpce-1.sts.eu-west-1.vpce.amazonaws.com' };
    const here = { ...aws, sts: 'http://127.0.0.1:9000' };
    expect(await problems({ stores: { bao, aws, near, here } })).toEqual([]);
  });

  it('is refused when its host makes a subject that Google would not take', async () => {
    const label = 'a'.repeat(40);
    const broker = { ...base.broker, url: `https://${label}.${label}.${label}.example.com` };
    expect((await problems({ broker })).join()).toMatch(/at most 127 characters/);
  });

  it.each([
    ['the signer', { broker: { ...base.broker, signer: { kind: 'local', key: { store: 'bao', name: 'k' } } } }],
    ['the ledger', { ledger: { ...base.ledger, seed: { store: 'bao', name: 'seed' } } }],
    ['the ledger’s database', { ledger: { kind: 'postgres', url: { store: 'bao', name: 'ledger' } } }],
    [
      'a store that the signer needs',
      {
        stores: { bao: vault, here: { kind: 'local', path: 's', key: { store: 'bao', name: 'k' } } },
        broker: { ...base.broker, signer: { kind: 'local', key: { store: 'here', name: 'k' } } },
      },
    ],
  ])('is refused when it keeps what %s needs before the ledger is open', async (_, more) => {
    expect((await problems(more)).join()).toMatch(/only the ledger can prove us to the store/);
  });

  it('may keep broker.secret there, which is read once the ledger is open', async () => {
    const broker = { ...base.broker, secret: { store: 'bao', name: 'secret' } };
    expect(await problems({ broker })).toEqual([]);
  });
});

describe('a config whose credential takes an assertion', () => {
  const role = { kind: 'aws-role', role: 'arn:aws:iam::123456789012:role/orders' };
  const token = { kind: 'google-token', account: 'a@b.iam.gserviceaccount.com', scopes: ['openid'], provider };
  const graph = { kind: 'azure-token', tenant: 'acme.example', client: uuid, scope: 'api://orders/.default' };
  const database = { kind: 'aws-rds-iam', engine: 'mysql', region: 'eu-west-1', host: 'db', username: 'app' };
  const withKinds = (more: object, rest: object = {}) =>
    problems({ credentials: { ...base.credentials, ...more }, ...rest });

  it('is fine beside stores and credentials of the same cloud', async () => {
    const assume = 'arn:aws:iam::123456789012:role/one';
    const stores = { ...base.stores, aws: { kind: 'aws-secrets-manager', region: 'eu-west-1', assume } };
    const login = { ...database, role: assume };
    expect(await withKinds({ role, token, graph, login }, { stores })).toEqual([]);
  });

  it.each([
    ['the broker', { ...role, audience: 'https://pass.example.com' }],
    ['an issuer', { ...graph, audience: 'https://hooks.example.com' }],
  ])('is refused when its audience is one that %s takes', async (_, entry) => {
    const issuers = { ci: { issuer: 'https://ci.example.com', audience: 'https://hooks.example.com' } };
    expect((await withKinds({ entry }, { issuers })).join()).toMatch(/would open a door of Hallpass itself/);
  });

  it('needs an RSA key where its target takes nothing else, unless another ledger signs', async () => {
    const needed = (kind: string, entry: object) =>
      neededAlgorithms({ ledger: { kind }, stores: {}, credentials: { entry } } as never);
    expect(needed('sqlite', graph)).toEqual(['RS256']);
    expect(needed('http', graph)).toEqual([]);
    expect(needed('sqlite', role)).toEqual([]);
  });

  it.each([
    ['a store', { ...role, audience: 'https://bao.example.com' }, {}],
    ['another credential', { ...role, audience: 'urn:x' }, { other: { ...token, audience: 'urn:x' } }],
  ])('is refused when what it shows would prove us to %s as well', async (_, entry, more) => {
    expect((await withKinds({ entry, ...more })).join()).toMatch(/would prove us to .* as well/);
  });

  it.each([
    ['https://bao.example.com', { ...role, audience: 'https://sts.example.com' }, 1],
    ['https://sts.example.com', { ...role, audience: 'https://sts.example.com' }, 1],
    ['https://api.example.com', { ...role, audience: 'https://sts.example.com' }, 0],
    ['sts.amazonaws.com', role, 1],
    [`https://iam.googleapis.com/${provider}`, token, 1],
  ])('is told once that a jwt for %s could be used as Hallpass itself', async (audience, entry, times) => {
    const told = await withKinds({ entry, partner: { kind: 'jwt', audience } });
    expect(told.filter((text) => /as Hallpass itself/.test(text))).toHaveLength(times);
  });
});
