import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkProof, checkReceipt, type Receipt } from '../../src/client/receipt.ts';
import { verifyReceipt } from '../../src/ledger/receipts/receipt.ts';
import { vectors } from '../ledger/vectors.ts';
import { receiptOf, signer } from './fake-hallpass.ts';

interface Cases {
  vkey: string;
  good: { comment: string; receipt: Receipt }[];
  bad: { comment: string; receipt: Receipt }[];
}

describe.skipIf(vectors === undefined)('the receipt vectors (HALLPASS_VECTORS)', () => {
  const load = (): Cases => JSON.parse(readFileSync(join(vectors ?? '', 'hallpass/receipts.json'), 'utf8'));

  it('the 15 good receipts verify in the client too', async () => {
    const { good, vkey } = load();
    expect(good).toHaveLength(15);
    for (const { receipt, comment } of good)
      await expect(checkProof(receipt, [vkey]), comment).resolves.toBeUndefined();
  });

  it('the 10 bad ones do not', async () => {
    const { bad, vkey } = load();
    expect(bad).toHaveLength(10);
    for (const { receipt, comment } of bad) await expect(checkProof(receipt, [vkey]), comment).rejects.toThrow();
  });
});

describe('the client checks receipts as the ledger does', () => {
  const keys = [signer.vkey];
  const agrees = async (receipt: Receipt): Promise<boolean> => {
    const theirs = await checkProof(receipt, keys).then(
      () => true,
      () => false,
    );
    let ours = true;
    try {
      verifyReceipt(receipt, signer.vkey);
    } catch {
      ours = false;
    }
    expect(theirs).toBe(ours);
    return theirs;
  };

  it('for every entry of every log of up to 20', async () => {
    for (let size = 1; size <= 20; size++) {
      const records = Array.from({ length: size }, (_, at) => `{"at":${at}}`);
      for (let at = 0; at < size; at++) expect(await agrees(receiptOf(records, at))).toBe(true);
    }
  });

  it('for the shards and later generations of the ledger, and for no log of another name', async () => {
    const [name] = signer.vkey.split('+') as [string];
    for (const suffix of ['/0', '/63', '~2', '/7~12', '~19'])
      expect(await agrees(receiptOf(['{"a":1}', '{"a":2}'], 1, name + suffix)), suffix).toBe(true);
    for (const suffix of ['x', '/x', '~2x'])
      expect(await agrees(receiptOf(['{"a":1}', '{"a":2}'], 1, name + suffix)), suffix).toBe(false);
    const shard = receiptOf(['{"a":1}'], 0, `${name}/1`);
    for (const log of [name, `${name}/2`, `${name}/1~2`]) expect(await agrees({ ...shard, log }), log).toBe(false);
  });

  it('and takes none of which one character is another', async () => {
    const good = receiptOf(['{"a":1}', '{"a":2}', '{"a":3}'], 1);
    for (let at = 0; at < good.proof.length; at++) {
      const other = good.proof[at] === 'A' ? 'B' : 'A';
      const proof = good.proof.slice(0, at) + other + good.proof.slice(at + 1);
      expect(await agrees({ ...good, proof }), `character ${at}`).toBe(false);
    }
  });

  it('and takes none under the key of another log, or one whose hash is not its own', async () => {
    const receipt = receiptOf(['{"a":1}'], 0);
    const [name, hash, material] = signer.vkey.split('+') as [string, string, string];
    const otherHash = `${name}+${hash.startsWith('0') ? '1' : '0'}${hash.slice(1)}+${material}`;
    for (const key of [`x${signer.vkey}`, otherHash, 'nonsense', `${name}+${hash}+AQ==`])
      await expect(checkProof(receipt, [key]), key).rejects.toThrow();
  });
});

describe('a receipt that verifies', () => {
  it('is still refused when it is about something else', async () => {
    const record = { credential: 'a', id: '01jd9m00000000000000000000', kind: 'secret', type: 'issuance' };
    const claim = { id: record.id, credential: 'a', kind: 'secret' };
    const check = (parts: object) =>
      checkReceipt(receiptOf([JSON.stringify({ ...record, ...parts })], 0), claim, [signer.vkey]);
    await expect(check({})).resolves.toBeUndefined();
    for (const parts of [{ type: 'intent' }, { credential: 'b' }, { id: 'other' }, { kind: 'jwt' }])
      await expect(check(parts), JSON.stringify(parts)).rejects.toMatchObject({ code: 'receipt_invalid' });
  });
});
