import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, compactDecrypt } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSealKey, type SealKey } from '../../src/broker/seal-key.ts';
import type { IssueCall } from '../../src/broker.ts';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import type { Decision } from '../../src/policy/policy.ts';
import { type House, openHouse, secretValue } from './house.ts';

interface Pair {
  readonly key: SealKey;
  readonly privateKey: KeyObject;
}

function newPair(): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string };
  return { key: readSealKey(x, y) as SealKey, privateKey };
}

const mine = newPair();
const others = newPair();

async function open(sealed: string | undefined, { privateKey }: Pair) {
  const { plaintext, protectedHeader } = await compactDecrypt(sealed ?? '', privateKey);
  return { data: JSON.parse(new TextDecoder().decode(plaintext)), header: protectedHeader };
}

describe('a key to seal to', () => {
  it('has the thumbprint of RFC 7638', async () => {
    expect(mine.key.thumbprint).toBe(await calculateJwkThumbprint(mine.key.jwk));
  });

  it('is good when node:crypto made it', () => {
    for (let at = 0; at < 50; at++) expect(newPair().key).toBeDefined();
  });

  const { x, y } = mine.key.jwk;
  const flipped = (text: string) => `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}`;
  const ofBigInt = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64url');
  const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
  const plusP = (text: string) => ofBigInt(BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`) + p);
  // Of so small an x that x + p still fits into 32 bytes.
  const small = createSmallPoint(p);

  it.each([
    ['another x', flipped(x), y],
    ['another y', x, flipped(y)],
    ['the coordinates swapped', y, x],
    ['zero', ofBigInt(0n), ofBigInt(0n)],
    ['padding', `${x}=`, y],
    ['a short x', x.slice(0, 42), y],
    ['a long x', `${x}AA`, y],
    ['nothing', '', ''],
    ['not base64url', x.replace(/^./, '+'), y],
    ['x = p', ofBigInt(p), y],
    ['x + p, the same point to one who does not look', plusP(small.x), small.y],
  ])('is refused with %s', (_, badX, badY) => {
    expect(readSealKey(badX, badY)).toBeUndefined();
  });

  it('would have been good without the p added', () => {
    expect(readSealKey(small.x, small.y)).toBeDefined();
  });

  function createSmallPoint(modulus: bigint): { x: string; y: string } {
    const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
    const power = (base: bigint, exponent: bigint) => {
      let [result, square] = [1n, base % modulus];
      for (let left = exponent; left > 0n; left >>= 1n) {
        if (left & 1n) result = (result * square) % modulus;
        square = (square * square) % modulus;
      }
      return result;
    };
    for (let small = 1n; ; small++) {
      const right = (((small ** 3n - 3n * small + b) % modulus) + modulus) % modulus;
      const root = power(right, (modulus + 1n) / 4n);
      if ((root * root) % modulus === right) return { x: ofBigInt(small), y: ofBigInt(root) };
    }
  }
});

describe('sealing', () => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse();
  });
  afterEach(() => house.close());

  const call = (credential: string, sealTo?: SealKey): IssueCall => ({
    ...house.call(credential),
    options: async () => (sealTo === undefined ? {} : { sealTo }),
  });
  const pinned = (sealTo: string): Decision => ({
    allow: true,
    grant: 'sealed',
    terms: { ttl: 600, once: false, tokenLife: false, claims: [], sealTo },
  });
  const refusalOf = (work: Promise<unknown>) =>
    work.then(
      () => Promise.reject(new Error('nothing was refused')),
      (error) => error as Refusal,
    );
  const last = async () => (await house.records()).at(-1);

  it.each(['stripe-key', 'orders-db'])('hands %s over to the holder of the key alone', async (name) => {
    const answer = await house.broker.issue(call(name, mine.key));
    expect(Object.keys(answer)).not.toContain('data');
    expect(JSON.stringify(answer)).not.toContain(secretValue);
    const { data, header } = await open(answer.sealed, mine);
    expect(Object.values(data)).toContain(secretValue);
    expect(header).toMatchObject({
      alg: 'ECDH-ES+A256KW',
      enc: 'A256GCM',
      kid: mine.key.thumbprint,
      cty: 'application/json',
    });
    await expect(open(answer.sealed, others)).rejects.toThrow();
  });

  it('seals each answer anew', async () => {
    const one = await house.broker.issue(call('stripe-key', mine.key));
    const two = await house.broker.issue(call('stripe-key', mine.key));
    const parts = [one, two].map(({ sealed }) => sealed?.split('.') ?? []);
    for (let at = 0; at < 5; at++) expect(parts[0]?.[at]).not.toBe(parts[1]?.[at]);
  });

  it('leaves the record as it is without: the fingerprint of the plain value, nothing of the key', async () => {
    const plain = JSON.parse((await house.broker.issue(call('stripe-key'))).receipt.record);
    const { receipt } = await house.broker.issue(call('stripe-key', mine.key));
    const sealed = JSON.parse(receipt.record);
    expect(sealed.fingerprint).toBe(plain.fingerprint);
    expect(Object.keys(sealed)).toEqual(Object.keys(plain));
    const disclosed = Buffer.from(receipt.disclosure ?? '', 'base64url').toString();
    for (const text of [receipt.record, disclosed]) {
      expect(text).not.toContain(mine.key.thumbprint);
      expect(text).not.toContain(mine.key.jwk.x);
    }
  });

  it('seals nothing when the record fails, and undoes what was made', async () => {
    house.fault = { type: 'issuance', how: 'refused' };
    const refusal = await refusalOf(house.broker.issue(call('orders-db', mine.key)));
    expect(refusal.code).toBe('ledger_unavailable');
    expect([...house.target.alive]).toEqual([]);
  });

  it('finds a key that no code takes before anything is made or recorded', async () => {
    const bad = { ...mine.key, jwk: { ...mine.key.jwk, y: mine.key.jwk.x } };
    expect((await refusalOf(house.broker.issue(call('orders-db', bad)))).code).toBe('internal');
    expect(house.target.made).toEqual([]);
    expect(house.appended).toEqual([]);
  });

  it('undoes what cannot be sealed after all, and leaves its revocation to be recorded', async () => {
    // JSON knows no such number, so that this fails after the record as nothing real can.
    house.target.extra = { count: 1n };
    const refusal = await refusalOf(house.broker.issue(call('orders-db', mine.key)));
    expect([refusal.code, refusal.reason]).toEqual(['internal', 'seal']);
    expect([...house.target.alive]).toEqual([]);
    await house.sweeper.run(deadlineIn(15_000, () => house.clock.ms));
    expect((await last())?.type).toBe('revocation');
  });

  describe('to the key a grant pins', () => {
    it('hands it over', async () => {
      house.decide = () => pinned(mine.key.thumbprint);
      const answer = await house.broker.issue(call('stripe-key', mine.key));
      expect((await open(answer.sealed, mine)).data.value).toBe(secretValue);
    });

    it.each([
      ['without a key', undefined],
      ['with another', others.key],
    ])('denies a request %s, and records it as seal_key', async (_, key) => {
      house.decide = () => pinned(mine.key.thumbprint);
      const refusal = await refusalOf(house.broker.issue(call('orders-db', key)));
      expect([refusal.code, refusal.reason]).toEqual(['denied', 'seal_key']);
      expect(await last()).toMatchObject({ type: 'denial', reason: 'seal_key', credential: 'orders-db' });
      expect(house.target.made).toEqual([]);
    });

    it('denies nothing silently: with the ledger down it is a 503', async () => {
      house.decide = () => pinned(mine.key.thumbprint);
      house.fault = { type: 'denial', how: 'refused' };
      expect((await refusalOf(house.broker.issue(call('stripe-key')))).code).toBe('ledger_unavailable');
    });
  });

  it('records as a denial what the caller turns out not to be able to take', async () => {
    const refused = new Refusal('denied', 'not_a_token');
    const asked = { ...house.call('stripe-key'), options: () => Promise.reject(refused) };
    expect((await refusalOf(house.broker.issue(asked))).reason).toBe('not_a_token');
    expect(await last()).toMatchObject({ type: 'denial', reason: 'not_a_token', credential: 'stripe-key' });
  });
});
