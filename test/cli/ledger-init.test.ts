import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import { temporaryFolder, writeConfig } from '../support/server.ts';
import { fakeTerminal } from './fake-terminal.ts';

const folders: (() => void)[] = [];
afterAll(() => {
  for (const remove of folders) remove();
});

function house(ledger: Record<string, unknown>) {
  const { folder, remove } = temporaryFolder();
  folders.push(remove);
  const file = writeConfig(folder, {
    broker: { url: 'https://pass.test', signer: { kind: 'local', path: 'keys' } },
    ledger,
  });
  const run = async (...command: string[]) => {
    const terminal = fakeTerminal({ folder });
    const code = await runCommand(['ledger', ...command, '--config', file], terminal);
    return { code, ...terminal.said };
  };
  return { folder, run };
}

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

it('says what is wrong where the ledger cannot be made', async () => {
  const { folder, run } = house({ kind: 'sqlite', path: 'ledger.db' });
  mkdirSync(join(folder, 'ledger.db'));
  const { code, err } = await run('init');
  expect(code).toBe(1);
  expect(err).toContain('log store: cannot_open');
});
