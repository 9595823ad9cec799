import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/cli/program.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { hashedShard } from '../../src/ledger/shards/placement.ts';
import { noteVerifier } from '../../src/ledger/tree/note.ts';
import { tilePath } from '../../src/ledger/tree/tile.ts';
import { fakeApp, tokens } from '../http/fake-deployment.ts';
import { newFolder, openIn, removeFolder } from '../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, scribe, soon } from '../ledger/fixtures.ts';
import { openShards, origin } from '../ledger/sharded-fixture.ts';
import { fakeTerminal } from './fake-terminal.ts';

const write = scribe(clockAt(Date.now()));
let folder: string;
let ledger: Ledger;
let key: string;
let get: (path: string) => Promise<Response>;
/** A checkpoint of shard 1 that somebody kept. */
let kept: string;
let openIntent: string;

/** Three shards, the second of them rolled twice; published as /v1/log serves them. */
beforeAll(async () => {
  folder = newFolder();
  ledger = await openShards(folder, 3);
  const { app } = fakeApp({ ledger: { ...ledger, reader: undefined } as Partial<Ledger> });
  get = async (path) => app.request(`/v1/log/${path}`, { headers: { authorization: `Bearer ${tokens.auditor}` } });
  key = await ledger.key(soon());
  openIntent = write.id();
  await ledger.append(asking(write.intent(openIntent)), soon());
  const grow = async () => {
    for (let at = 0; at < 12; at++) {
      const once = digest(String.fromCharCode(97 + at));
      await ledger.append({ ...asking(write.intent(write.id(), { once })), once }, soon()).catch(() => {});
    }
    await Promise.all(Array.from({ length: 30 }, () => ledger.append(asking(write.denial()), soon())));
  };
  const [, rolled] = ledger.shards as [Ledger, Ledger];
  await grow();
  kept = (await rolled.reader?.checkpoint(soon())) as string;
  await rolled.roll?.({}, soon());
  await grow();
  await rolled.roll?.({}, soon());
  const lockdown = write.lockdown('add', 'grant', 1, { grant: 'a' });
  await ledger.append(asking(lockdown), soon());
  await ledger.append({ ...asking(write.lockdown('lift', parseRecord(lockdown.record).id, 2)), epoch: 1 }, soon());
  for (const log of ['0', '1', '1~1', '1~2', '2']) await publish(log);
}, 60_000);
afterAll(async () => {
  await ledger.close();
  removeFolder(folder);
});

async function publish(log: string): Promise<void> {
  const keep = async (path: string) => {
    const answer = await get(`${log}/${path}`);
    if (answer.status !== 200) throw new Error(`${log}/${path}: ${answer.status}`);
    const file = join(folder, 'published', log, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, new Uint8Array(await answer.arrayBuffer()));
  };
  await keep('checkpoint');
  const size = Number((await readFile(join(folder, 'published', log, 'checkpoint'), 'utf8')).split('\n')[1]);
  await keep(tilePath('entries', 0, size));
  await keep(tilePath(0, 0, size));
}

async function verify(...args: string[]) {
  const terminal = fakeTerminal({ folder });
  const code = await runCommand(['ledger', 'verify', '--tiles', 'published', '--key', key, ...args], terminal);
  return { code, ...terminal.said };
}

/** Verifies while the published files are changed. */
async function changed(change: (published: string) => Promise<unknown>) {
  const [good, published] = [join(folder, 'good'), join(folder, 'published')];
  await cp(published, good, { recursive: true });
  try {
    await change(published);
    return await verify();
  } finally {
    await rm(published, { recursive: true });
    await cp(good, published, { recursive: true });
    await rm(good, { recursive: true });
  }
}

async function entriesOf(log: string) {
  const size = (await readFile(join(log, 'checkpoint'), 'utf8')).split('\n')[1];
  const entries = join(log, tilePath('entries', 0, Number(size)));
  return { entries, bytes: await readFile(entries) };
}

describe('a published ledger of several shards', () => {
  it('serves each log and its key by shard and generation, and no other', async () => {
    for (const [log, name] of [
      ['0', `${origin}/0`],
      ['1~1', `${origin}/1`],
      ['1~2', `${origin}/1~2`],
      ['1~3', `${origin}/1~3`],
    ]) {
      const vkey = (await (await get(`${log}/key`)).text()).trim();
      expect(noteVerifier(vkey).name).toBe(name);
      expect(noteVerifier(vkey).open(await (await get(`${log}/checkpoint`)).text())).toMatch(`${name}\n`);
    }
    expect(await (await get('key')).text()).toBe(`${key}\n`);
    for (const log of ['3', '1~4', '0~2', '01', '~1', 'x'])
      for (const what of ['checkpoint', 'key', 'tile/0/000.p/1'])
        expect((await get(`${log}/${what}`)).status, `${log}/${what}`).toBe(404);
    expect((await get('checkpoint')).status).toBe(404);
  });

  it('is verified as one, over shards and generations, and each finding names its log', async () => {
    const { code, out, err } = await verify();
    expect(err).toMatch(/^\d+ entries in 3 shards, \d+ open, nothing wrong found\n$/);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`${origin}/[0-2] entry \\d+: open: the intent of ${openIntent} has no outcome`));
  });

  it('extends a checkpoint that was kept of any of its logs', async () => {
    await writeFile(join(folder, 'kept'), kept);
    expect((await verify('--since', 'kept')).code).toBe(0);
    await writeFile(join(folder, 'kept'), kept.replaceAll(`${origin}/1`, `${origin}/7`));
    const { code, err } = await verify('--since', 'kept');
    expect(code).toBe(1);
    expect(err).toContain('the checkpoint given is of no log of pass.example.com/ledger');
  });

  it.each<[string, RegExp, (published: string) => Promise<unknown>]>([
    [
      'a shard in the place of another',
      /does not verify: /,
      (published) => cp(join(published, '0'), join(published, '2'), { recursive: true, force: true }),
    ],
    [
      'a generation in the place of the next',
      /does not verify: /,
      (published) => cp(join(published, '1~1'), join(published, '1~2'), { recursive: true, force: true }),
    ],
    [
      'a generation taken out',
      /1~1\/checkpoint is not there/,
      (published) => rm(join(published, '1~1'), { recursive: true }),
    ],
    [
      'a shard taken out',
      /shard 1 is missing, of at least 3/,
      (published) => Promise.all(['1', '1~1', '1~2'].map((log) => rm(join(published, log), { recursive: true }))),
    ],
    [
      'a changed entry in a closed log',
      /ledger\/1 entry \d+: (root_differs|record_malformed|leaf_differs)/,
      async (published) => {
        const { entries, bytes } = await entriesOf(join(published, '1~1'));
        bytes.set(Buffer.from('"count":7'), bytes.indexOf('"count":1'));
        await writeFile(entries, bytes);
      },
    ],
  ])('is found to have %s', async (_, said, change) => {
    const { code, out, err } = await changed(change);
    expect(code).toBe(1);
    expect(`${out}${err}`).toMatch(said);
  });

  it('is found where a shard has other lockdowns, or spends a replay key of another shard', async () => {
    const at = newFolder();
    const forged = await openIn(at, { origin: `${origin}/2` });
    const once = ['v', 'w', 'x', 'y', 'z'].map(digest).find((one) => hashedShard(one, 3) !== 2) as string;
    await forged.append({ ...asking(write.intent(write.id(), { once })), once }, soon());
    await forged.append(asking(write.lockdown('add', 'grant', 1, { grant: 'other' })), soon());
    const size = (await forged.reader.head(soon())).size;
    const { code, out } = await changed(async (published) => {
      await rm(join(published, '2'), { recursive: true });
      const files: [string, Uint8Array | undefined][] = [
        ['checkpoint', Buffer.from(await forged.reader.checkpoint(soon()))],
        [tilePath('entries', 0, size), await forged.reader.bundle(0, size, soon())],
        [tilePath(0, 0, size), await forged.reader.tile(0, 0, size, soon())],
      ];
      for (const [path, bytes] of files) {
        await mkdir(dirname(join(published, '2', path)), { recursive: true });
        await writeFile(join(published, '2', path), bytes as Uint8Array);
      }
    });
    await forged.close();
    removeFolder(at);
    expect(code).toBe(1);
    expect(out).toContain(`${origin}/2: lockdowns_differ: its lockdowns are not those of ${origin}/0`);
    expect(out).toMatch(new RegExp(`${origin}/2 entry \\d+: shard_wrong`));
  });
});

describe('ledger verify --resume', () => {
  const state = () => join(folder, 'state.1');
  const run = () => verify('--resume', 'state');

  it('goes on where the run before stopped, and reads nothing twice', async () => {
    expect((await run()).code).toBe(0);
    // Spoilt behind where it stands: a run that begins anew finds it, this one does not look.
    const { code } = await changed(async (published) => {
      const { entries, bytes } = await entriesOf(join(published, '1~1'));
      bytes.set(Buffer.from('"count":7'), bytes.indexOf('"count":1'));
      await writeFile(entries, bytes);
      expect((await run()).code).toBe(0);
    });
    expect(code).toBe(1);
  });

  it('finds again what it had found before', async () => {
    expect((await run()).code).toBe(0);
    await rm(state());
    await changed(async (published) => {
      const { entries, bytes } = await entriesOf(join(published, '1~1'));
      bytes.set(Buffer.from('"count":7'), bytes.indexOf('"count":1'));
      await writeFile(entries, bytes);
      expect((await run()).code).toBe(1);
    });
    const { code, out } = await run();
    expect(code).toBe(1);
    expect(out).toContain(`${origin}/1 entry`);
  });

  it('begins anew for a checkpoint of what it has read, and takes no file that is none of its own', async () => {
    await rm(state());
    await run();
    await writeFile(join(folder, 'kept'), kept);
    expect((await verify('--resume', 'state', '--since', 'kept')).code).toBe(0);
    await writeFile(state(), 'something else');
    const { code, err } = await run();
    expect(code).toBe(1);
    expect(err).toContain('state.1 is not the state of a run');
  });
});
