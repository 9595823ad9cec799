import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../../src/ledger/ledger.ts';
import { ReceiptError, receiptVerifier, verifyReceipt } from '../../../src/ledger/receipts/receipt.ts';
import { DisclosureError, disclose, openDisclosure, whoOf } from '../../../src/ledger/records/disclosure.ts';
import { parseRecord, recordText } from '../../../src/ledger/records/record.ts';
import { signCheckpoint } from '../../../src/ledger/tree/checkpoint.ts';
import { extend, inclusionProof, leafHash } from '../../../src/ledger/tree/merkle.ts';
import { NoteError, noteSigner, noteVerifier } from '../../../src/ledger/tree/note.ts';
import { formatProof, parseProof } from '../../../src/ledger/tree/proof.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import { random } from '../fixtures.ts';
import { vectors } from '../vectors.ts';

interface Cases {
  vkey: string;
  seed: string;
  disclosures: { disclosure: string; who: string }[];
  leafHashes: string[];
  good: { comment: string; receipt: Receipt }[];
  bad: { comment: string; receipt: Receipt }[];
}

describe.skipIf(vectors === undefined)('the receipt vectors (HALLPASS_VECTORS)', () => {
  const load = (): Cases => JSON.parse(readFileSync(join(vectors ?? '', 'hallpass/receipts.json'), 'utf8'));

  it('the 15 good receipts verify', () => {
    const { good, vkey } = load();
    expect(good).toHaveLength(15);
    for (const { receipt, comment } of good) expect(() => verifyReceipt(receipt, vkey), comment).not.toThrow();
  });

  it('the 10 bad ones do not', () => {
    const { bad, vkey } = load();
    expect(bad).toHaveLength(10);
    for (const { receipt, comment } of bad) expect(() => verifyReceipt(receipt, vkey), comment).toThrow(ReceiptError);
  });

  it('the seed makes the verifier key, and our own log makes the same receipts byte for byte', () => {
    const { good, vkey, seed } = load();
    const signer = noteSigner('pass.example.com/ledger', Buffer.from(seed, 'hex'));
    expect(signer.vkey).toBe(vkey);
    const last = good.filter(({ receipt }) => receipt.proof.includes('\n5\n')).map(({ receipt }) => receipt);
    expect(last).toHaveLength(5);
    const leaves = last.map(({ record }) => leafHash(record));
    const grown = extend(0, [], leaves);
    for (const { index, proof } of last) {
      const path = inclusionProof(index, grown.size, grown.node);
      expect(formatProof({ index, path, checkpoint: signCheckpoint(signer, 5, grown.root) })).toBe(proof);
    }
  });

  it('its records and disclosures are ours', () => {
    const { good, disclosures } = load();
    for (const { receipt } of good) expect(recordText(parseRecord(receipt.record))).toBe(receipt.record);
    for (const { disclosure, who } of disclosures) {
      expect(whoOf(disclosure)).toBe(who);
      expect(openDisclosure(disclosure).name).toBe('shop:checkout');
    }
  });
});

describe('receipts', () => {
  const signer = noteSigner('pass.example.com/ledger', new Uint8Array(32).fill(9));
  const records = ['{"a":1}', '{"a":2}', '{"a":3}'];
  const grown = extend(0, [], records.map(leafHash));
  const receipt = (index: number): Receipt => ({
    log: signer.name,
    index,
    record: records[index] as string,
    proof: formatProof({
      index,
      path: inclusionProof(index, 3, grown.node),
      checkpoint: signCheckpoint(signer, 3, grown.root),
    }),
  });

  it('one verifier checks many of one checkpoint and says the size of the tree', () => {
    const verify = receiptVerifier(signer.vkey);
    for (const index of [0, 1, 2, 0]) expect(verify(receipt(index))).toMatchObject({ size: 3, generation: 1 });
  });

  const inLog = (name: string): Receipt => {
    const checkpoint = signCheckpoint(signer.as(name), 3, grown.root);
    return {
      ...receipt(1),
      log: name,
      proof: formatProof({ index: 1, path: inclusionProof(1, 3, grown.node), checkpoint }),
    };
  };

  it.each([
    ['/0', { shard: 0, generation: 1 }],
    ['/63', { shard: 63, generation: 1 }],
    ['~2', { generation: 2 }],
    ['/7~12', { shard: 7, generation: 12 }],
  ])('one of the log %s of the ledger verifies under the ledger’s own key', (suffix, log) => {
    expect(receiptVerifier(signer.vkey)(inLog(signer.name + suffix))).toMatchObject({ size: 3, ...log });
  });

  it.each(['/64', '/01', '/', '/-1', '/x', '~1', '~0', '~02', '~', '/1~1', '~2/1', '/1/1', '.example', '/1a'])(
    'one of %s, which is no log of the ledger, does not',
    (suffix) => {
      expect(() => receiptVerifier(signer.vkey)(inLog(signer.name + suffix))).toThrow('wrong_log');
    },
  );

  it('one of a shard does not verify as another shard’s, nor under another key', () => {
    const verify = receiptVerifier(signer.vkey);
    const good = inLog(`${signer.name}/1`);
    verify(good);
    for (const log of [signer.name, `${signer.name}/2`, `${signer.name}/1~2`])
      expect(() => verify({ ...good, log }), log).toThrow('not_signed');
    expect(() => verifyReceipt(good, noteSigner(signer.name, random(32)).vkey)).toThrow('not_signed');
  });

  it('a remembered checkpoint does not let a wrong record pass', () => {
    const verify = receiptVerifier(signer.vkey);
    verify(receipt(0));
    expect(() => verify({ ...receipt(0), record: '{"a":9}' })).toThrow('not_included');
    expect(() => verify({ ...receipt(1), log: 'other' })).toThrow('wrong_log');
  });

  it.each([
    ['a missing newline at the end', (proof: string) => proof.slice(0, -1)],
    ['a checkpoint with an extension line', (proof: string) => proof.replace('\n3\n', '\n3\n\nx')],
    ['an index with a leading zero', (proof: string) => proof.replace('index 0', 'index 00')],
    ['a hash that is not canonical base64', (proof: string) => proof.replace('=\n', '\n')],
    ['another first line', (proof: string) => proof.replace('@v1', '@v2')],
    ['no signature', (proof: string) => proof.replace(/\u2014.*\n/, '')],
  ])('refuses a proof with %s', (_, change) => {
    const good = receipt(0);
    expect(() => verifyReceipt({ ...good, proof: change(good.proof) }, signer.vkey)).toThrow(ReceiptError);
  });

  it('takes a proof with extra data, as the format allows', () => {
    const good = receipt(0);
    const proof = good.proof.replace('\nindex', '\nextra aGk=\nindex');
    verifyReceipt({ ...good, proof }, signer.vkey);
    expect(parseProof(proof)?.index).toBe(0);
  });
});

describe('signed notes', () => {
  const vkey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
  const note =
    'This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';

  it('the example of the C2SP text verifies', () => {
    expect(noteVerifier(vkey).open(note)).toBe('This is an example message.\n');
  });

  it('ignores signatures of unknown keys beside a good one', () => {
    const other = noteSigner('example.com/bar', random(32));
    const line = other.sign('This is an example message.\n').split('\n\n')[1];
    expect(noteVerifier(vkey).open(note + line)).toBe('This is an example message.\n');
  });

  it.each([
    ['the text changed', note.replace('example message', 'example massage')],
    ['the signature changed', note.replace('Uw2QOkn8', 'Uw2QOkn9')],
    ['a second, bad signature of the same key', note + note.split('\n\n')[1]?.replace('Ok', 'Oj')],
    [
      'only a signature of another key',
      noteSigner('example.com/foo', random(32)).sign('This is an example message.\n'),
    ],
    ['a control character', note.replace('message', 'mess\u0007age')],
    ['a carriage return', note.replaceAll('\n', '\r\n')],
    ['nothing', ''],
  ])('refuses a note with %s', (_, bad) => {
    expect(() => noteVerifier(vkey).open(bad)).toThrow(NoteError);
  });

  it.each([
    ['a key hash of another key', vkey.replace('530d903a', '530d903b')],
    ['another algorithm', vkey.replace('+Aeky', '+Beky')],
    ['no name', vkey.replace('example.com/foo', '')],
    ['a truncated key', vkey.slice(0, -4)],
    ['no plus', 'example.com/foo'],
  ])('refuses a verifier key with %s', (_, bad) => {
    expect(() => noteVerifier(bad)).toThrow(NoteError);
  });

  it('refuses a name that a note cannot carry', () => {
    expect(() => noteSigner('has space', random(32))).toThrow();
    expect(() => noteSigner('has+plus', random(32))).toThrow();
  });
});

describe('disclosures', () => {
  it('open to what was sealed, and two of the same have different digests', () => {
    const one = disclose({ name: 'a:b', claims: { x: 1 } }, random);
    const two = disclose({ name: 'a:b', claims: { x: 1 } }, random);
    expect(openDisclosure(one.disclosure)).toEqual({ name: 'a:b', claims: { x: 1 } });
    expect(one.who).not.toBe(two.who);
    expect(toHex(Buffer.from(one.who, 'base64url'))).toHaveLength(64);
  });

  const sealed = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const salt = Buffer.alloc(16).toString('base64url');
  it.each([
    ['not base64url', '!!'],
    ['padded base64url', `${sealed([salt, {}])}=`],
    ['no array', sealed({})],
    ['a short salt', sealed(['AA', {}])],
    ['an unknown member', sealed([salt, { secret: 1 }])],
    ['a text where an object belongs', sealed([salt, { claims: 'x' }])],
    ['a mint without what is to be signed', sealed([salt, { mint: { use: 'jwt', alg: 'ES256' } }])],
    ['a mint with both', sealed([salt, { mint: { use: 'jwt', alg: 'ES256', claims: {}, certificate: {} } }])],
    ['a mint for another use', sealed([salt, { mint: { use: 'root', alg: 'ES256', claims: {} } }])],
    ['a duplicate member', Buffer.from(`["${salt}",{"name":"a","name":"b"}]`).toString('base64url')],
    ['more than 64 KiB', sealed([salt, { why: 'x'.repeat(70_000) }])],
  ])('refuses %s', (_, text) => {
    expect(() => openDisclosure(text)).toThrow(DisclosureError);
  });
});
