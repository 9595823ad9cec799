import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import { noteSigner, vkeyAs } from '../../../src/ledger/tree/note.ts';
import { temporaryFolder, writeConfig } from '../../support/server.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const folders: (() => void)[] = [];
afterAll(() => {
  for (const remove of folders) remove();
});

function house(
  ledger: Record<string, unknown>,
  stores: Record<string, unknown> = {},
  env: Record<string, string> = {},
) {
  const { folder, remove } = temporaryFolder();
  folders.push(remove);
  const file = writeConfig(folder, {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger,
    stores,
  });
  const run = async (...command: string[]) => {
    const terminal = fakeTerminal({ folder, env });
    const code = await runCommand(['ledger', ...command, '--config', file], terminal);
    return { code, ...terminal.said };
  };
  return { folder, run };
}

const aKey = noteSigner('pass.test/ledger', new Uint8Array(32)).vkey;
const sqlite = { kind: 'sqlite', path: 'ledger.db' };

it('makes the ledger and its keys, and shows the key that receipts are checked with', async () => {
  const { folder, run } = house(sqlite);
  const { code, out, err } = await run('init');
  expect([code, err]).toEqual([0, expect.stringContaining('pass.test/ledger is made')]);
  expect(out).toMatch(/^pass\.test\/ledger\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\n$/);
  expect(statSync(join(folder, 'ledger.db')).mode & 0o777).toBe(0o600);
  expect((await run('key')).out).toBe(out);
  expect((await run('verify')).err).toContain('0 entries, 0 open, nothing wrong found');
});

it('compares the index of a ledger with --index, and says in the end what is wrong with it', async () => {
  const { folder, run } = house(sqlite);
  await run('init');
  expect((await run('verify', '--index')).code).toBe(0);
  writeFileSync(join(folder, 'ledger.db.index'), 'nothing that SQLite reads, and more of it '.repeat(100));
  expect((await run('verify')).code).toBe(0);
  expect(await run('verify', '--index')).toMatchObject({
    code: 1,
    out: 'log: index_differs: the index cannot be read: corrupt\n',
    err: '0 entries, 0 open, 1 finding\n',
  });
});

it('says that there is nothing to do the second time, and changes nothing', async () => {
  const { run } = house(sqlite);
  const first = await run('init');
  const again = await run('init');
  expect([again.code, again.out]).toEqual([0, first.out]);
  expect(again.err).toContain('is there already, nothing to do');
});

it('sends the operator to where an http ledger runs', async () => {
  const { run } = house(sqlite);
  const key = (await run('init')).out.trim();
  const { code, err } = await house({ kind: 'http', url: 'https://ledger.test', key }).run('init');
  expect(code).toBe(1);
  expect(err).toContain('a http ledger is not made from here');
  expect(err).toContain('run it where https://ledger.test runs');
});

it.each([['verify'], ['checkpoint']])('%s of a ledger that was never made says what makes it', async (command) => {
  const { folder, run } = house({ kind: 'sqlite', path: 'ledger.db' });
  const { code, err } = await run(command);
  const file = join(folder, 'ledger.db');
  expect([code, err]).toEqual([
    1,
    `hallpass: ${file}: there is no such file (a first start, or hallpass ledger init, makes it)\n`,
  ]);
});

it('says what is wrong where the ledger cannot be made', async () => {
  const { folder, run } = house({ kind: 'sqlite', path: 'ledger.db' });
  mkdirSync(join(folder, 'ledger.db'));
  const { code, err } = await run('init');
  expect(code).toBe(1);
  expect(err).toBe(
    'hallpass: the sqlite ledger cannot be used (cannot_open)\n  its folder must be there, and writable for this user\n',
  );
});

/** Three logs in a database that nobody answers for. */
const away = { kind: 'postgres', url: { store: 'vars', name: 'LEDGER' }, shards: 3 };
const env = { HP_LEDGER: 'postgres://hallpass:fake-password@127.0.0.1:9/hallpass' };

it('says of a database that is down that it cannot be reached, and nothing of its login', async () => {
  const { run } = house(away, { vars: { kind: 'env', prefix: 'HP_' } }, env);
  for (const command of [['init'], ['index'], ['checkpoint', '--shard', '1'], ['roll'], ['verify', '--key', aKey]]) {
    const { code, err } = await run(...command);
    expect([command[0], code, err]).toEqual([
      command[0],
      69,
      'hallpass: the postgres ledger cannot be reached (unreachable)\n' +
        '  is the database up that ledger.url names, and are its host and port right?\n',
    ]);
  }
});

it('prints no checkpoint of one of several logs unless it is named', async () => {
  const { run } = house(away, { vars: { kind: 'env', prefix: 'HP_' } }, env);
  for (const named of [[], ['--shard', '3'], ['--shard', '-1']]) {
    const { code, out, err } = await run('checkpoint', ...named);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(named[1] === '-1' ? 'such as --shard 1' : 'keep every one of them: --shard 0 to --shard 2');
  }
  const one = house(sqlite).run;
  await one('init');
  expect((await one('checkpoint', '--shard', '0')).err).toContain('leave out --shard');
});

it('shows the key of a shard under its name', async () => {
  const { run } = house(away, { vars: { kind: 'env', prefix: 'HP_' } }, env);
  const { out } = await run('key');
  expect((await run('key', '--shard', '1', '--generation', '2')).out).toBe(
    `${vkeyAs(out.trim(), 'pass.test/ledger/1~2')}\n`,
  );
  expect((await run('key', '--shard', '0')).out).toBe(`${vkeyAs(out.trim(), 'pass.test/ledger/0')}\n`);
});

it('shows no key of a shard that the ledger does not have', async () => {
  const { run } = house(away, { vars: { kind: 'env', prefix: 'HP_' } }, env);
  const beyond = await run('key', '--shard', '3');
  expect([beyond.code, beyond.out, beyond.err]).toEqual([
    2,
    '',
    'hallpass: this ledger is 3 logs\n  --shard 0 to --shard 2\n',
  ]);
  const one = await house(sqlite).run('key', '--shard', '0');
  expect([one.code, one.out, one.err]).toEqual([2, '', 'hallpass: this ledger is one log\n  leave out --shard\n']);
});

it('says which path a server of several logs has a checkpoint at', async () => {
  const checkpoint = `pass.test/ledger/2\n41\n${'A'.repeat(43)}=\n\n— pass.test/ledger/2 AAAA\n`;
  const asked: string[] = [];
  const terminal = fakeTerminal({
    fetch: async (url) => {
      asked.push(new URL(url).pathname);
      if (url.endsWith('/v1/log/2/checkpoint')) return new Response(checkpoint);
      return Response.json({ code: 'not_found' }, { status: 404 });
    },
  });
  const ask = (...named: string[]) =>
    runCommand(['ledger', 'checkpoint', '--url', 'https://pass.test', ...named], terminal);
  expect([await ask(), await ask('--shard', '2')]).toEqual([1, 0]);
  expect(terminal.said.err).toContain('--shard N, at /v1/log/{N}/checkpoint');
  expect(terminal.said.out).toBe(checkpoint);
  expect(asked).toEqual(['/v1/log/checkpoint', '/v1/log/2/checkpoint']);
});
