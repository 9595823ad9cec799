import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeVault, startVault } from '../../fakes/vault.ts';
import { freePort } from '../../support/free-port.ts';
import { type RunningServer, startServer, temporaryFolder, writeConfig } from '../../support/server.ts';
import { run } from '../hallpass.ts';

const { folder, remove } = temporaryFolder();
const rightsFolder = temporaryFolder();
let vault: FakeVault;
let server: RunningServer;
let url: string;
let nowhere: string;

const configOf = (more: object = {}) => ({
  broker: { url, signer: { kind: 'local', path: './keys' } },
  ledger: { kind: 'sqlite', path: './ledger.db' },
  stores: {
    bao: { kind: 'vault', address: vault.url, role: 'hallpass' },
    gone: { kind: 'vault', address: nowhere, role: 'hallpass' },
    here: { kind: 'local', path: './secrets' },
  },
  credentials: { stripe: { kind: 'secret', store: 'bao', name: 'stripe' } },
  ...more,
});

const hallpass = (args: readonly string[], input?: string) =>
  run([...args, '--config', 'hallpass.json'], { cwd: folder, ...(input === undefined ? {} : { input }) });

beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  nowhere = `http://127.0.0.1:${await freePort()}`;
  vault = await startVault();
  vault.roles.set('hallpass', { issuer: url, audience: vault.url, subject: `broker:127.0.0.1:${port}` });
  server = await startServer(writeConfig(folder, configOf()), port);
});
afterAll(async () => {
  await server.stop();
  await vault.close();
  rightsFolder.remove();
  remove();
});

describe('store check', () => {
  it('logs in step by step beside the running server, and reads', async () => {
    const { code, out, err } = await hallpass(['store', 'check', 'bao']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n').map((line) => line.split(/\s+/).slice(0, 2).join(' '))).toEqual([
      'ok ledger',
      'ok assertion',
      'ok login',
      'ok list',
      '',
    ]);
  });

  it('says which step fails, exactly why and where to look, when the role was revoked', async () => {
    const role = vault.roles.get('hallpass');
    vault.roles.delete('hallpass');
    const { code, out, err } = await hallpass(['store', 'check', 'bao']);
    if (role !== undefined) vault.roles.set('hallpass', role);
    expect(code).toBe(77);
    expect(out).toMatch(/^ok +ledger .*\nok +assertion .*\nfailed +login .*\nnot tried +list .*\n$/);
    expect(err).toMatch(/^hallpass: bao: the login refused \(step login, login_refused, status 400, no_such_role\)\n/);
    expect(err).toContain('hallpass federation show bao');
  });

  it('says to try one secret where names may not be listed', async () => {
    vault.denied.add('');
    const { code, err } = await hallpass(['store', 'check', 'bao']);
    vault.denied.delete('');
    expect({ code, err }).toEqual({
      code: 77,
      err: expect.stringMatching(/\n {2}we are logged in; .*--secret NAME\n$/),
    });
  });

  it('says that nothing listens at a store’s URL', async () => {
    const { code, out, err } = await hallpass(['store', 'check', 'gone']);
    expect(code).toBe(69);
    expect(out).toMatch(/failed +login/);
    expect(err).toContain(`(step login, connection_refused, ${nowhere})`);
  });

  it('reads one secret without showing it, and says that there is none of a name', async () => {
    expect((await hallpass(['secret', 'put', 'bao', 'stripe'], 'not-a-real-key')).code).toBe(0);
    const found = await hallpass(['store', 'check', 'bao', '--secret', 'stripe', '--json']);
    expect(JSON.parse(found.out)).toMatchObject({ store: 'bao', ok: true });
    expect(found.out + found.err).not.toContain('not-a-real-key');
    const listed = await hallpass(['store', 'check', 'bao']);
    expect(listed.out).toMatch(/^ok +list +1 name is listed$/m);
    const absent = await hallpass(['store', 'check', 'bao', '--secret', 'other', '--json']);
    expect(absent.code).toBe(1);
    expect(JSON.parse(absent.out)).toMatchObject({ ok: false, problem: expect.stringContaining('no such secret') });
  });

  it('needs no ledger for a store that asks nobody who we are', async () => {
    const { code, out } = await hallpass(['store', 'check', 'here']);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^ok +list .*\n$/) });
    const typo = await hallpass(['store', 'check', 'hera']);
    expect(typo.code).toBe(1);
    expect(typo.err).toContain('did you mean here?');
  });
});

describe('store check where nothing can answer', () => {
  it('says that there is nothing to log in with, and tells nobody to compare', async () => {
    const stores = {
      pod: { kind: 'vault', address: vault.url },
      file: { kind: 'vault', address: vault.url, role: 'hallpass', tokenFile: './no-such-token' },
      google: { kind: 'google-secret-manager', project: 'acme-core' },
    };
    const config = writeConfig(folder, configOf({ stores, credentials: {} }), 'ambient.json');
    const check = (store: string) => run(['store', 'check', store, '--config', config], { cwd: folder });
    const calls = vault.calls.length;
    const [pod, file, google] = await Promise.all([check('pod'), check('file'), check('google')]);
    expect(pod.err).toContain('no login was tried (step login, no_identity)\n  no role, no tokenFile, and this is no');
    expect(file.err).toMatch(/no_token, .*no-such-token/);
    expect(google.err).toMatch(/no_ambient_identity\)\n.*GCE_METADATA_HOST/);
    expect([pod.code, file.code, google.code]).toEqual([77, 69, 77]);
    expect(pod.err + file.err + google.err).not.toContain('federation show');
    expect(vault.calls).toHaveLength(calls);
  });

  it('waits for a silent server no longer than the broker does, and names it', async () => {
    const silent = createServer(() => {});
    const port = await freePort();
    await new Promise<void>((done) => silent.listen(port, '127.0.0.1', done));
    const stores = { bao: { kind: 'vault', address: `http://127.0.0.1:${port}`, role: 'hallpass' } };
    const config = writeConfig(folder, configOf({ stores, limits: { store: '1s' } }), 'silent.json');
    const before = Date.now();
    const { code, out, err } = await run(['store', 'check', 'bao', '--config', config], { cwd: folder });
    silent.close();
    // A login's own time is 8 s.
    expect(Date.now() - before).toBeLessThan(7000);
    expect(code).toBe(69);
    expect(out).toMatch(/^failed +login/m);
    expect(err).toContain(`http://127.0.0.1:${port}`);
    expect(err).toContain('limits.store');
  });
});

describe('before the broker has started', () => {
  const fresh = join(folder, 'fresh');
  const inFresh = (args: readonly string[]) => run([...args, '--config', 'hallpass.json'], { cwd: fresh, input: 'x' });
  const start = 'start the broker first: hallpass serve --config hallpass.json';

  it.each([
    ['store', 'check', 'bao'],
    ['secret', 'put', 'bao', 'stripe'],
    ['secret', 'list', 'bao'],
    ['secret', 'rm', 'bao', 'stripe'],
  ])('%s %s makes neither keys nor a ledger', async (...args) => {
    writeConfig(fresh, configOf());
    const { code, err } = await inFresh(args);
    expect(code).toBe(1);
    expect(err).toContain(start);
    expect(existsSync(join(fresh, 'keys'))).toBe(false);
    expect(existsSync(join(fresh, 'ledger.db'))).toBe(false);
  });

  it('nor a ledger where the keys are there', async () => {
    writeConfig(fresh, configOf());
    cpSync(join(folder, 'keys'), join(fresh, 'keys'), { recursive: true });
    const { code, out, err } = await inFresh(['store', 'check', 'bao']);
    rmSync(join(fresh, 'keys'), { recursive: true });
    expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(/^failed +ledger .*\nnot tried +list .*\n$/) });
    expect(err).toContain('ledger: ./ledger.db does not exist yet');
    expect(existsSync(join(fresh, 'ledger.db'))).toBe(false);
  });
});

describe('secret put into a store that takes an assertion', () => {
  it('is recorded: the login as a session, the write as a store-write', async () => {
    expect((await hallpass(['secret', 'put', 'bao', 'other-key'], 'not-a-real-key')).code).toBe(0);
    const { code, out } = await hallpass(['ledger', 'verify']);
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(vault.secrets.get('other-key')).toHaveLength(1);
    const log = ['ledger.db', 'ledger.db-wal'].map((file) => readFileSync(join(folder, file), 'latin1')).join('');
    expect(log).toContain('"type":"store-write"');
    expect(log).not.toContain('not-a-real-key');
  });
});

describe('federation show', () => {
  it('prints the facts, and commands with them in', async () => {
    const { code, out } = await hallpass(['federation', 'show', 'bao']);
    expect(code).toBe(0);
    for (const fact of [url, vault.url, `broker:${url.replace('http://', '')}`]) expect(out).toContain(fact);
    expect(out).toMatch(/^bao write .*auth\/jwt\/role\/hallpass/m);
    expect(out).toMatch(/^# +algorithm +ES256 or RS256$/m);
    const { out: json } = await hallpass(['federation', 'show', 'bao', '--json']);
    expect(JSON.parse(json)).toMatchObject({ store: 'bao', issuer: url, audience: vault.url, names: ['stripe'] });
  });

  it('gives rights to the secrets that the config refers to, wherever it does, and to no other', async () => {
    const file = writeConfig(
      rightsFolder.folder,
      configOf({
        broker: { url, signer: { kind: 'local', path: './keys' }, secret: { store: 'bao', name: 'fingerprints' } },
        credentials: {
          stripe: { kind: 'secret', store: 'bao', name: 'stripe' },
          mail: {
            kind: 'secret',
            store: 'gone',
            name: 'elsewhere',
            replicas: [{ store: 'bao', name: 'mail' }],
            stale: 'allow',
          },
          orders: {
            kind: 'postgres',
            host: '127.0.0.1',
            database: 'orders',
            role: 'reader',
            admin: { store: 'bao', name: 'pg/admin' },
          },
        },
      }),
    );
    const { out } = await run(['federation', 'show', 'bao', '--config', file, '--json'], { cwd: folder });
    const { names, steps } = JSON.parse(out) as { names: string[]; steps: { file?: { name: string; json: object } }[] };
    expect(names.sort()).toEqual(['fingerprints', 'mail', 'pg/admin', 'stripe']);
    const policy = steps.find((step) => step.file?.name === 'hallpass-policy.json')?.file?.json;
    expect(JSON.stringify(policy)).toContain('"secret/data/pg/admin"');
    expect(JSON.stringify(policy)).not.toMatch(/elsewhere|\*/);
  });

  it('shows the rights of the platform’s own identity where it logs in, and how to do without it', async () => {
    const stores = {
      bao: { kind: 'vault', address: vault.url, role: 'hallpass', auth: 'kubernetes', tokenFile: '/token' },
      aws: { kind: 'aws-secrets-manager', region: 'eu-west-1' },
    };
    const credentials = { stripe: { kind: 'secret', store: 'aws', name: 'prod/stripe' } };
    const file = writeConfig(rightsFolder.folder, configOf({ stores, credentials }));
    const show = (store: string) => run(['federation', 'show', store, '--config', file], { cwd: folder });
    const aws = await show('aws');
    expect(aws).toMatchObject({ code: 0, err: '' });
    expect(aws.out).toContain('secret:prod/stripe-??????');
    expect(aws.out).toMatch(/^# .*add assume: ROLE-ARN/m);
    const bao = await show('bao');
    expect(bao.code).toBe(0);
    expect(bao.out).toContain('bound_service_account_names');
    expect(bao.out).not.toContain('auth enable');
  });

  it('says that a store which asks nobody needs nothing', async () => {
    const { code, err } = await hallpass(['federation', 'show', 'here']);
    expect(code).toBe(1);
    expect(err).toContain('local takes no assertion');
  });
});

describe('a ledger of another key', () => {
  it('fails the step of the ledger, which is not ok then', async () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    const port = await freePort();
    const config = writeConfig(other, configOf({ broker: { url, signer: { kind: 'local', path: './keys' } } }));
    await (await startServer(config, port)).stop();
    rmSync(join(other, 'keys'), { recursive: true });
    cpSync(join(folder, 'keys'), join(other, 'keys'), { recursive: true });
    const { code, out, err } = await run(['store', 'check', 'bao', '--config', config], { cwd: other });
    expect(code).toBe(1);
    expect(out).toMatch(/^failed +ledger .*\nnot tried +list .*\n$/);
    expect(err).toContain('under another origin or key');
  });
});

describe('a wrong config', () => {
  it('is told before anything is tried', async () => {
    writeFileSync(join(folder, 'wrong.json'), JSON.stringify({ ...configOf(), stores: { bao: { kind: 'valut' } } }));
    const { code, err } = await run(['store', 'check', 'bao', '--config', 'wrong.json'], { cwd: folder });
    expect(code).toBe(1);
    expect(err).toContain('did you mean vault?');
  });
});
