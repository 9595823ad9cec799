import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openHandles } from '../../src/leases/handle.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { openDisclosure, whoOf } from '../../src/ledger/records/disclosure.ts';
import { parseRecord } from '../../src/ledger/records/record.ts';
import { openCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { noteVerifier } from '../../src/ledger/tree/note.ts';
import { decodeAppendRequest, decodeAppendResult, decodeEntries } from '../../src/ledger/wire.ts';
import { writeFormats } from './formats.ts';

// One file for each generation of formats that was released. To release another one: raise `newest` and run this once
// with HALLPASS_GOLDEN=write.
const newest = 1;
const folder = new URL('.', import.meta.url).pathname;
const fileOf = (format: number) => join(folder, `format-${format}.json`);
if (process.env.HALLPASS_GOLDEN === 'write' && !existsSync(fileOf(newest)))
  writeFileSync(fileOf(newest), `${JSON.stringify(writeFormats(), null, 2)}\n`);

type Formats = ReturnType<typeof writeFormats>;
const read = (file: string): Formats => JSON.parse(readFileSync(file, 'utf8'));
const released = readdirSync(folder).filter((name) => /^format-\d+\.json$/.test(name));
const bytes = (text: string) => new TextEncoder().encode(text);

it('writes every format as it was last released, to the byte', () => {
  expect(writeFormats()).toEqual(read(fileOf(newest)));
});

describe.each(released)('%s', (name) => {
  const golden = read(join(folder, name));

  it('has records of every type that are read, and disclosures that are theirs', () => {
    const records = golden.receipts.map(({ record }) => parseRecord(record));
    expect(new Set(records.map(({ type }) => type)).size).toBe(golden.receipts.length);
    for (const [at, { disclosure }] of golden.receipts.entries()) {
      expect(whoOf(disclosure)).toBe(records[at]?.identity?.who);
      expect(Object.keys(openDisclosure(disclosure)).length).toBeGreaterThan(0);
    }
  });

  it('has receipts that verify, and a checkpoint under the key beside it', () => {
    for (const receipt of golden.receipts) verifyReceipt(receipt, golden.vkey);
    expect(openCheckpoint(noteVerifier(golden.vkey), golden.checkpoint).size).toBe(golden.receipts.length);
    const [first, second] = golden.receipts;
    expect(() => verifyReceipt({ ...first, record: second?.record } as never, golden.vkey)).toThrow();
  });

  it('has an append, its answer and entries for undoing that are understood', () => {
    const request = decodeAppendRequest(bytes(golden.appendRequest));
    expect(request.entries[0]?.record).toBe(golden.receipts[3]?.record);
    expect(request.max?.most).toBe(3);
    const result = decodeAppendResult(bytes(golden.appendAnswer), request.entries);
    for (const receipt of result.receipts) verifyReceipt(receipt, golden.vkey);
    expect(decodeEntries(bytes(golden.entries)).map(({ index }) => index)).toEqual([2, 3]);
  });

  it('has a handle that opens', () => {
    const keys = { handle: new Uint8Array(32).fill(1), identity: new Uint8Array(32).fill(2) };
    expect(openHandles([keys], () => new Uint8Array(0)).open(golden.handle)).toMatchObject(golden.lease);
  });
});
