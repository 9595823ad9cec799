import { describe, expect, it } from 'vitest';
import { checkValue } from '../../../src/config/check.ts';
import * as s from '../../../src/lib/schema/index.ts';
import type { JsonObject } from '../../../src/lib/strict-json.ts';
import { stores as catalog } from '../../../src/stores/index.ts';

const aws = { kind: 'aws-secrets-manager', region: 'eu-west-1' };
const azure = { kind: 'azure-key-vault', vault: 'https://shop.vault.azure.net' };
const google = { kind: 'google-secret-manager', project: 'shop-prod' };
const kubernetes = { kind: 'kubernetes', server: 'https://k8s.example.com' };
const shop = { ...kubernetes, namespace: 'shop' };
const vault = { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' };
const local = { kind: 'local', path: './secrets' };

async function problems(store: object, credential: object = {}) {
  const config = {
    broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: './keys' } },
    ledger: { kind: 'sqlite', path: './ledger.db' },
    issuers: { ci: { issuer: 'https://ci.example.com' } },
    stores: { here: store },
    credentials: { stripe: { kind: 'secret', store: 'here', name: 'stripe', ...credential } },
    grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['stripe'], ttl: '10m' }],
  };
  const options = { file: 'c', runtime: 'node', env: {}, folder: '/srv/hallpass' } as const;
  const { findings } = await checkValue(config as unknown as JsonObject, options);
  return findings.map((finding) => ({ ...finding, path: finding.path.join('.') }));
}

describe('a long-lived key in the entry of a store', () => {
  it.each([
    ['vault', vault, 'token', 'tokenFile'],
    ['vault', vault, 'secret_id', 'role'],
    ['aws', aws, 'accessKeyId', 'assume'],
    ['aws', aws, 'secretAccessKey', 'assume'],
    ['aws', aws, 'profile', 'assume'],
    ['azure', azure, 'clientSecret', 'tenant and client'],
    ['azure', azure, 'certificate', 'tenant and client'],
    ['google', google, 'credentials', 'provider'],
    ['google', google, 'keyFile', 'provider'],
    ['kubernetes', shop, 'token', 'tokenFile'],
  ])('is told once, with how to log in to %s instead of %o.%s', async (_, store, member, instead) => {
    // In parts, so that nothing here looks like a key.
    for (const value of ['x', `hvs.${'a'.repeat(24)}`, { private_key: `-----BEGIN ${'PRIVATE'} KEY-----` }]) {
      const found = await problems({ ...store, [member]: value });
      expect(found.map(({ path }) => path)).toEqual([`stores.here.${member}`]);
      expect(found[0]?.message).toContain('unknown member');
      expect(found[0]?.hint).toMatch(/^long-lived keys are never taken: log in /);
      expect(found[0]?.hint).toContain(instead);
      expect(JSON.stringify(found)).not.toMatch(/hvs|PRIVATE|store, name/);
    }
  });

  it('is still told where it stands in a member that there is', async () => {
    const found = await problems({ ...vault, role: `hvs.${'a'.repeat(24)}` });
    expect(found.map(({ message }) => message)).toContain('a Vault token has no place in a config');
  });

  it.each(catalog.map((plugIn) => [plugIn.name, plugIn] as const))('is no member of %s', (_, { never, schema }) => {
    const members = Object.keys(s.shapeOf(schema as s.AnyObject)).map((name) => name.toLowerCase());
    expect(members.filter((name) => never?.members.includes(name))).toEqual([]);
  });
});

describe('the name of a secret that its store could never have', () => {
  it.each([
    ['google', google, 'prod/stripe'],
    ['azure', azure, 'prod_stripe'],
    ['azure', azure, 'prod/stripe'],
    ['kubernetes without a namespace', kubernetes, 'stripe'],
    ['kubernetes with one', shop, 'shop/stripe/key'],
    ['vault', vault, 'prod//stripe'],
    ['vault', vault, '/stripe'],
    ['aws', aws, 'prod stripe'],
    ['env', { kind: 'env' }, 'prod-stripe'],
    ['local', local, 'a\nb'],
  ])('is told at its place: %s', async (_, store, name) => {
    const found = await problems(store, { name });
    expect(found.map(({ path, warning }) => ({ path, warning }))).toEqual([
      { path: 'credentials.stripe.name', warning: undefined },
    ]);
  });

  it.each([
    ['google', google, 'prod-stripe_1'],
    ['azure', azure, 'prod-stripe'],
    ['kubernetes without a namespace', kubernetes, 'shop/stripe/key'],
    ['kubernetes with one', shop, 'stripe/key'],
    ['vault', vault, 'prod/stripe'],
    ['aws', aws, 'prod/stripe'],
    ['aws', aws, 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:stripe-AbCdEf'],
    ['env', { kind: 'env' }, 'STRIPE'],
    ['local', local, 'prod/stripe key'],
  ])('is not one that fits: %s', async (_, store, name) => {
    expect((await problems(store, { name })).filter(({ path }) => path.endsWith('name'))).toEqual([]);
  });

  it('is looked for in every reference, replicas and keys of stores among them', async () => {
    const replicas = [{ store: 'here', name: 'a/b' }];
    expect((await problems(google, { replicas })).map(({ path }) => path)).toEqual([
      'credentials.stripe.replicas.0.name',
    ]);
  });

  it('is a warning where it is the path of Vault’s API, which could be meant', async () => {
    const hint = 'write the name without the mount and data/';
    expect(await problems(vault, { name: 'secret/data/stripe' })).toMatchObject([{ warning: true, hint }]);
    expect(await problems({ ...vault, mount: 'kv' }, { name: 'kv/data/stripe' })).toMatchObject([{ hint }]);
    expect(await problems({ ...vault, mount: 'kv' }, { name: 'secret/data/stripe' })).toEqual([]);
    expect(await problems({ ...vault, version: 1 }, { name: 'secret/data/stripe' })).toEqual([]);
  });
});
