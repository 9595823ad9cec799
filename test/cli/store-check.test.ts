import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeVault, startVault } from '../fakes/vault.ts';
import { type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { freePort, run } from './hallpass.ts';

const { folder, remove } = temporaryFolder();
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
    expect(err).toMatch(/connection_refused/);
  });

  it('reads one secret without showing it, and says that there is none of a name', async () => {
    expect((await hallpass(['secret', 'put', 'bao', 'stripe'], 'not-a-real-key')).code).toBe(0);
    const found = await hallpass(['store', 'check', 'bao', '--secret', 'stripe', '--json']);
    expect(JSON.parse(found.out)).toMatchObject({ store: 'bao', ok: true });
    expect(found.out + found.err).not.toContain('not-a-real-key');
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
    const { out: json } = await hallpass(['federation', 'show', 'bao', '--json']);
    expect(JSON.parse(json)).toMatchObject({ store: 'bao', issuer: url, audience: vault.url, algorithm: 'ES256' });
  });

  it('says that a store which asks nobody needs nothing', async () => {
    const { code, err } = await hallpass(['federation', 'show', 'here']);
    expect(code).toBe(1);
    expect(err).toContain('local takes no assertion');
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
