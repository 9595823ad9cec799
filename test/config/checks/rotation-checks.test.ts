import { describe, expect, it } from 'vitest';
import { longLivedSecrets } from '../../../src/config/checks/long-lived.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/text/problem.ts';
import type { Runtime } from '../../../src/lib/platform.ts';

const admin = { store: 'bao', name: 'keeper' };
const turns = { kind: 'postgres', host: 'db.example.com', database: 'orders', admin, users: ['orders_a', 'orders_b'] };
const entry = (rotate: object, more = {}) => ({ kind: 'secret', store: 'bao', name: 'orders', rotate, ...more });

const load = (credentials: object, runtime: Runtime = 'node') =>
  loadConfig(
    JSON.stringify({
      broker: { url: 'https://pass.example.com', signer: { kind: 'local', path: '/srv/keys' } },
      ledger: { kind: 'sqlite', path: '/srv/ledger.db' },
      issuers: { ci: { issuer: 'https://ci.example.com' } },
      stores: {
        bao: { kind: 'vault', address: 'https://bao.example.com', role: 'hallpass' },
        old: { kind: 'vault', address: 'https://bao.example.org', role: 'hallpass', version: 1 },
        vars: { kind: 'env' },
        cluster: { kind: 'kubernetes', server: 'https://cluster.example.com', namespace: 'orders' },
      },
      credentials,
      grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'a' }, may: ['orders'], ttl: '10m' }],
    }),
    { file: 'c', runtime, env: {}, folder: '/srv/hallpass' },
  );

async function problems(credentials: object, runtime?: Runtime): Promise<string[]> {
  try {
    await load(credentials, runtime);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ message }) => message);
  }
}

describe('what is rotated', () => {
  it.each([
    ['by two users of PostgreSQL', turns],
    ['by two users of MySQL', { ...turns, kind: 'mysql', every: '7d' }],
    ['without an admin', { ...turns, admin: undefined }],
    ['as random bytes', { kind: 'generate', every: '30d' }],
  ])('is fine %s', async (_, rotate) => {
    expect(await problems({ orders: entry(rotate) })).toEqual([]);
  });

  it('is refused on Workers where its rotator does not run there', async () => {
    expect((await problems({ orders: entry(turns) }, 'workerd')).join()).toContain(
      'rotating postgres runs on node and lambda, not on workerd',
    );
    expect((await problems({ orders: entry({ kind: 'generate' }) }, 'workerd')).join()).not.toContain('rotating');
  });

  it.each([
    ['env', entry(turns, { store: 'vars', name: 'ORDERS' }), /the store vars takes no writes/],
    ['version 1 of KV', entry({ kind: 'generate' }, { store: 'old' }), /the store old takes no writes/],
    ['Kubernetes', entry(turns, { store: 'cluster', name: 'orders/login' }), /cluster does not tell since when/],
    [
      'Kubernetes, on schedule',
      entry({ kind: 'generate', every: '1d' }, { store: 'cluster', name: 'orders/key' }),
      /cluster does not tell since when/,
    ],
  ])('is not kept in %s', async (_, orders, message) => {
    expect((await problems({ orders })).join()).toMatch(message);
  });

  it('may be kept in Kubernetes where only who asks has it generated', async () => {
    const orders = entry({ kind: 'generate' }, { store: 'cluster', name: 'orders/key' });
    expect(await problems({ orders })).toEqual([]);
  });

  it.each([
    ['one value', {}, turns, /what orders rotates already/],
    ['one user', { name: 'another' }, { ...turns, users: ['x', 'orders_b'] }, /orders_b takes turns in orders already/],
  ])('is rotated by one entry alone: two that share %s are refused', async (_, more, rotate, message) => {
    expect((await problems({ orders: entry(turns), second: entry(rotate, more) })).join()).toMatch(message);
  });

  it('may have users of the same name at another server', async () => {
    const elsewhere = entry({ ...turns, host: 'db.example.org' }, { name: 'another' });
    expect(await problems({ orders: entry(turns), second: elsewhere })).toEqual([]);
  });

  it.each([
    [{ ...turns, users: ['a', 'a'] }, {}, /two users/],
    [{ ...turns, users: ['a'] }, {}, /./],
    [{ ...turns, admin: { store: 'nowhere', name: 'keeper' } }, {}, /there is no store "nowhere"/],
    [{ ...turns, admin: { username: 'keeper' } }, {}, /./],
    [{ ...turns, tls: 'off' }, {}, /tls: off is for loopback only/],
    [{ ...turns, kind: 'mysql', host: '10.0.0.7' }, {}, /over TLS the host is a name/],
    [{ ...turns, every: '10m' }, {}, /./],
    [turns, { field: 'password' }, /leave out field and version/],
    [turns, { version: '3' }, /leave out field and version/],
  ])('is refused as %j %j', async (rotate, more, message) => {
    expect((await problems({ orders: entry(rotate, more) })).join()).toMatch(message);
  });

  it('has an admin whose login is one of the secrets that live long', async () => {
    const { config } = await load({ orders: entry(turns) });
    expect(longLivedSecrets(config)).toContainEqual({
      member: 'credentials.orders',
      what: 'keeper in the store bao',
    });
  });
});
