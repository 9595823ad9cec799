import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generations, originOf } from '../../../src/ledger/generation.ts';
import type { Log } from '../../../src/ledger/log/log.ts';
import { claimOf, rollOf } from '../../../src/ledger/log/roll.ts';
import type { Head } from '../../../src/ledger/log-store.ts';
import { receiptVerifier, verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { checkSuccession } from '../../../src/ledger/receipts/succession.ts';
import { parseRecord } from '../../../src/ledger/records/record.ts';
import { openCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { emptyRoot, foldRange } from '../../../src/ledger/tree/merkle.ts';
import { noteSigner } from '../../../src/ledger/tree/note.ts';
import { toBase64Url } from '../../../src/lib/bytes.ts';
import { newFolder, openIn, removeFolder } from '../drivers/sqlite-fixture.ts';
import { asking, type Clock, clockAt, random, scribe, soon, writer } from '../fixtures.ts';

const origin = 'pass.example.com/ledger';
const signers = generations(noteSigner(origin, new Uint8Array(32).fill(7)));
const context = { now: Date.UTC(2026, 10, 22, 12), random, writer, origin, signers };
const first: Head = {
  generation: 1,
  base: 0,
  ended: [],
  size: 0,
  range: [],
  root: emptyRoot,
  epoch: 3,
  checkpoint: '',
};
const recordsOf = (change: { entries: readonly { record: string }[] }) =>
  change.entries.map(({ record }) => parseRecord(record));

describe('planning a roll', () => {
  it('ends the log with its last entry and begins the next with one that commits to it, in one change', () => {
    const change = rollOf(first, { reason: 'due' }, context);
    const [end, begin] = recordsOf(change);
    expect(end).toMatchObject({ type: 'roll', state: 'end', log: `${origin}~2`, reason: 'due' });
    const old = openCheckpoint(signers.of(1).verifier, change.checkpoints[0]?.note as string);
    expect(old.size).toBe(1);
    expect(begin).toMatchObject({ state: 'begin', log: origin, size: 1, root: toBase64Url(old.root) });
    expect(begin).not.toHaveProperty('kept');
    const young = openCheckpoint(signers.of(2).verifier, change.checkpoints[1]?.note as string);
    expect([young.size, toBase64Url(young.root)]).toEqual([1, toBase64Url(change.head.root)]);
    expect(change.head).toMatchObject({ generation: 2, base: 1, size: 1, epoch: 3 });
    expect(change.head.ended).toEqual([{ generation: 1, base: 0, size: 1 }]);
    expect(change.entries.map(({ index, tree }) => [index, tree])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(foldRange(change.head.range)).toEqual(change.head.root);
  });

  it('adds no entry to a log of which a larger tree is known: its successor names what is lost', () => {
    const grown = rollOf(first, {}, context).head;
    const root = new Uint8Array(32).fill(5);
    const change = rollOf(grown, { lost: { size: 9, root } }, context);
    expect(recordsOf(change)).toMatchObject([
      { state: 'begin', log: `${origin}~2`, size: 9, root: toBase64Url(root), kept: 1 },
    ]);
    expect(change.head.ended.at(-1)).toEqual({ generation: 2, base: 1, size: 1 });
    expect([change.head.base, change.entries[0]?.index]).toEqual([2, 2]);
  });

  it('says that nothing is lost where more is here than was asked for', () => {
    const grown = rollOf(first, {}, context).head;
    const change = rollOf(grown, { lost: { size: 0, root: emptyRoot } }, context);
    expect(recordsOf(change)).toMatchObject([{ size: 1, root: toBase64Url(grown.root), kept: 1 }]);
  });

  it('adds to the successor what is heard of a larger tree later', () => {
    const head = rollOf(first, { lost: { size: 2, root: new Uint8Array(32) } }, context).head;
    const change = claimOf(head, { origin, size: 5, root: new Uint8Array(32).fill(9) }, 0, context);
    expect(recordsOf(change)).toMatchObject([{ state: 'begin', log: origin, size: 5, kept: 0 }]);
    expect(change.head.size).toBe(2);
  });
});

describe('a ledger that rolls', () => {
  let folder: string;
  let clock: Clock;
  let ledger: Log;
  let write: ReturnType<typeof scribe>;

  beforeEach(async () => {
    folder = newFolder();
    clock = clockAt(Date.now());
    write = scribe(clock);
    ledger = await openIn(folder, { now: () => clock.at });
  });
  afterEach(async () => {
    await ledger.close();
    removeFolder(folder);
  });
  const issue = () => ledger.append(asking(write.issuance(write.id())), soon());

  it('answers every entry of ten logs with a proof, and each tile of a closed one', async () => {
    const vkey = await ledger.key(soon());
    const ids: string[] = [];
    for (let log = 1; log <= 10; log++) {
      for (let more = 0; more < 3; more++) {
        const id = write.id();
        ids.push(id);
        const { receipts } = await ledger.append(asking(write.issuance(id)), soon());
        for (const receipt of receipts) verifyReceipt(receipt, vkey);
        expect(receipts[0]?.log).toBe(originOf(origin, log));
      }
      expect(await ledger.roll({}, soon())).toMatchObject({ done: true, generation: log + 1 });
    }
    for (const id of ids) {
      const [entry] = await ledger.reader.story(id, soon());
      if (entry === undefined) throw new Error('no entry');
      verifyReceipt({ log: entry.log, index: entry.leaf, record: entry.record, proof: entry.proof }, vkey);
    }
    const page = await ledger.reader.list({ type: 'issuance', limit: 100 }, soon());
    expect(page.map(({ record }) => parseRecord(record).id)).toEqual([...ids].reverse());
    const note = await ledger.reader.checkpoint(soon(), 1);
    const { size } = openCheckpoint(signers.of(1).verifier, note);
    expect(await ledger.reader.tile(0, 0, size, soon(), 1)).toHaveLength(32 * size);
    expect(await ledger.reader.tile(0, 0, size + 1, soon(), 1)).toBeUndefined();
    await expect(ledger.reader.checkpoint(soon(), 99)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is asked once for each log: a second roll of the same one does nothing', async () => {
    await issue();
    expect(await ledger.roll({ generation: 1 }, soon())).toMatchObject({ done: true, generation: 2 });
    expect(await ledger.roll({ generation: 1 }, soon())).toMatchObject({ done: false, generation: 2 });
    const both = await Promise.all([ledger.roll({ generation: 2 }, soon()), ledger.roll({ generation: 2 }, soon())]);
    expect(both.filter(({ done }) => done)).toHaveLength(1);
  });

  it('goes on in the next log also in a process that did not roll it', async () => {
    const other = await openIn(folder, { now: () => clock.at });
    await issue();
    const request = asking(write.issuance(write.id()));
    const before = await other.append(request, soon());
    await other.roll({}, soon());
    const { receipts } = await issue();
    expect(receipts[0]).toMatchObject({ log: `${origin}~2`, index: 1 });
    expect(await ledger.append(request, soon())).toEqual(before);
    const young = asking(write.issuance(write.id()));
    const first = await ledger.append(young, soon());
    expect(await other.append(young, soon())).toEqual(first);
    await other.close();
  });

  it('proves its succession to whoever knew an earlier log', async () => {
    await issue();
    await ledger.roll({}, soon());
    await ledger.roll({}, soon());
    const check = receiptVerifier(await ledger.key(soon()));
    const items = await ledger.reader.succession(1, soon());
    const closings = checkSuccession(check, items, { line: origin, after: 1, to: 3 });
    expect(closings.map(({ log, size }) => [log, size])).toEqual([
      [origin, 3],
      [`${origin}~2`, 2],
    ]);
    expect(() => checkSuccession(check, items, { line: origin, after: 1, to: 4 })).toThrow('no_succession');
    const swapped = items.map((item, at) => ({ ...item, record: items[1 - at]?.record as string }));
    expect(() => checkSuccession(check, swapped, { line: origin, after: 1, to: 3 })).toThrow('not_included');
  });

  it('takes the checkpoint of a larger tree only for a log that ended by force, and once', async () => {
    await issue();
    const copy = generations(noteSigner(origin, new Uint8Array(32).fill(7))).of(1).signer;
    const larger = copy.sign(`${origin}\n9\n${Buffer.alloc(32, 4).toString('base64')}\n`);
    await expect(ledger.claim(larger, soon())).rejects.toMatchObject({ code: 'invalid_request' });
    const { size, root } = await ledger.reader.head(soon());
    await ledger.roll({ lost: { size, root } }, soon());
    await ledger.claim(larger, soon());
    await ledger.claim(larger, soon());
    const rolls = await ledger.reader.list({ type: 'roll', limit: 10 }, soon());
    expect(rolls.map(({ record }) => parseRecord(record)).map(({ size: of, kept }) => [of, kept])).toEqual([
      [9, 2],
      [2, 2],
    ]);
    const forged = noteSigner(origin, new Uint8Array(32).fill(8)).sign(
      `${origin}\n99\n${Buffer.alloc(32).toString('base64')}\n`,
    );
    await expect(ledger.claim(forged, soon())).rejects.toMatchObject({ code: 'invalid_request' });
    const check = receiptVerifier(await ledger.key(soon()));
    const [closing] = checkSuccession(check, await ledger.reader.succession(1, soon()), {
      line: origin,
      after: 1,
      to: 2,
    });
    expect([closing?.size, closing?.kept]).toEqual([9, 2]);
  });
});
