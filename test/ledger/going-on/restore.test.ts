import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { readConfigFile } from '../../../src/cli/config-file.ts';
import { putBack } from '../../../src/cli/ledger/put-back.ts';
import { nodePlatform } from '../../../src/cli/node-platform.ts';
import { runCommand } from '../../../src/cli/program.ts';
import { buildDeployment } from '../../../src/config/build.ts';
import { openOwnLog } from '../../../src/config/parts/open-log.ts';
import { openDatabase } from '../../../src/ledger/drivers/sqlite/file.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { findPlaces } from '../../../src/ledger/questions/places.ts';
import { askedOf } from '../../../src/ledger/questions/questions.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { fakeTerminal } from '../../cli/fake-terminal.ts';
import { temporaryFolder, writeConfig } from '../../support/server.ts';
import { asking, clockAt, digest, scribe, soon, writer } from '../fixtures.ts';

vi.mock(import('../../../src/ledger/verify/verify.ts'), async (original) => {
  const all = await original();
  return { ...all, verifyLog: vi.fn(all.verifyLog) };
});

let folder: string;
let remove: () => void;
let config: string;
let ledger: Ledger | undefined;
const write = scribe({
  ...clockAt(),
  get at() {
    return Date.now();
  },
} as never);

beforeEach(() => {
  ({ folder, remove } = temporaryFolder());
  config = writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
  });
});
afterEach(async () => {
  await ledger?.close();
  ledger = undefined;
  remove();
});

async function open(): Promise<Ledger> {
  const terminal = fakeTerminal({ folder });
  const opened = await openOwnLog((await readConfigFile(config, terminal)).config, {
    ...nodePlatform(terminal, folder),
    log: () => {},
  });
  if (opened === undefined) throw new Error('no ledger');
  ledger = opened.ledger;
  return ledger;
}

async function run(...command: string[]) {
  await ledger?.close();
  ledger = undefined;
  const terminal = fakeTerminal({ folder });
  const code = await runCommand(['ledger', ...command, '--config', config], terminal);
  return { code, ...terminal.said };
}

/** A log of which a backup was taken, that went on and was lost; what a sink and another place have of it is kept. */
async function lose({ roll = false } = {}) {
  const log = await open();
  const [open_, later] = [write.id(), write.id()];
  await log.append(asking(write.intent(open_)), soon());
  await run('checkpoint');
  for (const part of ['', '-wal'])
    if (existsSync(join(folder, `ledger.db${part}`)))
      copyFileSync(join(folder, `ledger.db${part}`), join(folder, `backup.db${part}`));
  const again = await open();
  const once = digest('z');
  const spent = await again.append({ ...asking(write.intent(later, { once })), once }, soon());
  await again.append({ ...asking(write.issuance(later, { once })), once }, soon());
  if (roll) await again.roll?.({}, soon());
  for (let more = 0; more < 3; more++) await again.append(asking(write.denial()), soon());
  const entries = await again.reader?.entries(0, 1_000, soon());
  const lines = (entries ?? []).map(({ log: origin, leaf, record, disclosure }) =>
    JSON.stringify({
      log: origin,
      index: leaf,
      record: JSON.parse(record),
      ...(disclosure !== null && { disclosure }),
    }),
  );
  writeFileSync(join(folder, 'sink.ndjson'), `${lines.slice(0, 2).join('\n')}\n{"cut\n${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'newest.txt'), (await again.reader?.checkpoint(soon())) ?? '');
  const size = lines.length;
  await again.close();
  ledger = undefined;
  mkdirSync(join(folder, 'aside'));
  for (const part of ['ledger.db', 'ledger.db-wal', 'ledger.db-shm'])
    if (existsSync(join(folder, part))) {
      copyFileSync(join(folder, part), join(folder, 'aside', part));
      rmSync(join(folder, part));
    }
  return { size, spent, once, later, lines };
}

it.each([false, true])(
  'takes all that a sink has up to the checkpoint known elsewhere, with its replay keys (a roll in between: %s)',
  async (roll) => {
    const { spent, once, later, size } = await lose({ roll });
    const restored = await run(
      'restore',
      '--from',
      'backup.db',
      '--records',
      'sink.ndjson',
      '--checkpoint',
      'newest.txt',
    );
    expect([restored.code, restored.err]).toEqual([0, '']);
    expect(restored.out).toContain('nothing known is lost');
    expect((await run('verify')).code).toBe(0);
    const log = await open();
    await expect(log.append({ ...asking(write.issuance(write.id(), { once })), once }, soon())).rejects.toMatchObject({
      code: 'replayed',
    });
    expect(await log.issuance(later, soon())).toHaveLength(2);
    expect(await log.pending('open', soon())).toHaveLength(1);
    const vkey = await log.key(soon());
    for (const receipt of spent.receipts) verifyReceipt(receipt, vkey);
    const { receipts } = await log.append(asking(write.denial()), soon());
    expect(receipts[0]?.log).toBe(`pass.example.com/ledger~${roll ? 3 : 2}`);
    const [begin] = (await log.reader?.list({ type: 'roll', limit: 1 }, soon())) ?? [];
    expect(begin?.index).toBe(size);
  },
);

it('names what is lost where there are no copies, and commits to the tree that was known', async () => {
  const { size } = await lose();
  const { code, out } = await run('restore', '--from', 'backup.db', '--checkpoint', 'newest.txt', '--json');
  expect(code).toBe(0);
  const restored = JSON.parse(out);
  expect(restored).toMatchObject({
    added: 0,
    ended: 'pass.example.com/ledger',
    known: size,
    log: 'pass.example.com/ledger~2',
  });
  expect(restored.kept).toBeLessThan(size);
  const wait = Date.parse(restored.once_from) - Date.now();
  expect([wait > 24.5 * 3_600_000, wait <= 25 * 3_600_000]).toEqual([true, true]);
  const terminal = fakeTerminal({ folder });
  const served = await buildDeployment((await readConfigFile(config, terminal)).config, nodePlatform(terminal, folder));
  const once = digest('y');
  const spending = { ...asking(write.intent(write.id(), { once })), once };
  await expect(served.ledger.append(spending, soon())).rejects.toMatchObject({ reason: 'once_after_restore' });
  await served.close();
  const log = await open();
  // Whoever had come to its end goes on where it ended.
  const { at, cut } = await findPlaces(askedOf(log), { at: [size], generations: [1] }, soon());
  expect([at, cut]).toEqual([[restored.kept], { 'pass.example.com/ledger': restored.kept }]);
  const [begin] = (await log.reader?.list({ type: 'roll', limit: 1 }, soon())) ?? [];
  expect(parseRecord(begin?.record ?? '')).toMatchObject({
    state: 'begin',
    log: 'pass.example.com/ledger',
    size,
    kept: restored.kept,
    reason: 'restored',
  });
  expect((await run('verify')).code).toBe(0);
});

it('says what is lost on a line of its own, and what is left out before it says that the next log began', async () => {
  const { size } = await lose();
  const { out } = await run('restore', '--from', 'backup.db', '--checkpoint', 'newest.txt');
  const lines = out.split('\n');
  expect(lines.slice(0, 3)).toEqual([
    expect.stringMatching(/^0 entries taken from copies; pass\.example\.com\/ledger ended with \d+ entries$/),
    expect.stringMatching(new RegExp(`^entries \\d+ to ${size - 1} of pass\\.example\\.com/ledger are lost$`)),
    'pass.example.com/ledger~2 has begun',
  ]);
  const { err } = await run('verify');
  expect(err).toMatch(/^\d+ entries, 1 open, 1 gap, nothing wrong found$/m);
});

const orders = [
  // A sink puts objects by the hour of the records, whose clocks differ by seconds.
  ['two of them swapped', (lines: string[]) => [...lines.slice(0, -3), ...lines.slice(-3).reverse()]],
  ['the newest first', (lines: string[]) => lines.toReversed()],
] as const;

it.each(orders.flatMap(([what, ordered]) => [false, true].map((roll) => [what, roll, ordered] as const)))(
  'takes copies in whatever order they are given: %s (a roll in between: %s)',
  async (_, roll, ordered) => {
    const { lines } = await lose({ roll });
    writeFileSync(join(folder, 'sink.ndjson'), `${ordered(lines).join('\n')}\n`);
    const { code, out, err } = await run(...proved, '--records', 'sink.ndjson');
    expect([code, err, out]).toEqual([0, '', expect.stringContaining('nothing known is lost')]);
    expect(out).not.toContain('left out');
  },
);

it.each([
  ['without', (line: string) => JSON.stringify({ ...JSON.parse(line), disclosure: undefined })],
  ['spoilt', (line: string) => JSON.stringify({ ...JSON.parse(line), disclosure: 'WyJhIix7fV0' })],
])('takes what was disclosed from whichever sink has it, also behind one that has it %s', async (_, less) => {
  const { lines, later } = await lose();
  writeFileSync(join(folder, 'less.ndjson'), `${lines.map(less).join('\n')}\n`);
  const { code, err } = await run(...proved, '--records', 'less.ndjson', '--records', 'sink.ndjson');
  expect([code, err]).toEqual([0, '']);
  const found = await (await open()).issuance(later, soon());
  expect(found.map(({ disclosure }) => typeof disclosure)).toEqual(['string', 'string']);
  expect((await run('verify')).code).toBe(0);
});

it('takes an entry that tells of somebody with a line separator in it', async () => {
  const { lines } = await lose();
  const disclosed = { claims: { workflow: 'a\u2028b\u2029c\r' } };
  const told = lines.map((line) => `${line.slice(0, -1)},"disclosed":${JSON.stringify(disclosed)}}`);
  writeFileSync(join(folder, 'sink.ndjson'), `${told.join('\n')}\n`);
  const { code, out, err } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, err, out]).toEqual([0, '', expect.stringContaining('nothing known is lost')]);
});

it('says that the copies are of two logs under one name, and takes them without the wrong ones', async () => {
  const { lines } = await lose();
  const last = lines.length - 1;
  const other = (lines[last] as string).replace('"reason":"no_grant"', '"reason":"lockdown"');
  const given = [...lines.slice(0, last), other, ...lines.slice(last)];
  writeFileSync(join(folder, 'sink.ndjson'), given.join('\n'));
  const { code, err } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, err]).toEqual([
    1,
    expect.stringContaining(`the copies have two entries ${last} of pass.example.com/ledger`),
  ]);
  writeFileSync(join(folder, 'sink.ndjson'), given.filter((line) => line !== other).join('\n'));
  expect((await run(...proved, '--records', 'sink.ndjson')).out).toContain('nothing known is lost');
});

it('takes nothing of a sink that was changed, and leaves no half of it', async () => {
  const { lines } = await lose();
  writeFileSync(join(folder, 'sink.ndjson'), lines.join('\n').replaceAll('no_grant', 'lockdown'));
  const { code, err } = await run(
    'restore',
    '--from',
    'backup.db',
    '--records',
    'sink.ndjson',
    '--checkpoint',
    'newest.txt',
  );
  expect([code, err]).toEqual([1, expect.stringContaining('are not the entries that were signed')]);
});

it('takes no backup that is not of the log whose checkpoint was kept, however much longer it is', async () => {
  await lose();
  const other = await open();
  for (let more = 0; more < 30; more++) await other.append(asking(write.denial()), soon());
  const { code, out, err } = await run('restore', '--checkpoint', 'newest.txt');
  expect([code, err]).toEqual([1, expect.stringContaining('the backup does not verify')]);
  expect(out).toContain('rewritten');
});

const backup = ['restore', '--from', 'backup.db'];
const proved = [...backup, '--checkpoint', 'newest.txt'];
const leftBehind = () => readdirSync(folder).filter((name) => name.startsWith('ledger.db'));

it('overwrites no ledger, takes no checkpoint of another key and no broken backup', async () => {
  await lose();
  writeFileSync(
    join(folder, 'forged.txt'),
    'pass.example.com/ledger\n99\nAAAA\n\n— pass.example.com/ledger AAAAAAAA\n',
  );
  const forged = await run(...backup, '--checkpoint', 'forged.txt');
  expect([forged.code, forged.err]).toEqual([1, expect.stringContaining('checkpoint does not verify')]);
  expect(leftBehind()).toEqual([]);
  expect((await run(...proved)).code).toBe(0);
  expect(leftBehind()).toEqual(['ledger.db']);
  const again = await run(...proved);
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('is there already')]);
});

it.each([
  [['--records', 'typo.ndjson'], '--records typo.ndjson is not there'],
  [['--records', 'other.csv'], '--records other.csv is not a native copy'],
  [['--checkpoint', 'typo.txt'], '--checkpoint typo.txt is not there'],
  [['--tiles', 'typo'], '--tiles typo is not there'],
  [['--tiles', 'keys'], '--tiles keys has neither a checkpoint nor a ~1'],
  [['--records', 'changed.ndjson'], 'are not the entries that were signed'],
  [['--from', 'typo.db'], '--from typo.db is not there'],
  [['--from', 'other.csv'], '--from other.csv'],
  [['--from', 'keys'], '--from keys is a folder'],
])('says what is wrong with %s, and leaves nothing of the backup behind', async (args, message) => {
  const { lines } = await lose();
  writeFileSync(join(folder, 'other.csv'), 'id,time\n1,2\n'.repeat(500));
  writeFileSync(join(folder, 'changed.ndjson'), lines.join('\n').replaceAll('no_grant', 'lockdown'));
  const { code, err } = await run(...proved, ...args);
  expect([code, err]).toEqual([1, expect.stringContaining(message)]);
  expect(err).not.toContain('restoring');
  expect(leftBehind()).toEqual([]);
});

it('does not mix with another restore into the same place, and takes away nothing of it', async () => {
  await lose();
  const both = await Promise.all([run(...proved, '--records', 'sink.ndjson'), run(...proved)]);
  const failed = both.filter(({ code }) => code !== 0);
  expect(failed).toHaveLength(1);
  expect(failed[0]?.err).toMatch(/restoring is there: another restore is at work\n|is there already/);
  const done = both.find(({ code }) => code === 0);
  const added = Number(/^(\d+) entries taken/.exec(done?.out ?? '')?.[1]);
  const log = await open();
  const { ended } = (await log.reader?.head(soon())) ?? {};
  expect(done?.out).toContain(`ended with ${ended?.[0]?.size} entries`);
  expect(added > 0).toBe(both[0]?.code === 0);
  expect((await run('verify')).code).toBe(0);
  for (const name of leftBehind()) rmSync(join(folder, name));
  mkdirSync(join(folder, 'ledger.db.restoring'));
  writeFileSync(join(folder, 'ledger.db.restoring', 'ledger.db'), 'of another');
  const { code, err } = await run(...proved);
  expect([code, err]).toEqual([1, expect.stringContaining('another restore is at work, or one was cut off')]);
  expect(readFileSync(join(folder, 'ledger.db.restoring', 'ledger.db'), 'utf8')).toBe('of another');
});

it('takes over what a restore left that was killed, and nothing that lies there of anybody else', async () => {
  await lose();
  const restoring = join(folder, 'ledger.db.restoring');
  mkdirSync(restoring);
  // As a process leaves it that held it, and was killed while it copied.
  const dead = openDatabase(join(restoring, 'ledger.db.held'));
  dead.exec('PRAGMA user_version = 1');
  dead.close();
  writeFileSync(join(restoring, 'ledger.db'), 'half a copy');
  writeFileSync(join(restoring, 'ledger.db-wal'), 'of it');
  writeFileSync(join(restoring, 'mine.txt'), 'kept');
  const refused = await run(...proved);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('or one was cut off')]);
  expect(readdirSync(restoring).sort()).toEqual(['ledger.db', 'ledger.db-wal', 'ledger.db.held', 'mine.txt']);
  rmSync(join(restoring, 'mine.txt'));
  writeFileSync(join(restoring, 'ledger.db.backup'), 'inside');
  const inside = await run('restore', '--from', 'ledger.db.restoring/ledger.db.backup', '--nothing-known');
  expect([inside.code, inside.err]).toEqual([2, expect.stringContaining('lies where restore works')]);
  expect(existsSync(join(restoring, 'ledger.db.backup'))).toBe(true);
  const { code, err } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, err]).toEqual([0, '']);
  expect(leftBehind()).toEqual(['ledger.db']);
  expect((await run('verify')).code).toBe(0);
});

it('leaves alone what another process holds, until that is dead', async () => {
  await lose();
  const restoring = join(folder, 'ledger.db.restoring');
  mkdirSync(restoring);
  const lock = join(restoring, 'ledger.db.held');
  const [libsql, held] = [import.meta.resolve('libsql'), 'PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE'];
  const program = `import Database from '${libsql}'; const lock = new Database(process.argv[1]);
    lock.exec('${held}; PRAGMA user_version = 1; COMMIT'); console.log('held'); setInterval(() => {}, 1000)`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', program, lock]);
  try {
    await once(other.stdout, 'data');
    writeFileSync(join(restoring, 'ledger.db'), 'of another');
    const refused = await run(...proved);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('another restore is at work\n')]);
    expect(readFileSync(join(restoring, 'ledger.db'), 'utf8')).toBe('of another');
  } finally {
    other.kill('SIGKILL');
    await once(other, 'exit');
  }
  const { code, err } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, err]).toEqual([0, '']);
  expect(leftBehind()).toEqual(['ledger.db']);
});

it('takes the place of no ledger that a server has made meanwhile', async () => {
  await lose();
  const terminal = fakeTerminal({ folder });
  const file = await readConfigFile(config, terminal);
  const restoring = putBack(
    file,
    'backup.db',
    async () => {
      const made = await open();
      await made.append(asking(write.denial()), soon());
    },
    terminal,
  );
  await expect(restoring).rejects.toThrow(/ledger\.db is there by now/);
  expect(existsSync(join(folder, 'ledger.db.restoring'))).toBe(false);
  expect((await ledger?.reader?.head(soon()))?.size).toBeGreaterThan(0);
  const again = await ledger?.append(asking(write.denial()), soon());
  expect(again?.receipts[0]?.index).toBeGreaterThan(0);
  expect((await run('verify')).code).toBe(0);
});

it('puts no standby back, which would begin a log of the same name as the ledger that it follows', async () => {
  await lose();
  config = writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db', follow: { url: 'https://ledger-1.example.com' } },
  });
  const { code, err } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, err]).toEqual([1, expect.stringContaining('a standby is not restored')]);
  expect(leftBehind()).toEqual([]);
});

it('begins no second ledger in the place of a link to one that is not mounted', async () => {
  await lose();
  symlinkSync(join(folder, 'disk', 'ledger.db'), join(folder, 'ledger.db'));
  for (const there of [false, true]) {
    if (there) mkdirSync(join(folder, 'disk'));
    const { code, err } = await run(...proved);
    expect([code, err]).toEqual([1, expect.stringContaining('is a link to')]);
    expect(readlinkSync(join(folder, 'ledger.db'))).toBe(join(folder, 'disk', 'ledger.db'));
  }
});

it('says that the folder is missing, and not the backup', async () => {
  await lose();
  config = writeConfig(folder, {
    broker: { url: writer.name, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'gone/ledger.db' },
  });
  const { code, err } = await run(...proved);
  expect([code, err]).toEqual([1, expect.stringMatching(/^hallpass: the folder of .*ledger\.db is not there\n/)]);
});

it('wants the newest checkpoint, or to be told that there is none, and takes no records without', async () => {
  await lose();
  const bare = await run(...backup);
  expect([bare.code, bare.err]).toEqual([2, expect.stringContaining('--nothing-known')]);
  const records = await run(...backup, '--records', 'sink.ndjson', '--nothing-known');
  expect([records.code, records.err]).toEqual([2, expect.stringContaining('--records goes with --checkpoint')]);
  expect(leftBehind()).toEqual([]);
  expect((await run(...backup, '--nothing-known')).out).toContain('0 entries taken');
});

it('counts what no checkpoint proves, once for each entry', async () => {
  const { size } = await lose();
  const entry = (index: number) =>
    JSON.stringify({ log: 'pass.example.com/ledger', index, record: { type: 'denial' }, disclosure: null });
  const sink = readFileSync(join(folder, 'sink.ndjson'), 'utf8');
  writeFileSync(join(folder, 'sink.ndjson'), `${sink}${[size, size + 1, size + 1].map(entry).join('\n')}\n`);
  const { code, out } = await run(...proved, '--records', 'sink.ndjson');
  expect([code, out]).toEqual([
    0,
    expect.stringContaining('2 entries of the copies left out: no checkpoint proves them'),
  ]);
});

it('takes a whole archive, and says which folder verify wants', async () => {
  await lose();
  for (const part of ['', '-wal'])
    if (existsSync(join(folder, 'aside', `ledger.db${part}`)))
      copyFileSync(join(folder, 'aside', `ledger.db${part}`), join(folder, `ledger.db${part}`));
  expect((await run('roll')).code).toBe(0);
  expect((await run('roll', '--archive', join(folder, 'arch'))).code).toBe(0);
  const vkey = await (await open()).key(soon());
  writeFileSync(join(folder, 'newest.txt'), (await ledger?.reader?.checkpoint(soon(), 2)) ?? '');
  await ledger?.close();
  ledger = undefined;
  for (const name of leftBehind()) rmSync(join(folder, name));
  vi.mocked(verifyLog).mockClear();
  const restored = await run(...proved, '--tiles', 'arch');
  expect([restored.err, restored.code]).toEqual(['', 0]);
  // Once, however many logs there are a checkpoint of.
  expect(verifyLog).toHaveBeenCalledTimes(1);
  expect(restored.out).toContain('pass.example.com/ledger~2 ended');
  expect(restored.out).toContain('nothing known is lost');
  const terminal = fakeTerminal({ folder });
  const verified = await runCommand(['ledger', 'verify', '--tiles', 'arch/~2', '--key', vkey], terminal);
  expect([verified, terminal.said.err]).toEqual([1, expect.stringContaining('give the folder that has ~1, ~2')]);
});

it('says that a standby relies on the ledger, and writes nothing', async () => {
  await lose();
  copyFileSync(join(folder, 'backup.db'), join(folder, 'ledger.db'));
  const here = await open();
  const before = await here.reader?.head(soon());
  const pledge = { serial: 2, standby: 'frankfurt', instance: 'i', state: 'on', generation: 1, reason: 'confirmed' };
  await here.texts?.write('pledge', undefined, JSON.stringify(pledge), soon());
  const given = ['--records', 'sink.ndjson', '--checkpoint', 'newest.txt'];
  const { code, err } = await run('restore', ...given);
  expect(code).toBe(1);
  expect(err).toContain('the standby frankfurt relies on this ledger');
  expect(err).toContain('hallpass ledger promote');
  expect((await (await open()).reader?.head(soon()))?.size).toBe(before?.size);
});
