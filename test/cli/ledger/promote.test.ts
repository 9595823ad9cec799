import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfigFile } from '../../../src/cli/config-file.ts';
import { withOwnLog } from '../../../src/cli/ledger/roll.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { asking, clockAt, scribe, soon, writer } from '../../ledger/fixtures.ts';
import { temporaryFolder, writeConfig } from '../../support/server.ts';
import { fakeTerminal } from '../fake-terminal.ts';

const write = scribe(clockAt(Date.now()));
let folder: string;
let remove: () => void;

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
});
afterEach(() => remove());

const configured = (follow?: object) =>
  writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...(follow && { follow }) },
  });

async function promote(config: string, ...args: string[]) {
  const terminal = fakeTerminal({ folder });
  const code = await runCommand(['ledger', 'promote', '--config', config, ...args], terminal);
  return { code, ...terminal.said };
}

it('promotes a standby once, says so when told again, and ends the waiting for one-time tokens with --fenced', async () => {
  const terminal = fakeTerminal({ folder });
  const plain = await readConfigFile(configured(), terminal);
  expect((await promote(configured())).err).toContain('ledger.db is not there');
  expect(await runCommand(['ledger', 'init', '--config', configured()], terminal)).toBe(0);
  await withOwnLog(plain, terminal, (ledger) => ledger.append(asking(write.denial()), soon()));
  const refused = await promote(configured());
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('no standby: its config has no `follow`')]);

  const standby = configured({ url: 'https://ledger.example.com' });
  const first = await promote(standby);
  expect([first.code, first.out]).toEqual([0, expect.stringContaining('ledger~2 has begun')]);
  const [waits] = /one-time tokens are refused until .*/.exec(first.out) ?? [];
  expect(waits).toContain('--fenced');
  const again = await promote(standby);
  expect(again.out).toBe(`promoted already: pass.example.com/ledger~2 grows\n${waits}\n`);
  const fenced = await promote(configured(), '--fenced');
  expect([fenced.err, fenced.out]).toEqual([
    '',
    expect.stringContaining('nothing is waited for: one-time tokens are taken from now on'),
  ]);
});
