import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildForwarder } from '../../../src/config/parts/forwarder.ts';
import { promote } from '../../../src/ledger/going-on/promote.ts';
import type { Ledger, Texts } from '../../../src/ledger/ledger.ts';
import { openCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { noteVerifier } from '../../../src/ledger/tree/note.ts';
import type { LogFacts, Platform } from '../../../src/lib/platform.ts';
import { cosignedNote } from '../../../src/sinks/witness/cosigned.ts';
import { appendOne, depsOf, newFolder, openIn, removeFolder } from '../../ledger/drivers/sqlite-fixture.ts';
import { handClock, readFrom, soon, told } from '../../sinks/rig.ts';
import { startWitness, type TestWitness } from '../../sinks/witness.ts';

let folder: string;
let ledger: Ledger;
let witness: TestWitness;
let clock: ReturnType<typeof handClock>;

beforeEach(async () => {
  folder = newFolder();
  ledger = await openIn(folder);
  clock = handClock(Date.now());
  witness = await startWitness(await ledger.key(soon()), clock.now);
});

afterEach(async () => {
  await witness.server.close();
  await ledger.close();
  removeFolder(folder);
});

/** The forwarder of a config's sinks over a real log. */
function forward(sinks: Record<string, { kind: string } & Record<string, unknown>>, follows = false) {
  const said = told();
  const platform: Platform = {
    ...depsOf({}, folder).platform,
    now: clock.now,
    fetch: (url, init) => fetch(url, init),
    log: said.log as (level: string, event: string, facts?: LogFacts) => void,
  };
  const assertFor = () => Promise.reject(new Error('nobody signs'));
  const forwarder = buildForwarder(
    { sinks },
    platform,
    { read: readFrom({}), assertFor },
    { ledger, metrics: said.metrics, follows },
  );
  return { said, run: () => forwarder.run(soon()) };
}

/** The first brings the record of the policy along. */
async function append(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await appendOne(ledger);
}

describe('the forwarder of a config', () => {
  test('copies the records of the ledger, each with its place in the log', async () => {
    await append(3);
    const { run } = forward({ copy: { kind: 'file', path: 'copy.ndjson', format: 'native' } });
    await run();
    const entries = await ledger.reader?.entries(0, 10, soon());
    const lines = (await readFile(join(folder, 'copy.ndjson'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ index }) => index)).toEqual(entries?.map(({ leaf }) => leaf));
    expect(lines.map(({ record }) => JSON.stringify(record))).toEqual(entries?.map(({ record }) => record));
    expect(lines[0].log).toBe(ledger.origin);
    expect(lines[0]).not.toHaveProperty('disclosure');
  });

  test('leaves out nothing that came since a promotion for a sink from now on, however late it looks first', async () => {
    await append(2);
    await promote(ledger, { checkpoints: [], onceAfter: 0, now: clock.at }, soon);
    await append(2);
    const { run } = forward({ copy: { kind: 'file', path: 'copy.ndjson', format: 'native', since: 'now' } }, true);
    await run();
    const linesThere = async () =>
      (await readFile(join(folder, 'copy.ndjson'), 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    const lines = await linesThere();
    expect(lines.map(({ log, index }) => [log, index])).toEqual([0, 1, 2].map((at) => [`${ledger.origin}~2`, at]));
    await append(1);
    await run();
    expect(await linesThere()).toHaveLength(4);
  });

  test('keeps checkpoints elsewhere, once a minute, that the log’s key signed', async () => {
    const { run } = forward({ heads: { kind: 'file', path: 'heads', send: 'checkpoints' } });
    await append(2);
    await run();
    await append(2);
    await run();
    clock.at += 60_000;
    await run();
    const kept = join(folder, 'heads', encodeURIComponent(ledger.origin));
    expect(await readdir(kept)).toEqual(['3', '5']);
    const verifier = noteVerifier(await ledger.key(soon()));
    for (const size of [3, 5])
      expect(openCheckpoint(verifier, await readFile(join(kept, String(size)), 'utf8')).size).toBe(size);
  });
});

describe('the checkpoint of a closed log that another place has otherwise', () => {
  test('is told as an error, and keeps none of its successor from that place', async () => {
    const { run, said } = forward({ heads: { kind: 'file', path: 'heads', send: 'checkpoints' } });
    await append(1);
    await run();
    const kept = join(folder, 'heads', encodeURIComponent(ledger.origin));
    const { size } = (await ledger.reader?.head(soon())) ?? { size: 0 };
    await writeFile(join(kept, String(size + 1)), 'another');
    await ledger.roll?.({}, soon());
    for (let time = 0; time < 3; time++) {
      clock.at += 60_000;
      await run();
    }
    expect(said.lines).toMatchObject([
      { level: 'error', event: 'sink_failed', facts: { code: 'damaged', reason: 'other_checkpoint' } },
      { event: 'sink_recovered' },
    ]);
    expect(await readdir(join(folder, 'heads', encodeURIComponent(`${ledger.origin}~2`)))).toEqual(['1']);
  });
});

describe('a witness', () => {
  const sinkOf = ({ server, vkey }: TestWitness) => ({
    w: { kind: 'witness', url: server.url, key: vkey, send: 'checkpoints' },
  });
  const kept = async () =>
    JSON.parse((await ledger.texts?.read('sink:w', soon())) ?? '{}') as { size?: number; note?: string };

  test('verifies that each tree begins with the one before, and its cosignature is kept', async () => {
    const { run, said } = forward(sinkOf(witness));
    for (const count of [1, 2, 300, 5]) {
      await append(count);
      await run();
      clock.at += 60_000;
    }
    expect(said.lines).toEqual([]);
    expect(witness.cosigned).toEqual([2, 4, 304, 309]);
    const { note, size } = await kept();
    expect(size).toBe(309);
    expect(note?.trimEnd().split('\n').at(-1)).toMatch(/^\u2014 witness\.example\/w1 /);
    // The log's own signature is still good with the other beside it.
    expect(openCheckpoint(noteVerifier(await ledger.key(soon())), note ?? '').size).toBe(309);
  });

  test('is shown beside others that cosigned the same tree', async () => {
    const second = await startWitness(await ledger.key(soon()), clock.now, 'witness.example/w2');
    try {
      const { run } = forward({ ...sinkOf(witness), v: { ...sinkOf(second).w } });
      expect(await cosignedNote(['w', 'v'], ledger.texts as Texts, soon())).toBeUndefined();
      await append(3);
      await run();
      const note = await cosignedNote(['w', 'v'], ledger.texts as Texts, soon());
      const names = note?.match(/^\u2014 \S+/gm)?.map((line) => line.slice(2));
      expect(names).toEqual([ledger.origin, 'witness.example/w1', 'witness.example/w2']);
      expect(openCheckpoint(noteVerifier(await ledger.key(soon())), note ?? '').size).toBe(4);
    } finally {
      await second.server.close();
    }
  });

  test('that knows more or less than we remember says so, and is asked by what it knows', async () => {
    const { run, said } = forward(sinkOf(witness));
    await append(3);
    await run();
    await ledger.texts?.write('sink:w', (await ledger.texts.read('sink:w', soon())) as string, null, soon());
    await append(2);
    clock.at += 60_000;
    await run();
    expect(said.lines).toEqual([]);
    expect(witness.cosigned).toEqual([4, 6]);
  });

  test('that has seen another tree refuses, and we say so and keep nothing', async () => {
    const { run, said } = forward(sinkOf(witness));
    await append(3);
    await run();
    witness.state = { size: 4, root: new Uint8Array(32).fill(9) };
    await append(1);
    clock.at += 60_000;
    await run();
    expect(said.lines).toMatchObject([
      { level: 'error', event: 'sink_failed', facts: { code: 'invalid', status: 422 } },
    ]);
    expect((await kept()).size).toBe(4);
  });

  test('that has seen a larger tree of a log that ended is told as an error, and sees its successor', async () => {
    const { run, said } = forward(sinkOf(witness));
    await append(2);
    await ledger.roll?.({}, soon());
    witness.state = { size: 40, root: new Uint8Array(32).fill(9) };
    await run();
    expect(said.lines).toMatchObject([{ level: 'error', facts: { reason: 'witness_is_ahead' } }]);
    const asked: string[] = [];
    witness.server.instead = ({ body }) => {
      asked.push(body);
      return undefined;
    };
    clock.at += 60_000;
    await run();
    expect(asked).toEqual([expect.stringContaining(`${ledger.origin}~2\n1\n`)]);
  });

  test.each([
    ['its size', (size: number) => `${size}\n`],
    ['no size', () => ''],
  ])(
    'that has another tree of the same size is an error: the log was written anew (it says %s)',
    async (_, said409) => {
      const { run, said } = forward(sinkOf(witness));
      await append(3);
      await run();
      const { size } = (await ledger.reader?.head(soon())) ?? { size: 0 };
      await ledger.texts?.write('sink:w', (await ledger.texts.read('sink:w', soon())) as string, null, soon());
      // C2SP tlog-witness: of the same size and another root is a conflict too.
      witness.server.instead = ({ body }) =>
        body.startsWith(`old ${size}\n`)
          ? { status: 409, headers: { 'content-type': 'text/x.tlog.size' }, body: said409(size) }
          : undefined;
      clock.at += 60_000;
      await run();
      expect(said.lines).toMatchObject([{ level: 'error', facts: { code: 'damaged', reason: 'other_checkpoint' } }]);
    },
  );

  test('that has seen a larger tree than there is here is an error: this log was cut', async () => {
    const { run, said } = forward(sinkOf(witness));
    await append(2);
    witness.state = { size: 40, root: new Uint8Array(32).fill(9) };
    await run();
    expect(said.lines).toMatchObject([{ level: 'error', facts: { reason: 'witness_is_ahead' } }]);
  });

  test.each<[string, (message: string) => string]>([
    ['another tree', (message) => message.replace(/\n2\n/, '\n3\n')],
    ['another time', (message) => message.replace(/time \d+/, 'time 1')],
    ['another purpose', (message) => message.replace('cosignature/v1', 'cosignature/v2')],
  ])('is believed nothing that is signed for %s', async (_, forge) => {
    witness.forge = forge;
    const { run, said } = forward(sinkOf(witness));
    await append(1);
    await run();
    expect(said.lines).toMatchObject([{ facts: { reason: 'bad_cosignature' } }]);
    expect(await kept()).toEqual({});
  });

  test('is believed no time that has not come', async () => {
    const early = await startWitness(await ledger.key(soon()), () => clock.now() + 3_600_000);
    try {
      const { run, said } = forward(sinkOf(early));
      await append(1);
      await run();
      expect(said.lines).toMatchObject([{ facts: { reason: 'bad_cosignature' } }]);
    } finally {
      await early.server.close();
    }
  });
});
