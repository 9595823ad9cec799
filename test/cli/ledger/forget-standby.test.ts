import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfigFile } from '../../../src/cli/config-file.ts';
import { withOwnLog } from '../../../src/cli/ledger/roll.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { pledgeName } from '../../../src/ledger/confirming/pledge.ts';
import { soon, writer } from '../../ledger/fixtures.ts';
import { temporaryFolder, writeConfig } from '../../support/server.ts';
import { fakeTerminal } from '../fake-terminal.ts';

let folder: string;
let remove: () => void;

beforeEach(async () => {
  ({ folder, remove } = temporaryFolder());
  const terminal = fakeTerminal({ folder });
  expect(await runCommand(['ledger', 'init', '--config', configured({})], terminal)).toBe(0);
});
afterEach(() => remove());

const configured = (ledger: object) =>
  writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db', ...ledger },
  });

async function promised(): Promise<void> {
  const pledge = { serial: 2, standby: 'frankfurt', instance: 'i', state: 'on', generation: 2, reason: 'confirmed' };
  const terminal = fakeTerminal({ folder });
  const file = await readConfigFile(configured({}), terminal);
  await withOwnLog(file, terminal, async ({ texts }) => {
    const was = await texts?.read(pledgeName, soon());
    await texts?.write(pledgeName, was, JSON.stringify(pledge), soon());
  });
}

async function forget(ledger: object, ...args: string[]) {
  const terminal = fakeTerminal({ folder });
  const config = configured(ledger);
  const code = await runCommand(
    ['ledger', 'forget-standby', '--config', config, '--gone', 'frankfurt', ...args],
    terminal,
  );
  return { code, ...terminal.said };
}

const confirm = { standby: 'frankfurt' };
const left = 'take `ledger.confirm` out of the config and restart its server';

it('says what is left to do for as long as the config still waits', async () => {
  await promised();
  const first = await forget({ confirm });
  expect([first.code, first.out]).toEqual([0, expect.stringContaining('frankfurt is not relied on any more')]);
  expect(first.out).toContain(left);
  const again = await forget({ confirm });
  expect(again.out).toContain('no standby relies on this ledger\nnothing is answered yet');
  expect(again.out).toContain(left);
  expect((await forget({})).out).toBe('no standby relies on this ledger\n');
  const json = await forget({ confirm }, '--json');
  expect(JSON.parse(json.out)).toEqual({ forgotten: null });
  expect(json.err).toContain(left);
});

it('names the server to restart where the config waits for nobody', async () => {
  await promised();
  expect((await forget({})).out).toContain('is to be restarted without it');
});

it('does not take the config of a standby, of which nothing is known there', async () => {
  const { code, err, out } = await forget({ follow: { url: 'https://first.example.com', name: 'frankfurt' } });
  expect([code, out, err]).toEqual([
    1,
    '',
    expect.stringContaining("this is the config of a standby; give the first's"),
  ]);
});
