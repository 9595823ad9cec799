import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfigFile } from '../../src/cli/config-file.ts';
import { nodePlatform } from '../../src/cli/node-platform.ts';
import { openOwnLog } from '../../src/config/parts/open-log.ts';
import { fakeTerminal } from '../cli/fake-terminal.ts';
import { asking, clockAt, scribe, soon, writer } from '../ledger/fixtures.ts';
import { cli, temporaryFolder, writeConfig } from '../support/server.ts';

// Real processes: one restore that is killed while it works, and others beside it and after it.

let folder: string;
let remove: () => void;
let config: string;

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
  config = writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
  });
});
afterEach(() => remove());

/** A backup of a ledger that is gone, its newest checkpoint, and an entry as a sink has it. */
async function lose(): Promise<string> {
  const terminal = fakeTerminal({ folder });
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const { ledger } = (await openOwnLog((await readConfigFile(config, terminal)).config, platform)) ?? {};
  if (ledger === undefined) throw new Error('no ledger');
  const write = scribe(clockAt(Date.now()));
  for (let n = 0; n < 3; n++) await ledger.append(asking(write.denial()), soon());
  await writeFile(join(folder, 'newest.txt'), (await ledger.reader?.checkpoint(soon())) ?? '');
  const [entry] = (await ledger.reader?.entries(0, 1, soon())) ?? [];
  await ledger.close();
  for (const name of readdirSync(folder).filter((one) => one.startsWith('ledger.db'))) {
    copyFileSync(join(folder, name), join(folder, name.replace('ledger', 'backup')));
    rmSync(join(folder, name));
  }
  return JSON.stringify({ log: entry?.log, index: entry?.leaf, record: JSON.parse(entry?.record ?? '') });
}

const restore = [cli, 'ledger', 'restore', '--from', 'backup.db', '--checkpoint', 'newest.txt', '--config'] as const;

const run = (...more: string[]) =>
  new Promise<{ failed: boolean; err: string }>((done) => {
    execFile(process.execPath, [...restore, config, ...more], { cwd: folder }, (error, _, err) =>
      done({ failed: error !== null, err }),
    );
  });

it('a restore is refused beside one at work, and after one that was killed goes on by itself', async () => {
  const line = await lose();
  // It waits for what stands in its copies where it has read them once.
  const records = join(folder, 'sink.ndjson');
  execFileSync('mkfifo', [records]);
  const first = spawn(process.execPath, [...restore, config, '--records', records], { cwd: folder });
  try {
    const sink = await open(records, 'w');
    await sink.writeFile(`${line}\n`);
    await sink.close();
    const copy = join(folder, 'ledger.db.restoring', 'ledger.db');
    for (let waited = 0; !existsSync(copy) && waited < 400; waited++) await pause(50);
    expect([existsSync(copy), first.exitCode]).toEqual([true, null]);
    const beside = await run();
    expect([beside.failed, beside.err]).toEqual([true, expect.stringContaining('another restore is at work\n')]);
    expect([existsSync(copy), first.exitCode]).toEqual([true, null]);
  } finally {
    first.kill('SIGKILL');
    await once(first, 'exit');
  }
  expect(existsSync(join(folder, 'ledger.db.restoring'))).toBe(true);
  expect(await run()).toEqual({ failed: false, err: '' });
  expect(readdirSync(folder).filter((name) => name.startsWith('ledger.db'))).toEqual(['ledger.db']);
});
