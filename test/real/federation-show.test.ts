import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, type RealServer, startReal } from '../real-servers/start.ts';
import { freePort } from '../support/free-port.ts';
import { testIssuer } from '../support/issuer.ts';
import { type RunningServer, runCli, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { askBao } from './bao.ts';

// An operator's first hour: a store in the config, what is printed pasted into a shell, a secret out; then the role is revoked.

const lacking = lacks('openbao');
const { folder, remove } = temporaryFolder();
let bao: RealServer;
let server: RunningServer;
let file: string;
let ask: () => Promise<{ status: number; body: Record<string, unknown> }>;

describe.skipIf(lacking !== undefined)('OpenBao, set up by what federation show prints', () => {
  beforeAll(async () => {
    bao = await startReal('openbao');
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const issuer = testIssuer('https://ci.test', url);
    file = writeConfig(folder, {
      broker: { url, signer: { kind: 'local', path: './keys' } },
      ledger: { kind: 'sqlite', path: './ledger.db' },
      issuers: { ci: { issuer: issuer.url, jwks: issuer.jwks } },
      stores: { bao: { kind: 'vault', address: bao.url, role: 'hallpass', cache: '0' } },
      credentials: { stripe: { kind: 'secret', store: 'bao', name: 'stripe' } },
      grants: [{ name: 'all', identity: { issuer: 'ci', subject: 'svc:checkout' }, may: ['stripe'], ttl: '5m' }],
    });
    await askBao(bao, 'POST', 'secret/data/stripe', { data: { value: 'not-a-real-key' } });
    server = await startServer(file, port);
    ask = async () => {
      const headers = { authorization: `Bearer ${issuer.token()}` };
      const response = await fetch(`${url}/v1/credentials/stripe`, { method: 'POST', headers });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
  });
  afterAll(async () => {
    await server?.stop();
    await bao?.stop();
    remove();
  });

  const check = () => runCli(['store', 'check', 'bao', '--secret', 'stripe', '--config', file]);

  it('refuses the login before, and store check names the step', async () => {
    expect(await ask()).toMatchObject({ status: 502, body: { code: 'store_failed' } });
    const { code, stdout, stderr } = check();
    expect(code).not.toBe(0);
    expect(stdout).toMatch(/failed +login/);
    expect(stderr).toContain('hallpass federation show bao');
  });

  it('lets Hallpass in once the printed script was run as it is, and gives the secret with a receipt', async () => {
    const { stdout: script } = runCli(['federation', 'show', 'bao', '--config', file]);
    const env = { ...process.env, PATH: `${bao.folder}:${process.env.PATH}`, BAO_TOKEN: 'root', HOME: folder };
    const paste = () => spawnSync('bash', ['-eu'], { cwd: folder, env, input: script, encoding: 'utf8' });
    expect(paste()).toMatchObject({ status: 0 });
    expect(check()).toMatchObject({ code: 0 });
    const { status, body } = await ask();
    expect(status).toBe(200);
    expect(body).toMatchObject({ data: { value: 'not-a-real-key' }, receipt: { index: expect.any(Number) } });

    // Whoever it belongs to, a login that is there is neither pointed elsewhere nor given a role.
    const theirs = await askBao(bao, 'GET', 'auth/jwt/role/hallpass');
    const again = paste();
    expect(again.status).not.toBe(0);
    expect(again.stderr).toContain('path is already in use at jwt/');
    expect(again.stdout).not.toMatch(/Success/);
    expect(await askBao(bao, 'GET', 'auth/jwt/role/hallpass')).toMatchObject({
      data: (theirs as { data: object }).data,
    });
  });

  it('opens no other secret than those the config names', async () => {
    await askBao(bao, 'POST', 'secret/data/other', { data: { value: 'not-a-real-key' } });
    const { code, stdout } = runCli(['store', 'check', 'bao', '--secret', 'other', '--config', file]);
    expect(code).toBe(77);
    expect(stdout).toMatch(/failed +read/);
  });

  it('says clearly, inside and out, that the role was revoked', async () => {
    await askBao(bao, 'DELETE', 'auth/jwt/role/hallpass');
    await askBao(bao, 'PUT', 'sys/leases/revoke-prefix/auth/jwt/login');
    const { status, body } = await ask();
    expect({ status, code: body.code }).toEqual({ status: 502, code: 'store_failed' });
    expect(JSON.stringify(body)).not.toMatch(/role|bao|vault/i);
    expect(server.log()).toMatch(/"event":"store_failed","store":"bao","step":"login".*"code":"no_such_role"/);
    const { code, stderr } = check();
    expect(code).toBe(77);
    expect(stderr).toMatch(/the login refused \(step login, login_refused, status 400, no_such_role\)/);
  });
});
