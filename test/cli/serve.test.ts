import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openIssuer, publicJwk, signDevToken } from '../../src/cli/dev-folder.ts';
import { freePort } from '../support/free-port.ts';
import { fakeTerminal } from './fake-terminal.ts';
import { build, run, start, startNode } from './hallpass.ts';

let folder: string;
let port: number;
let token: string;

beforeAll(async () => {
  await build();
  folder = await mkdtemp(join(tmpdir(), 'hallpass-serve-'));
  port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const issuer = await openIssuer(join(folder, 'issuer'), url);
  token = signDevToken(issuer, { subject: 'ci' }, fakeTerminal());
  await writeFile(
    join(folder, 'hallpass.yaml'),
    `broker: { url: '${url}', signer: { kind: local, path: ./keys } }
ledger: { kind: sqlite, path: ./ledger.db }
issuers:
  ci: { issuer: '${issuer.iss}', jwks: ${JSON.stringify({ keys: [publicJwk(issuer)] })} }
stores: { here: { kind: local, path: ./secrets, cache: "0" } }
credentials: { key: { kind: secret, store: here, name: key } }
grants: [{ name: g, identity: { issuer: ci, subject: ci }, may: [key], ttl: 10m }]
`,
  );
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const config = ['--config', 'hallpass.yaml'];

describe('secret', () => {
  const at = () => ({ cwd: folder });

  it('puts the bytes of stdin, lists names and never values, and removes', async () => {
    const put = await run(['secret', 'put', 'here', 'key', ...config], { ...at(), input: 'fake-value-1' });
    expect({ code: put.code, out: put.out }).toEqual({ code: 0, out: '' });
    await run(['secret', 'put', 'here', 'old', ...config], { ...at(), input: 'fake-value-2' });
    const list = await run(['secret', 'list', 'here', ...config], at());
    expect(list).toEqual({ code: 0, out: 'key\nold\n', err: '' });
    expect(JSON.parse((await run(['secret', 'list', 'here', '--json', ...config], at())).out)).toEqual(['key', 'old']);
    expect((await run(['secret', 'rm', 'here', 'old', ...config], at())).code).toBe(0);
    expect((await run(['secret', 'rm', 'here', 'old', ...config], at())).code).toBe(1);
    expect((await run(['secret', 'list', 'here', ...config], at())).out).toBe('key\n');
  });

  it('refuses an empty value and an unknown store, with a suggestion', async () => {
    expect((await run(['secret', 'put', 'here', 'x', ...config], at())).code).toBe(1);
    const unknown = await run(['secret', 'list', 'her', ...config], at());
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('did you mean here?');
  });

  it('takes no value as an argument', async () => {
    expect((await run(['secret', 'put', 'here', 'x', 'value', ...config], at())).code).toBe(2);
  });
});

describe('serve', () => {
  it('prints one JSON line on stdout, serves, sees a new value, logs on stderr, and ends with 0 on SIGTERM', async () => {
    await run(['secret', 'put', 'here', 'key', ...config], { cwd: folder, input: 'fake-value-3' });
    const server = start(['serve', ...config, '--port', String(port)], { cwd: folder });
    try {
      await server.until('\n');
      expect(JSON.parse(server.said.out)).toEqual({ event: 'listening', url: `http://127.0.0.1:${port}` });
      const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: token };
      expect((await run(['get', 'key', '--field', 'value'], { cwd: folder, env })).out).toBe('fake-value-3');
      await run(['secret', 'put', 'here', 'key', ...config], { cwd: folder, input: 'fake-value-4' });
      expect((await run(['get', 'key', '--field', 'value'], { cwd: folder, env })).out).toBe('fake-value-4');
      expect((await run(['issuances', 'list'], { cwd: folder, env })).code).toBe(77);
    } finally {
      server.child.kill('SIGTERM');
    }
    const { code, out, err } = await server.ended;
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toHaveLength(1);
    for (const line of err.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('event');
    expect(err).not.toContain('url_port_differs');
    expect(err).not.toContain(token);
    expect(err).not.toContain('fake-value');
  });

  it('warns once where broker.url names another port of this machine than it listens at', async () => {
    const other = await freePort();
    const right = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    await writeFile(join(folder, 'moved.yaml'), right.replace('ledger.db', 'moved.db'));
    const server = start(['serve', '--config', 'moved.yaml', '--port', String(other)], { cwd: folder });
    await server.until('\n');
    server.child.kill('SIGTERM');
    const { code, err } = await server.ended;
    expect(code).toBe(0);
    const lines = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const [line, ...more] = lines.filter(({ event }) => event === 'url_port_differs');
    expect(line).toMatchObject({ level: 'warn' });
    expect(line.error).toContain(`http://127.0.0.1:${port} (broker.url)`);
    expect(line.error).toContain(`http://127.0.0.1:${other}`);
    expect(more).toEqual([]);
  });

  it('ends with 0 within the promised time beside a sink that never answers, and its log says what was left', async () => {
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const sink = createServer(() => asked());
    await new Promise<void>((done) => sink.listen(0, '127.0.0.1', done));
    const { port: at } = sink.address() as AddressInfo;
    const right = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    const silent = `${right.replace('ledger.db', 'silent.db')}sinks: { siem: { kind: http, url: 'http://127.0.0.1:${at}/in' } }\n`;
    await writeFile(join(folder, 'silent.yaml'), silent);
    const server = start(['serve', '--config', 'silent.yaml', '--port', String(port)], { cwd: folder });
    try {
      await server.until('\n');
      const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: token };
      await run(['get', 'other', '--field', 'value'], { cwd: folder, env });
      await isAsked;
      server.child.kill('SIGTERM');
      const { code, err } = await server.ended;
      expect(code).toBe(0);
      const last = JSON.parse(err.trimEnd().split('\n').at(-1) as string);
      expect(last).toMatchObject({ level: 'warn', event: 'ended_under_way', error: 'copies to sinks' });
    } finally {
      server.child.kill('SIGKILL');
      sink.closeAllConnections();
      sink.close();
    }
  }, 60_000);

  it('goes on serving when whoever read its log went away, and still ends with 0', async () => {
    await run(['secret', 'put', 'here', 'key', ...config], { cwd: folder, input: 'fake-value-5' });
    const server = start(['serve', ...config, '--port', String(port)], { cwd: folder });
    await server.until('\n');
    server.child.stderr.destroy();
    const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: token };
    for (let calls = 0; calls < 2; calls++)
      expect((await run(['get', 'key', '--field', 'value'], { cwd: folder, env })).out).toBe('fake-value-5');
    server.child.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });

  it('goes on serving when whoever read what a sink writes on stdout went away, and says so in its log', async () => {
    await run(['secret', 'put', 'here', 'key', ...config], { cwd: folder, input: 'fake-value-6' });
    const right = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    await writeFile(join(folder, 'copied.yaml'), `${right}sinks: { out: { kind: stdout } }\n`);
    const env = { HALLPASS_URL: `http://127.0.0.1:${port}`, HALLPASS_TOKEN: token };
    const ways = [
      () => start(['serve', '--config', 'copied.yaml', '--port', String(port)], { cwd: folder }),
      () => startNode({ cwd: folder, env: { HALLPASS_CONFIG_FILE: 'copied.yaml', PORT: String(port) } }),
    ];
    for (const begin of ways) {
      const server = begin();
      await server.until('"event":"listening"');
      server.child.stdout.destroy();
      for (let calls = 0; calls < 2; calls++) {
        expect((await run(['get', 'key', '--field', 'value'], { cwd: folder, env })).out).toBe('fake-value-6');
        const failures = () => server.said.err.split('"sink_failed"').length - 1;
        await vi.waitFor(() => expect(failures()).toBeGreaterThan(calls), 10_000);
      }
      server.child.kill('SIGTERM');
      const { code, err } = await server.ended;
      expect(code).toBe(0);
      for (const line of err.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('event');
    }
  }, 60_000);

  it('listens on loopback where HOST is empty, and takes no empty --host: to Node that is every address', async () => {
    const env = { HALLPASS_CONFIG_FILE: 'hallpass.yaml', HOST: '', PORT: String(port) };
    const server = startNode({ cwd: folder, env });
    await server.until('\n');
    server.child.kill('SIGTERM');
    await server.ended;
    expect(JSON.parse(server.said.out).url).toBe(`http://127.0.0.1:${port}`);
    const { code, out, err } = await run(['serve', ...config, '--host', ''], { cwd: folder });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('--host is empty');
  });

  it('a port that is taken is exit 1 with a hint', async () => {
    const server = start(['serve', ...config, '--port', String(port)], { cwd: folder });
    await server.until('\n');
    const other = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    await writeFile(join(folder, 'other.yaml'), other.replace('ledger.db', 'other.db'));
    const second = await run(['serve', '--config', 'other.yaml', '--port', String(port)], { cwd: folder });
    server.child.kill('SIGTERM');
    await server.ended;
    expect({ code: second.code, out: second.out }).toEqual({ code: 1, out: '' });
    expect(second.err).toContain(`port ${port}`);
  });

  it('a wrong config is exit 1 with every problem at its place, and nothing listens', async () => {
    const right = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    await writeFile(join(folder, 'wrong.yaml'), right.replace('may: [key]', 'may: [kei]').replace('ledger:', 'leger:'));
    const { code, out, err } = await run(['serve', '--config', 'wrong.yaml', '--port', String(port)], { cwd: folder });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    const problems = err.split('\n').filter((line) => /^wrong\.yaml:\d+:\d+: /.test(line));
    expect(problems.some((line) => line.includes('kei') && line.includes('key'))).toBe(true);
    expect(problems.some((line) => line.includes('leger'))).toBe(true);
    expect((await run(['config', 'check', 'wrong.yaml'], { cwd: folder })).err).toBe(err);
  });

  it('a config that is not UTF-8 is exit 1 with the place where it is not', async () => {
    await writeFile(join(folder, 'latin.yaml'), Buffer.from('broker:\n  url: caf\u00e9\n', 'latin1'));
    for (const args of [
      ['serve', '--config'],
      ['config', 'check'],
    ]) {
      const said = await run([...args, 'latin.yaml'], { cwd: folder });
      expect(said).toMatchObject({ code: 1, out: '', err: 'latin.yaml:2:11: the config is not UTF-8\n' });
    }
  });

  it('config check looks at a config for the runtime it is told', async () => {
    const check = (runtime: string) =>
      run(['config', 'check', resolve('examples/worker.hallpass.yaml'), '--runtime', runtime], { cwd: folder });
    expect(await check('workerd')).toMatchObject({
      code: 0,
      err: `${resolve('examples/worker.hallpass.yaml')} is valid\n`,
    });
    expect((await check('node')).code).toBe(1);
    expect((await check('browser')).code).toBe(2);
  });

  it('a ledger file that is something else is exit 1 with its name, and stays as it was', async () => {
    const right = await readFile(join(folder, 'hallpass.yaml'), 'utf8');
    await writeFile(join(folder, 'foreign.db'), 'not a database');
    await writeFile(join(folder, 'foreign.yaml'), right.replace('ledger.db', 'foreign.db'));
    const { code, out, err } = await run(['serve', '--config', 'foreign.yaml'], { cwd: folder });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('foreign.db');
    expect(await readFile(join(folder, 'foreign.db'), 'utf8')).toBe('not a database');
  });

  it('a key that is not in its store is exit 1 and says what it is for and where it was looked for', async () => {
    const broker = `broker: { url: 'https://pass.example.com', signer: { kind: local, key: { store: vars, name: KEY } } }`;
    const ref = `${broker}\nledger: { kind: sqlite, path: ./ref.db }\nstores: { vars: { kind: env } }\n`;
    await writeFile(join(folder, 'ref.yaml'), ref);
    const { code, out, err } = await run(['serve', '--config', 'ref.yaml'], { cwd: folder });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(
      'hallpass: broker.signer: the store vars has no secret KEY (an env store reads it from HALLPASS_SECRET_KEY)\n',
    );
  });

  it('a ledger whose folder is not there is exit 1 with its name, and no folder is made', async () => {
    const broker = `broker: { url: 'https://pass.example.com', signer: { kind: local, path: ./keys } }`;
    await writeFile(join(folder, 'gone.yaml'), `${broker}\nledger: { kind: sqlite, path: ./gone/ledger.db }\n`);
    const { code, out, err } = await run(['serve', '--config', 'gone.yaml'], { cwd: folder });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`the ledger ${join(folder, 'gone/ledger.db')} cannot be used (cannot_open)`);
    await expect(stat(join(folder, 'gone'))).rejects.toThrow();
  });

  it('a keys or store folder in a folder that is not there is exit 1 with its name, and none is made', async () => {
    const broker = `broker: { url: 'https://pass.example.com', signer: { kind: local, path: ./gone/keys } }`;
    const rest = `ledger: { kind: sqlite, path: ./gone/ledger.db }\nstores: { here: { kind: local, path: ./gone/store } }`;
    await writeFile(join(folder, 'gone.yaml'), `${broker}\n${rest}\n`);
    for (const args of [
      ['serve', '--config', 'gone.yaml'],
      ['secret', 'put', 'here', 'x', '--config', 'gone.yaml'],
    ]) {
      const { code, err } = await run(args, { cwd: folder, input: 'value' });
      expect(code).toBe(1);
      expect(err).toContain(`the folder ${join(folder, 'gone')} is not there`);
    }
    await expect(stat(join(folder, 'gone'))).rejects.toThrow();
  });

  it('a config that is not there is wrong usage', async () => {
    expect((await run(['serve', '--config', 'absent.yaml'], { cwd: folder })).code).toBe(2);
  });
});

describe('config', () => {
  it('check exits 0 for a right config, with its warnings on stderr and the secrets it still holds on stdout', async () => {
    const { code, out, err } = await run(['config', 'check', 'hallpass.yaml'], { cwd: folder });
    expect(code).toBe(0);
    expect(out).toMatch(/^long-lived secrets that this deployment holds or uses itself: 2\n/);
    expect(out).toMatch(/\n {2}broker\.signer +the private keys in \S+\n/);
    expect(err).toMatch(/^hallpass\.yaml:1:\d+: http is for trying things out/);
    const { out: json } = await run(['config', 'check', 'hallpass.yaml', '--json'], { cwd: folder });
    expect(JSON.parse(json).longLivedSecrets).toHaveLength(2);
  });

  it('schema is a JSON Schema that names every section', async () => {
    const { code, out } = await run(['config', 'schema'], { cwd: folder });
    expect(code).toBe(0);
    expect(Object.keys(JSON.parse(out).properties)).toEqual(
      expect.arrayContaining(['broker', 'ledger', 'issuers', 'grants']),
    );
  });

  it('the configs in the documentation are right', async () => {
    const root = resolve(import.meta.dirname, '../..');
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    const running = await readFile(join(root, 'docs/running.md'), 'utf8');
    const blocks = [...`${readme}${running}`.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] as string);
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    const env = { LEDGER_KEY: 'ledger.example.com/ledger+5aae673e+AYwhRPSyETSZSr5rvxcim2o3nUuYL2R/T7TcRU7iFUrg' };
    for (const [at, block] of blocks.entries()) {
      await writeFile(join(folder, `block-${at}.yaml`), block);
      const checked = await run(['config', 'check', `block-${at}.yaml`], { cwd: folder, env });
      expect({ at, ...checked }).toMatchObject({ code: 0 });
    }
  });
});
