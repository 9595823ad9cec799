import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo } from '../../../src/cli/dev/config.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { noteSigner, noteVerifier } from '../../../src/ledger/tree/note.ts';
import { freePort } from '../../support/free-port.ts';
import { fakeTerminal } from '../fake-terminal.ts';
import { build, bundle, type Running, run, start } from '../hallpass.ts';

let folder: string;
let port: number;
let dev: Running;
let url: string;

beforeAll(async () => {
  await build();
  folder = await mkdtemp(join(tmpdir(), 'hallpass-cli-'));
  port = await freePort();
  url = `http://127.0.0.1:${port}`;
  dev = start(['dev', '--port', String(port)], { cwd: folder });
  await dev.until('until Ctrl-C');
}, 60_000);

afterAll(async () => {
  dev.child.kill('SIGKILL');
  await dev.ended;
  await rm(folder, { recursive: true, force: true });
});

/** Node and npm are all that the tests need: without curl its lines are only looked at. */
const hasCurl = spawnSync('curl', ['--version'], { stdio: 'ignore' }).status === 0;
const runs = (line: string): boolean => hasCurl || !line.startsWith('curl');

describe('the transcript of `hallpass dev`', () => {
  it('tells the token, the decision, the credential, the record and the verified receipt, in this order', () => {
    const steps = ['iss ', 'developer-gets-the-demo', 'issuance ', '"type": "issuance"', 'receipt verified'];
    const places = steps.map((step) => dev.said.out.indexOf(step));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('does not print the secret value or a token', () => {
    expect(dev.said.out + dev.said.err).not.toContain(demo.value);
    expect(dev.said.out + dev.said.err).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/);
  });

  it('prints curl lines and command lines that work as pasted', async () => {
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'npx'), `#!/bin/sh\nshift\nexec '${process.execPath}' '${bundle}' "$@"\n`);
    await chmod(join(bin, 'npx'), 0o755);
    const lines = [...dev.said.out.matchAll(/^ {2}((?:curl|npx) .*)$/gm)].map((match) => match[1] as string);
    expect(lines).toHaveLength(4);
    const env = { PATH: `${bin}:${process.env.PATH}` };
    for (const line of lines.slice(0, 2).filter(runs)) {
      const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd: folder, env });
      expect(JSON.parse(stdout).data.value).toBe(demo.value);
    }
    await promisify(execFile)('sh', ['-c', lines[2] as string], { cwd: folder, env });
    if (!runs(lines[3] as string)) return;
    const exchanged = await promisify(execFile)('sh', ['-c', lines[3] as string], { cwd: folder, env });
    const { access_token: token } = JSON.parse(exchanged.stdout);
    expect(JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).aud).toBe(demo.resource);
  });
});

describe('beside a running `hallpass dev`', () => {
  it('get finds server and token by itself, and its receipt verifies with the key of the log', async () => {
    const got = await run(['get', demo.credential, '--verbose'], { cwd: folder });
    expect(got.code).toBe(0);
    expect(got.err).toContain(`server: ${url}\ntoken: from hallpass dev`);
    const byServer = await run(['ledger', 'key'], { cwd: folder });
    const byConfig = await run(['ledger', 'key', '--config', '.hallpass/config.yaml'], { cwd: folder });
    expect(byServer.out).toBe(byConfig.out);
    expect(() => verifyReceipt(JSON.parse(got.out).receipt, byConfig.out.trim())).not.toThrow();
  });

  it('get --field prints the value and nothing else', async () => {
    expect((await run(['get', demo.credential, '--field', 'value'], { cwd: folder })).out).toBe(demo.value);
  });

  it('get demo-token is a token of the workloads issuer, signed after it was recorded', async () => {
    const { out } = await run(['get', 'demo-token'], { cwd: folder });
    const { data, receipt } = JSON.parse(out);
    const claims = JSON.parse(Buffer.from(data.token.split('.')[1], 'base64url').toString());
    expect(claims.iss).toBe(`${url}/workloads`);
    expect(claims.jti).toBe(JSON.parse(receipt.record).id);
  });

  it('another subject is refused with 77, and the denial is in the log', async () => {
    const token = (await run(['dev', 'token', '--subject', 'stranger'], { cwd: folder })).out.trim();
    const denied = await run(['get', demo.credential], { cwd: folder, env: { HALLPASS_TOKEN: token } });
    expect({ code: denied.code, out: denied.out }).toEqual({ code: 77, out: '' });
    const { out } = await run(['issuances', 'list', '--type', 'denial', '--json'], { cwd: folder });
    expect(JSON.parse(out).items[0].disclosed.subject).toBe('stranger');
  });

  it('a token for another audience is refused with 77', async () => {
    const token = (await run(['dev', 'token', '--audience', 'https://other.example'], { cwd: folder })).out.trim();
    expect((await run(['get', demo.credential], { cwd: folder, env: { HALLPASS_TOKEN: token } })).code).toBe(77);
  });

  it('explain says allow by which grant', async () => {
    expect((await run(['explain', demo.credential], { cwd: folder })).out).toContain(
      'allow by grant developer-gets-the-demo',
    );
  });

  it('issuances show and lease revoke take the id that get printed', async () => {
    const { id } = JSON.parse((await run(['get', demo.credential], { cwd: folder })).out);
    expect((await run(['lease', 'revoke', id], { cwd: folder })).code).toBe(0);
    const { items } = JSON.parse((await run(['issuances', 'show', id, '--json'], { cwd: folder })).out);
    expect(items.map((item: { record: { type: string } }) => item.record.type)).toEqual(['issuance', 'revocation']);
  });

  it('ledger verify reads the log while it is written, and is clean', async () => {
    const verified = await run(['ledger', 'verify', '--config', '.hallpass/config.yaml'], { cwd: folder });
    expect({ code: verified.code, out: verified.out }).toEqual({ code: 0, out: '' });
    expect(verified.err).toMatch(/^\d+ entries, 0 open, nothing wrong found\n$/);
  });

  it('ledger verify --url reads the published log under the key one knows, and no other', async () => {
    const key = (await run(['ledger', 'key', '--config', '.hallpass/config.yaml'], { cwd: folder })).out.trim();
    const verified = await run(['ledger', 'verify', '--url', url, '--key', key], { cwd: folder });
    expect({ code: verified.code, out: verified.out }).toEqual({ code: 0, out: '' });
    expect(verified.err).toMatch(/^[1-9]\d* entries/);
    const other = noteSigner(noteVerifier(key).name, randomBytes(32)).vkey;
    expect((await run(['ledger', 'verify', '--url', url, '--key', other], { cwd: folder })).code).toBe(1);
  });

  it('ledger verify --since finds that a log does not extend a checkpoint of another one', async () => {
    const { out } = await run(['ledger', 'checkpoint', '--config', '.hallpass/config.yaml'], { cwd: folder });
    await writeFile(join(folder, 'kept'), out);
    const args = ['ledger', 'verify', '--config', '.hallpass/config.yaml', '--since'];
    expect((await run([...args, 'kept'], { cwd: folder })).code).toBe(0);
    await writeFile(
      join(folder, 'forged'),
      out.replace(/^(\d+)$/m, (size) => String(Number(size) + 1)),
    );
    expect((await run([...args, 'forged'], { cwd: folder })).code).toBe(1);
  });

  it('its issuer publishes the key its tokens are signed with', async () => {
    const discovery = await (await fetch(`${url}/dev/.well-known/openid-configuration`)).json();
    expect(discovery.issuer).toBe(`${url}/dev`);
    const { keys } = await (await fetch(discovery.jwks_uri)).json();
    const token = (await run(['dev', 'token'], { cwd: folder })).out;
    expect(keys[0].kid).toBe(JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid);
    expect(keys[0]).not.toHaveProperty('d');
  });

  it.skipIf(!existsSync('/dev/full'))('a secret that could not be written is exit 1', async () => {
    const line = `'${process.execPath}' '${bundle}' get ${demo.credential} > /dev/full`;
    const { code, stderr } = await promisify(execFile)('sh', ['-c', line], { cwd: folder }).catch((error) => error);
    expect(code).toBe(1);
    expect(stderr).toContain('hallpass: stdout cannot be written (ENOSPC)');
  });

  it('the examples of --help do what they say', async () => {
    const bin = join(folder, 'path');
    await mkdir(bin);
    await symlink(bundle, join(bin, 'hallpass'));
    const env = { PATH: `${bin}:${process.env.PATH}` };
    // `dev` and `serve` would be the second on this ledger; what is removed is removed last.
    const commands = ['dev token', 'config check', 'config schema', 'secret put', 'secret list', 'get', 'explain'];
    commands.push('issuances', 'issuances list', 'issuances show', 'issuances export', 'issuances trace');
    commands.push('ledger index', 'ledger verify', 'ledger key', 'ledger checkpoint');
    for (const command of [...commands, 'lease list', 'lease revoke', 'lease sweep', 'secret rm']) {
      const terminal = fakeTerminal();
      await runCommand([...command.split(' '), '--help'], terminal);
      const example = /^ {2}\$ (.+)$/m.exec(terminal.said.out)?.[1] as string;
      const { code = 0, stderr } = await promisify(execFile)('sh', ['-c', example], { cwd: folder, env }).catch(
        (error) => error,
      );
      expect({ example, code, stderr }).toMatchObject({ code: 0 });
    }
  }, 60_000);

  it('a second one in the same folder says where the first one runs', async () => {
    const second = await run(['dev', '--port', String(await freePort()), '--once'], { cwd: folder });
    expect(second.code).toBe(1);
    expect(second.err).toContain(url);
  });
});

describe('starting and stopping', () => {
  it('--once exits 0 after a verified receipt, in another folder, and again on what it left there', async () => {
    for (const port of [await freePort(), await freePort()]) {
      const once = await run(['dev', '--once', '--port', String(port), '--dir', 'other dir'], { cwd: folder });
      expect(once.err.split('\n').filter((line) => line.includes('"level":"error"'))).toEqual([]);
      expect(once.code).toBe(0);
      expect(once.out).toContain('receipt verified');
      expect(once.out).toContain("--dir 'other dir'");
    }
  });

  it('serves under a lockdown of what it shows, so that it can be lifted', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'hallpass-cli-'));
    const serve = async () => {
      const running = start(['dev', '--port', String(await freePort())], { cwd });
      await running.until('until Ctrl-C');
      return running;
    };
    const end = async ({ child, ended }: Running) => {
      child.kill('SIGINT');
      await ended;
    };
    const first = await serve();
    expect((await run(['lockdown', 'add', '--everything', '--reason', 'drill'], { cwd })).code).toBe(0);
    await end(first);
    const second = await serve();
    expect(second.said.err).toContain('`hallpass lockdown list` shows it');
    expect(second.said.out).not.toContain('undefined');
    const { items } = JSON.parse((await run(['lockdown', 'list', '--json'], { cwd })).out);
    expect((await run(['lockdown', 'lift', items[0].id], { cwd })).code).toBe(0);
    expect((await run(['get', demo.credential], { cwd })).code).toBe(0);
    await end(second);
    await rm(cwd, { recursive: true });
  });

  it('a taken port is exit 1 with a hint, and nothing else happens', async () => {
    const holder: Server = createServer();
    const taken = await freePort();
    await new Promise<void>((done) => holder.listen(taken, '127.0.0.1', done));
    const ended = await run(['dev', '--port', String(taken), '--dir', 'third'], { cwd: folder });
    holder.close();
    expect({ code: ended.code, out: ended.out }).toEqual({ code: 1, out: '' });
    expect(ended.err).toContain(`port ${taken}`);
    expect(ended.err).toContain('--port');
  });

  it('Ctrl-C ends it with exit 0 and takes back its word that it runs', async () => {
    // As under npm, which passes on what the terminal has sent already.
    dev.child.kill('SIGINT');
    dev.child.kill('SIGINT');
    const { code, err } = await dev.ended;
    expect(code).toBe(0);
    expect(err).not.toContain('Error');
    await expect(readFile(join(folder, '.hallpass/running.json'))).rejects.toThrow();
    expect((await run(['get', demo.credential], { cwd: folder })).code).toBe(69);
  });
});
