import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { rawFromDer } from '../../src/keys/ecdsa-der.ts';

const bytes = (hex: string) => Buffer.from(hex, 'hex');
const of = (r: string, s: string) => {
  const both = [r, s].map((hex) => `02${(hex.length / 2).toString(16).padStart(2, '0')}${hex}`).join('');
  return bytes(`30${(both.length / 2).toString(16).padStart(2, '0')}${both}`);
};

test('turns a DER signature into one that verifies as r || s, whatever its length', () => {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (let i = 0; i < 300; i++) {
    const data = Buffer.from(`message ${i}`);
    const raw = rawFromDer(sign('sha256', data, key)) as Uint8Array;
    expect(raw.length).toBe(64);
    expect(verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true);
  }
});

test('pads short numbers and drops the sign byte of long ones', () => {
  expect(rawFromDer(of('01', '0080'))).toEqual(bytes(`${'00'.repeat(31)}01${'00'.repeat(31)}80`));
  expect(rawFromDer(of(`00${'ff'.repeat(32)}`, '7f'))).toEqual(bytes(`${'ff'.repeat(32)}${'00'.repeat(31)}7f`));
});

test('takes nothing but the one DER form', () => {
  const wrong = {
    empty: '',
    'other tag': '310602010102010100',
    'bytes after it': '3006020101020101ff',
    'a short length': '3005020101020101',
    'one number': '3003020101',
    'three numbers': '3009020101020101020101',
    'a negative number': '3006020181020101',
    'an empty number': '30050200020101',
    'a longer form': '300702020001020101',
    zero: '3006020100020101',
    'a number past the end': '3006020101020501',
    'a number of 33 bytes': of(`01${'ff'.repeat(32)}`, '01').toString('hex'),
  };
  for (const [what, hex] of Object.entries(wrong)) expect(rawFromDer(bytes(hex)), what).toBeUndefined();
});
