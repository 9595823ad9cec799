import { createServer } from 'node:http';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KindDeps, TargetCredential } from '../../src/credentials/kind.ts';
import { vault as plugIn } from '../../src/credentials/vault.ts';
import { type Deadline, deadlineIn } from '../../src/lib/deadline.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { depsFor, describeKind, leaseOf, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import { type Asserter, makeAsserter } from '../fakes/federation.ts';
import { type RealPostgres, startPostgres } from '../real-servers/postgres.ts';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { freePort } from '../support/free-port.ts';
import { askBao } from './bao.ts';

const lacking = lacks('openbao');
let bao: RealServer;
let postgres: RealPostgres;
let us: Asserter;
let close = () => {};

const soon = (): Deadline => deadlineIn(20_000, Date.now);
const root = async (method: string, path: string, body?: object) =>
  ((await askBao(bao, method, path, body)) ?? {}) as Record<string, unknown>;

/** What the kind needs for one path, and not a right more: as docs/credentials/vault.md says. */
const policyFor = (path: string, verb: 'read' | 'update') => `
path "${path}" { capabilities = ["${verb}"] }
path "sys/leases/revoke" { capabilities = ["update"] allowed_parameters = { "lease_id" = ["${path}/*"] "sync" = [] } }
path "sys/leases/renew" { capabilities = ["update"] allowed_parameters = { "lease_id" = ["${path}/*"] "increment" = [] } }
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/renew-accessor" { capabilities = ["update"] }`;

async function makeRole(name: string, policy: string, more: object = {}, namespace = ''): Promise<void> {
  await root('POST', `${namespace}sys/policies/acl/${name}`, { policy });
  await root('POST', `${namespace}auth/jwt/role/${name}`, {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_subject: us.subject,
    bound_audiences: ['bao'],
    token_policies: [name],
    token_ttl: '30m',
    ...more,
  });
}

const entryOf = (more: Record<string, unknown> = {}) => ({
  kind: 'vault',
  address: bao.url,
  audience: 'bao',
  role: 'orders',
  path: 'database/creds/orders',
  ...more,
});

function depsOf(entry: ReturnType<typeof entryOf>): KindDeps {
  const terms = plugIn.assertion?.(entry) as AssertionTerms;
  return { ...depsFor(), assert: () => us.assert(terms) };
}

async function open(more: Record<string, unknown> = {}): Promise<TargetCredential> {
  const entry = entryOf(more);
  return (await openKind(entry, depsOf(entry))) as TargetCredential;
}

const login = async ({ username: user, password }: Readonly<Record<string, unknown>>) => {
  const { host, port } = postgres;
  const client = new pg.Client({
    host,
    port,
    user: String(user),
    password: String(password),
    database: 'postgres',
    ssl: false,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
};
const userNamed = async (name: unknown) =>
  (await postgres.sql(`SELECT 1 FROM pg_roles WHERE rolname = '${name}'`)).rowCount;

beforeAll(async () => {
  if (lacking !== undefined) return;
  const port = await freePort();
  us = makeAsserter({ issuer: `http://127.0.0.1:${port}` });
  const issuer = createServer((_, response) => response.end(JSON.stringify({ keys: us.keys })));
  await new Promise<void>((resolve) => issuer.listen(port, '127.0.0.1', resolve));
  close = () => void issuer.close();
  [bao, postgres] = await Promise.all([startReal('openbao'), startPostgres()]);
  await root('POST', 'sys/auth/jwt', { type: 'jwt' });
  await root('POST', 'auth/jwt/config', { jwks_url: `${us.issuer}/jwks`, bound_issuer: us.issuer });
  await root('POST', 'sys/mounts/database', { type: 'database' });
  await root('POST', 'database/config/orders', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: `postgresql://{{username}}:{{password}}@${postgres.host}:${postgres.port}/postgres?sslmode=disable`,
    username: postgres.admin.username,
    password: postgres.admin.password,
  });
  await root('POST', 'database/roles/orders', {
    db_name: 'orders',
    creation_statements: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
    default_ttl: '20m',
    max_ttl: '1h',
  });
  await makeRole('orders', policyFor('database/creds/orders', 'read'));
}, 120_000);
afterAll(async () => {
  close();
  await bao?.stop();
  await postgres?.remove();
});

describe.skipIf(lacking !== undefined)(
  `the vault kind at the real OpenBao${lacking === undefined ? '' : `: ${lacking}`}`,
  () => {
    describeKind('vault', { members: ['username', 'password'], fingerprinted: 'password' }, async () => {
      const entry = entryOf({ fingerprint: 'password' });
      return { entry, deps: depsOf(entry) };
    });

    it('hands over a database user that works, and drops it when it is undone, twice over', async () => {
      const credential = await open();
      const request = requestFor();
      const issued = await credential.make(request);
      expect(issued.expiresAt).toBeUndefined();
      await (await login(issued.data)).end();
      for (const _ of [1, 2]) await credential.undo(leaseOf(credential, request, issued), soon());
      expect(await userNamed(issued.data.username)).toBe(0);
      await expect(login(issued.data)).rejects.toThrow();
    });

    it('undoes a lease that was never given', async () => {
      await (await open()).undo({ issuance: 'x', account: 'database/creds/orders/never' }, soon());
    });

    it('undoes on another instance, which logs in for itself', async () => {
      const [first, second] = [await open(), await open()];
      const request = requestFor();
      const issued = await first.make(request);
      await second.undo({ issuance: request.id, account: String(issued.account) }, soon());
      expect(await userNamed(issued.data.username)).toBe(0);
    });

    it('keeps apart what two who ask at once are given', async () => {
      const credential = await open();
      const [one, two] = await Promise.all([credential.make(requestFor()), credential.make(requestFor())]);
      expect(one.data.username).not.toBe(two.data.username);
      await credential.undo({ issuance: 'x', account: String(one.account) }, soon());
      expect([await userNamed(one.data.username), await userNamed(two.data.username)]).toEqual([0, 1]);
      await credential.undo({ issuance: 'x', account: String(two.account) }, soon());
    });

    it('ends with its lease, and with the token under which it was leased', async () => {
      await root('POST', 'database/roles/brief', {
        db_name: 'orders',
        creation_statements: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`,
        default_ttl: '3s',
      });
      await makeRole('brief', policyFor('database/creds/brief', 'read'));
      const request = requestFor();
      const issued = await (await open({ role: 'brief', path: 'database/creds/brief' })).make(request);
      expect(Number(issued.expiresAt)).toBeLessThanOrEqual(Date.now() + 3_000);
      await expect.poll(() => userNamed(issued.data.username), { timeout: 15_000 }).toBe(0);

      await makeRole('passing', policyFor('database/creds/orders', 'read'), { token_ttl: '3s', token_max_ttl: '3s' });
      const passing = await (await open({ role: 'passing' })).make(request);
      expect(Number(passing.expiresAt)).toBeLessThanOrEqual(Date.now() + 3_000);
      await expect.poll(() => userNamed(passing.data.username), { timeout: 15_000 }).toBe(0);
    });

    it('is prolonged, its token as well, and is still there when both would have ended', async () => {
      await root('POST', 'database/roles/longer', {
        db_name: 'orders',
        creation_statements: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`,
        default_ttl: '4s',
        max_ttl: '10m',
      });
      await makeRole('longer', policyFor('database/creds/longer', 'read'), { token_ttl: '4s', token_max_ttl: '10m' });
      const credential = await open({ role: 'longer', path: 'database/creds/longer' });
      const request = requestFor();
      const issued = await credential.make(request);
      const held = leaseOf(credential, request, issued);
      await credential.renew?.(held, Date.now() + 60_000, soon());
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      await (await login(issued.data)).end();
      expect(
        (await refusalOf(credential.renew?.(held, Date.now() + 900_000, soon()) ?? Promise.resolve())).reason,
      ).toBe('token_too_short');
      await credential.undo(held, soon());
      expect(await userNamed(issued.data.username)).toBe(0);
      expect((await refusalOf(credential.renew?.(held, Date.now() + 30_000, soon()) ?? Promise.resolve())).reason).toBe(
        'invalid',
      );
    });

    it('of a batch token is never promised beyond that token', async () => {
      await makeRole('batch', policyFor('database/creds/orders', 'read'), { token_type: 'batch', token_ttl: '90s' });
      const credential = await open({ role: 'batch' });
      const request = requestFor();
      const issued = await credential.make(request);
      expect(Number(issued.expiresAt)).toBeLessThanOrEqual(Date.now() + 90_000);
      const held = leaseOf(credential, request, issued);
      await credential.renew?.(held, Date.now() + 60_000, soon());
      const late = await refusalOf(credential.renew?.(held, Date.now() + 1_200_000, soon()) ?? Promise.resolve());
      expect(late.reason).toBe('too_short');
      await credential.undo(held, soon());
    });

    it('has rights for its own path and its own leases alone', async () => {
      await root('POST', 'database/roles/other', {
        db_name: 'orders',
        creation_statements: `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'`,
        default_ttl: '10m',
      });
      const other = String((await root('GET', 'database/creds/other')).lease_id);
      const credential = await open();
      expect((await refusalOf(credential.undo({ issuance: 'x', account: other }, soon()))).reason).toBe('denied');
      const elsewhere = await open({ path: 'database/creds/other' });
      expect((await refusalOf(elsewhere.make(requestFor()))).reason).toBe('denied');
    });

    it('writes where a path wants it: a certificate with a lease, which is revoked when it is undone', async () => {
      await root('POST', 'sys/mounts/pki', { type: 'pki' });
      await root('POST', 'pki/root/generate/internal', { common_name: 'not a real CA', ttl: '24h' });
      const role = {
        allowed_domains: 'example.com',
        allow_subdomains: true,
        max_ttl: '1h',
        key_type: 'ec',
        key_bits: 256,
      };
      await root('POST', 'pki/roles/leased', { ...role, generate_lease: true });
      await root('POST', 'pki/roles/unleased', { ...role, no_store: true });
      const parameters = { common_name: 'shop.example.com', ttl: '10m' };
      for (const name of ['leased', 'unleased']) await makeRole(name, policyFor(`pki/issue/${name}`, 'update'));
      const at = (name: string) => ({ role: name, path: `pki/issue/${name}`, method: 'write', parameters });
      const credential = await open({ ...at('leased'), fingerprint: 'private_key' });
      const request = requestFor();
      const { data, fingerprinted, ...issued } = await credential.make(request);
      expect(data.certificate).toMatch(/^-----BEGIN CERTIFICATE/);
      expect(fingerprinted?.revealText()).toBe(data.private_key);
      await credential.undo(leaseOf(credential, request, { data, ...issued }), soon());
      const { data: stored } = await root('GET', `pki/cert/${data.serial_number}`);
      expect((stored as { revocation_time: number }).revocation_time).toBeGreaterThan(0);
      const unleased = await open(at('unleased'));
      expect((await refusalOf(unleased.make(requestFor()))).reason).toBe('no_lease');
    });

    it('works in a namespace, whose leases are named after it', async () => {
      await root('POST', 'sys/namespaces/team', {});
      await root('POST', 'team/sys/auth/jwt', { type: 'jwt' });
      await root('POST', 'team/auth/jwt/config', { jwks_url: `${us.issuer}/jwks`, bound_issuer: us.issuer });
      await root('POST', 'team/sys/mounts/pki', { type: 'pki' });
      await root('POST', 'team/pki/root/generate/internal', { common_name: 'not a real CA', ttl: '24h' });
      const leased = { allow_any_name: true, max_ttl: '1h', key_type: 'ec', key_bits: 256, generate_lease: true };
      await root('POST', 'team/pki/roles/shop', leased);
      await makeRole('shop', policyFor('pki/issue/shop', 'update'), {}, 'team/');
      const parameters = { common_name: 'shop.example.com', ttl: '10m' };
      const where = { namespace: 'team', role: 'shop', path: 'pki/issue/shop', method: 'write', parameters };
      const credential = await open(where);
      const request = requestFor();
      const issued = await credential.make(request);
      await credential.undo(leaseOf(credential, request, issued), soon());
      const { data } = await root('GET', `team/pki/cert/${issued.data.serial_number}`);
      expect((data as { revocation_time: number }).revocation_time).toBeGreaterThan(0);
    });

    it('is no way to what is static', async () => {
      await root('POST', 'secret/data/static', { data: { password: 'not-a-key' } });
      await makeRole('static', policyFor('secret/data/static', 'read'));
      const credential = await open({ role: 'static', path: 'secret/data/static' });
      expect((await refusalOf(credential.make(requestFor()))).reason).toBe('no_lease');
    });

    it('is undone after the database was away', async () => {
      const credential = await open();
      const request = requestFor();
      const issued = await credential.make(request);
      const held = leaseOf(credential, request, issued);
      await postgres.stop();
      const refusal = await refusalOf(credential.undo(held, soon()));
      expect(refusal.code).toMatch(/^store_(failed|timeout)$/);
      await postgres.start();
      await credential.undo(held, soon());
      expect(await userNamed(issued.data.username)).toBe(0);
    });
  },
);
