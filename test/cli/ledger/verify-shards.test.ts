import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/cli/program.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { fakeApp, tokens } from '../../http/fake-deployment.ts';
import { newFolder, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, scribe, soon } from '../../ledger/fixtures.ts';
import { openShards, origin } from '../../ledger/sharded-fixture.ts';
import { fakeTerminal } from '../fake-terminal.ts';

let folder: string;
let ledger: Ledger;
let key: string;
/** Shards that the server says nothing of, and how it says so. */
let hidden: string[];
let answer: number;
let asked: number;

/** Three shards of records that no replay key places. */
beforeEach(async () => {
  folder = newFolder();
  hidden = [];
  answer = 404;
  asked = 0;
  ledger = await openShards(folder, 3);
  key = await ledger.key(soon());
  const write = scribe(clockAt(Date.now()));
  await Promise.all(Array.from({ length: 30 }, () => ledger.append(asking(write.denial()), soon())));
});
afterEach(async () => {
  await ledger.close();
  removeFolder(folder);
});

/** `ledger verify --url`, of a server that leaves out what is hidden. */
async function verify(...args: string[]) {
  const { app } = fakeApp({ ledger: { ...ledger, reader: undefined } as Partial<Ledger> });
  const server = 'http://127.0.0.1:1';
  const terminal = fakeTerminal({
    folder,
    env: { HALLPASS_TOKEN: tokens.auditor },
    fetch: async (url, init) => {
      asked++;
      const path = url.slice(server.length);
      if (hidden.some((shard) => new RegExp(`^/v1/log/${shard}[/~]`).test(path)))
        return new Response('', { status: answer });
      return app.request(path, init);
    },
  });
  const code = await runCommand(['ledger', 'verify', '--url', server, '--key', key, ...args], terminal);
  return { code, ...terminal.said };
}

describe('a server that leaves out the last of its shards', () => {
  it('is believed where nobody says how many there are', async () => {
    hidden = ['2'];
    expect(await verify()).toMatchObject({ code: 0, err: expect.stringContaining('in 2 shards, ') });
  });

  it.each([400, 429])('is not believed where it says %i of it, and not that there is none', async (status) => {
    hidden = ['2'];
    answer = status;
    const { code, out, err } = await verify();
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`hallpass: ${status}`);
  });

  it('is found by who knows the number', async () => {
    expect((await verify('--shards', '3')).code).toBe(0);
    hidden = ['2'];
    const { code, err } = await verify('--shards', '3');
    expect(code).toBe(1);
    expect(err).toContain('2 shards are there, and the ledger has 3');
    hidden = ['0', '1', '2'];
    expect((await verify('--shards', '3')).code).toBe(1);
  });

  it('is found by who has a checkpoint of that shard', async () => {
    await writeFile(join(folder, 'kept'), (await ledger.shards?.[2]?.reader?.checkpoint(soon())) as string);
    hidden = ['2'];
    const { code, err } = await verify('--since', 'kept');
    expect([code, err]).toEqual([1, expect.stringContaining(`of no log of ${origin}`)]);
  });

  it('is found by who has verified it before', async () => {
    expect((await verify('--resume', 'state')).code).toBe(0);
    expect((await verify('--resume', 'state')).code).toBe(0);
    hidden = ['2'];
    const { code, err } = await verify('--resume', 'state');
    expect([code, err]).toEqual([1, expect.stringContaining('state.2 read shard 2, and 2 shards are there now')]);
    await rm(join(folder, 'state.2'));
    expect((await verify('--resume', 'state')).code).toBe(0);
  });

  it('says before it reads that there is no folder for where it stops', async () => {
    const { code, err } = await verify('--resume', 'gone/state');
    expect([code, err]).toEqual([1, expect.stringContaining('the folder of --resume gone/state is not there')]);
    expect(asked).toBe(0);
  });

  it('is found by who has verified it as one log', async () => {
    await writeFile(join(folder, 'state'), '');
    const { code, err } = await verify('--resume', 'state');
    expect([code, err]).toEqual([1, expect.stringContaining('read a ledger of one log, and 3 shards are there now')]);
  });
});

it('says that a server is named without the path of its log', async () => {
  const { code, err } = await verify('--url', 'http://127.0.0.1:1/v1/log');
  expect([code, err]).toEqual([2, expect.stringContaining('a server is named without /v1/log')]);
});

it('a number of shards is one', async () => {
  for (const shards of ['0', '-1', 'many']) expect((await verify('--shards', shards)).code).toBe(2);
});
