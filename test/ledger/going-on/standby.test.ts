import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../../src/ledger/drivers/sqlite/inspect.ts';
import { generations } from '../../../src/ledger/generation.ts';
import { onceTakenFrom, promote } from '../../../src/ledger/going-on/promote.ts';
import { openStandby, type Standby } from '../../../src/ledger/going-on/standby.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { signCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { verifyLog } from '../../../src/ledger/verify/verify.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, digest, scribe, soon } from '../fixtures.ts';
import { openShards } from '../sharded-fixture.ts';

const origin = 'pass.example.com/ledger';
let folders: string[];
let clock: Clock;
let primary: Log;
let own: Log;
let standby: Standby;
let write: ReturnType<typeof scribe>;
let confirmed: number[];
let shown: ((note: string) => string) | undefined;

beforeEach(async () => {
  folders = [newFolder(), newFolder()];
  clock = clockAt(Date.now());
  write = scribe(clock);
  confirmed = [];
  shown = undefined;
  [primary, own] = (await Promise.all(folders.map((folder) => openIn(folder, { now: () => clock.at })))) as [Log, Log];
  standby = openStandby(own, {
    now: () => clock.at,
    async ask(_, after, deadline) {
      confirmed.push(after);
      const checkpoint = await primary.reader.checkpoint(deadline);
      return { copied: await primary.reader.copy(after, 2, deadline), checkpoint: shown?.(checkpoint) ?? checkpoint };
    },
  });
});
afterEach(async () => {
  await primary.close();
  await own.close();
  for (const folder of folders) removeFolder(folder);
});

const issue = (ledger: Pick<Log, 'append'>, facts = {}) =>
  ledger.append(asking(write.issuance(write.id(), facts)), soon());
const followAll = async () => {
  while ((await standby.follow(soon())) > 0);
};
const promoteNow = (options: { checkpoints?: string[]; onceAfter?: number } = {}) =>
  promote(own, { checkpoints: [], onceAfter: 0, now: clock.at, ...options }, soon);

describe('a standby', () => {
  it('takes no append, and is not ready, until it is promoted', async () => {
    await issue(primary);
    await followAll();
    await expect(issue(standby.ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'standby' });
    await expect(standby.ledger.ready(soon())).rejects.toMatchObject({ reason: 'standby' });
    await expect(standby.ledger.roll?.({}, soon())).rejects.toMatchObject({ reason: 'standby' });
    await standby.ledger.ownKeys?.record([{ purpose: 'assertions', kid: 'k', jwk: {} }], [], soon());
    expect((await own.reader.head(soon())).root).toEqual((await primary.reader.head(soon())).root);
    await promoteNow();
    await standby.ledger.ready(soon());
    await issue(standby.ledger);
  });

  it('to which nothing had come over ends a log of no entries, and all of it verifies', async () => {
    await issue(primary);
    const known = (await primary.reader.checkpoint(soon())) as string;
    expect(await promoteNow({ checkpoints: [known] })).toMatchObject([{ done: true, kept: 0, known: 2 }]);
    await issue(standby.ledger);
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folders[1] as string);
    const { findings, gaps } = await verifyLog(source, { needIntent: new Set() }).finally(close);
    expect({ findings, gaps }).toEqual({ findings: [], gaps: [{ log: origin, from: 0, to: 2 }] });
  });

  it('goes on in a log of its own that names the end of the other, with all that was confirmed', async () => {
    const once = digest('s');
    await primary.append({ ...asking(write.issuance(write.id(), { once })), once }, soon());
    await primary.append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'x' })), soon());
    await followAll();
    const { size } = await primary.reader.head(soon());
    expect(confirmed.at(-1)).toBe(size);
    expect(await promoteNow()).toMatchObject([
      { done: true, ended: origin, kept: size, known: size, log: `${origin}~2` },
    ]);
    const request = { ...asking(write.issuance(write.id(), { once, epoch: 1 })), once, epoch: 1 };
    await expect(standby.ledger.append(request, soon())).rejects.toMatchObject({ code: 'replayed' });
    await expect(issue(standby.ledger)).rejects.toMatchObject({ code: 'stale' });
    const { receipts } = await standby.ledger.append(
      { ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 },
      soon(),
    );
    expect(receipts[0]?.log).toBe(`${origin}~2`);
    for (const receipt of receipts) verifyReceipt(receipt, await own.key(soon()));
    expect(await standby.follow(soon())).toBe(0);
  });

  it('names the gap exactly: by what it heard of last, and by a checkpoint kept elsewhere', async () => {
    await issue(primary);
    await followAll();
    const { size: kept } = await own.reader.head(soon());
    await issue(primary);
    await issue(primary);
    const elsewhere = await primary.reader.checkpoint(soon());
    const [promoted] = await promoteNow({ checkpoints: [elsewhere] });
    expect(promoted).toMatchObject({ kept, known: kept + 2 });
    const [begin] = await own.reader.list({ type: 'roll', limit: 1 }, soon());
    expect(parseRecord(begin?.record ?? '')).toMatchObject({ log: origin, size: kept + 2, kept, reason: 'promoted' });
  });

  it('never grows in a log that the other began, though it comes over in the midst of the promotion', async () => {
    await issue(primary);
    await followAll();
    const { roll } = own;
    const followFirst: Ledger = {
      ...own,
      async roll(request, deadline) {
        await primary.roll({}, soon());
        await followAll();
        return (roll as NonNullable<typeof roll>)(request, deadline);
      },
    };
    const options = { checkpoints: [], onceAfter: 0, now: clock.at };
    await expect(promote(followFirst, options, soon)).rejects.toThrow('promote once more');
    await expect(issue(standby.ledger)).rejects.toMatchObject({ reason: 'standby' });
    expect(await promoteNow()).toMatchObject([{ done: true, ended: `${origin}~2`, log: `${origin}~3` }]);
    const { receipts } = await issue(standby.ledger);
    expect(receipts[0]?.log).toBe(`${origin}~3`);
  });

  it('refuses tokens that may be used once until none that the other took can live, unless that is known to be dead', async () => {
    await issue(primary);
    await followAll();
    await promoteNow({ onceAfter: 3_600_000 });
    const spending = () => {
      const once = digest(String.fromCharCode(97 + Math.floor(Math.random() * 26)));
      return standby.ledger.append({ ...asking(write.issuance(write.id(), { once })), once }, soon());
    };
    await expect(spending()).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'once_after_promotion' });
    const hidden = asking(write.issuance(write.id(), { once: digest('h') }));
    await expect(standby.ledger.append(hidden, soon())).rejects.toMatchObject({ reason: 'once_after_promotion' });
    await issue(standby.ledger);
    clock.at += 3_600_000;
    await spending();
  });

  it('takes no claim of a larger tree before it is promoted: its log would differ from the one it follows', async () => {
    await issue(primary);
    const { size, root } = await primary.reader.head(soon());
    const lost = { size: size + 1, root: new Uint8Array(32).fill(3) };
    await primary.roll({ lost }, soon());
    await followAll();
    const signer = noteSigner(origin, new Uint8Array(32).fill(7));
    const larger = signer.sign(`${origin}\n9\n${Buffer.from(root).toString('base64')}\n`);
    await expect(standby.ledger.claim?.(larger, soon())).rejects.toMatchObject({ reason: 'standby' });
    await issue(primary);
    await followAll();
    expect((await own.reader.head(soon())).root).toEqual((await primary.reader.head(soon())).root);
    await promoteNow();
  });

  it('is not promoted into a log that the other has begun under the same name', async () => {
    await issue(primary);
    await followAll();
    await primary.roll({}, soon());
    const elsewhere = await primary.reader.checkpoint(soon());
    await expect(promoteNow({ checkpoints: [elsewhere] })).rejects.toThrow(`the other had gone on in ${origin}~2`);
    expect((await own.reader.head(soon())).generation).toBe(1);
    await expect(issue(standby.ledger)).rejects.toMatchObject({ reason: 'standby' });
    await followAll();
    expect(await promoteNow({ checkpoints: [elsewhere] })).toMatchObject([{ log: `${origin}~3` }]);
  });

  it('remembers the largest tree it heard of, whatever it is shown later', async () => {
    await issue(primary);
    await followAll();
    const { size: kept } = await own.reader.head(soon());
    const old = await primary.reader.checkpoint(soon());
    await issue(primary);
    const newest = await primary.reader.checkpoint(soon());
    const deaf = openStandby(own, {
      now: () => clock.at,
      ask: async () => ({ copied: undefined, checkpoint: shown?.('') ?? '' }),
    });
    for (const note of [newest, old]) {
      shown = () => note;
      await deaf.follow(soon());
    }
    expect(await promoteNow()).toMatchObject([{ kept, known: kept + 1 }]);
  });

  it('is promoted once, however often it is told', async () => {
    await issue(primary);
    await followAll();
    await promoteNow();
    const { generation } = await own.reader.head(soon());
    expect(await promoteNow()).toMatchObject([{ done: false }]);
    expect((await own.reader.head(soon())).generation).toBe(generation);
  });

  it('ends the waiting for tokens that are used once when told again, also for a server that runs, and never prolongs it', async () => {
    await issue(primary);
    await followAll();
    await promoteNow({ onceAfter: 3_600_000 });
    const until = await onceTakenFrom(own, soon());
    const once = digest('w');
    const spending = () => standby.ledger.append({ ...asking(write.issuance(write.id(), { once })), once }, soon());
    await expect(spending()).rejects.toMatchObject({ reason: 'once_after_promotion' });
    await promoteNow({ onceAfter: 7_200_000 });
    expect(await onceTakenFrom(own, soon())).toBe(until);
    await promoteNow({ onceAfter: 0 });
    await spending();
  });

  it('believes no checkpoint of another key, and takes none at its promotion', async () => {
    await issue(primary);
    const forger = generations(noteSigner(origin, new Uint8Array(32).fill(9))).of(1).signer;
    const forged = forger.sign(`${origin}\n99\n${Buffer.alloc(32).toString('base64')}\n`);
    shown = () => forged;
    await expect(standby.follow(soon())).rejects.toMatchObject({ reason: 'checkpoint' });
    shown = undefined;
    await followAll();
    await expect(promoteNow({ checkpoints: [forged] })).rejects.toThrow('does not verify');
  });

  it('takes no checkpoint at its promotion that is not of this ledger, and none that says otherwise than what is here', async () => {
    await issue(primary);
    await issue(primary);
    await followAll();
    const { size } = await own.reader.head(soon());
    const { signer } = generations(noteSigner(origin, new Uint8Array(32).fill(7))).of(1);
    const other = (of: number) => signCheckpoint(signer, of, new Uint8Array(32).fill(7));
    const before = await own.reader.head(soon());
    for (const [note, said] of [
      ['pass.example.org/ledger\n9\nAAAA\n\n\u2014 pass.example.org/ledger AAAA\n', 'not of this ledger'],
      ['\ufeff'.concat(await primary.reader.checkpoint(soon())), 'not of this ledger'],
      [other(size), `another tree of ${size} entries`],
      [other(size - 1), `another tree of ${size - 1} entries`],
    ] as const)
      await expect(promoteNow({ checkpoints: [note] })).rejects.toThrow(said);
    await expect(
      promoteNow({ checkpoints: [other(size + 1), signCheckpoint(signer, size + 1, before.root)] }),
    ).rejects.toThrow(`another tree of ${size + 1} entries`);
    expect(await own.reader.head(soon())).toEqual(before);
    expect(await promoteNow({ checkpoints: [before.checkpoint] })).toMatchObject([{ kept: size, known: size }]);
  });

  it('says that the other shows another tree than came over, though it has nothing more, and goes on when it is put right', async () => {
    await issue(primary);
    await issue(primary);
    await followAll();
    const before = await own.reader.head(soon());
    const { signer } = generations(noteSigner(origin, new Uint8Array(32).fill(7))).of(1);
    for (const [note, reason] of [
      [signCheckpoint(signer, before.size, new Uint8Array(32).fill(9)), 'followed_rewritten'],
      [signCheckpoint(signer, before.size - 1, new Uint8Array(32).fill(9)), 'followed_behind'],
    ] as const) {
      shown = () => note;
      await expect(standby.follow(soon())).rejects.toMatchObject({ reason });
    }
    shown = undefined;
    expect(await standby.follow(soon())).toBe(0);
    await issue(primary);
    await followAll();
    expect(await promoteNow()).toMatchObject([{ kept: before.size + 1, known: before.size + 1 }]);
  });

  it('takes no lockdown into a shard before the first shard has it', async () => {
    const places = [newFolder(), newFolder()];
    folders.push(...places);
    const [far, near] = (await Promise.all(places.map((place) => openShards(place, 2)))) as [Ledger, Ledger];
    let slow = true;
    const copy = openStandby(near, {
      now: () => clock.at,
      async ask(log, after, deadline) {
        const { reader } = (far.shards ?? []).find((one) => one.origin === log) as Log;
        const copied = slow && log.endsWith('/0') ? undefined : await reader.copy(after, 50, deadline);
        return { copied, checkpoint: await reader.checkpoint(deadline) };
      },
    });
    const epochs = () =>
      Promise.all((near.shards ?? []).map(async ({ reader }) => (await reader?.head(soon()))?.epoch));
    await far.append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'x' })), soon());
    expect(await copy.follow(soon())).toBe(0);
    expect(await epochs()).toEqual([0, 0]);
    slow = false;
    while ((await copy.follow(soon())) > 0);
    expect(await epochs()).toEqual([1, 1]);
    for (const { claim, append } of copy.ledger.shards ?? []) {
      await expect(claim?.('', soon())).rejects.toMatchObject({ reason: 'standby' });
      await expect(append(asking(write.denial()), soon())).rejects.toMatchObject({ reason: 'standby' });
    }
    await far.close();
    await near.close();
  });

  it('keeps nothing that an erasure in a shard that is read first names, where it came before it was erased', async () => {
    const places = [newFolder(), newFolder()];
    folders.push(...places);
    const [far, near] = (await Promise.all(places.map((place) => openShards(place, 2)))) as [Ledger, Ledger];
    const [lists, has] = far.shards as [Log, Log];
    let away = false;
    const copy = openStandby(near, {
      now: () => clock.at,
      async ask(log, after, deadline) {
        if (away && log === has.origin) throw new Error('it is away');
        const { reader } = (far.shards ?? []).find((one) => one.origin === log) as Log;
        return { copied: await reader.copy(after, 50, deadline), checkpoint: await reader.checkpoint(deadline) };
      },
    });
    const disclosed = async ({ shards }: Ledger) =>
      ((await shards?.[1]?.reader?.list({ type: 'issuance', limit: 9 }, soon())) ?? []).map(
        (one) => one.disclosure !== null,
      );
    const erasure = (...positions: number[]) =>
      write.write('erasure', { count: positions.length, grant: 'g', policy: `sha256:${'p'.repeat(43)}`, epoch: 0 }, {
        name: 'ops',
        iss: 'x',
        subject: 'y',
        query: { log: has.origin, positions },
      } as never);
    await issue(has);
    await copy.follow(soon());
    await issue(has);
    await issue(has);
    const found = (await has.reader.list({ type: 'issuance', limit: 9 }, soon())).map(({ index }) => index).reverse();
    // Recorded, and not erased there yet: one that is here already, and one that is not.
    await lists.append(asking(erasure(found[0] as number, found[2] as number)), soon());
    await lists.append(asking(erasure(found[0] as number)), soon());
    away = true;
    await expect(copy.follow(soon())).rejects.toThrow('it is away');
    expect(await disclosed(near)).toEqual([false]);
    away = false;
    while ((await copy.follow(soon())) > 0);
    expect(await disclosed(near)).toEqual([false, true, false]);
    const texts = near.shards?.[0]?.texts;
    expect(Number(await texts?.read('erasures', soon()))).toBe((await lists.reader.head(soon())).size);
    await far.close();
    await near.close();
  });
});
