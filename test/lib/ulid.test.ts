import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { isUlid, newUlid, ulidTime } from '../../src/lib/ulid.ts';

test('a ULID is 26 lower-case Crockford digits and gives its time back', () => {
  for (const now of [0, 1, 1_469_918_176_385, 2 ** 48 - 1]) {
    const ulid = newUlid(now, randomBytes);
    expect(ulid).toMatch(/^[0-9a-hjkmnp-tv-z]{26}$/);
    expect(isUlid(ulid)).toBe(true);
    expect(ulidTime(ulid)).toBe(now);
  }
});

test('the known time of the ULID specification comes out', () => {
  expect(newUlid(1_469_918_176_385, () => new Uint8Array(16))).toBe('01aryz6s410000000000000000');
});

test('the digits are those of its own random bytes, five bits of each, whatever was made before it', () => {
  const digits = '0123456789abcdefghjkmnpqrstvwxyz';
  for (const seed of [0, 1, 31, 32, 200, 255]) {
    const bytes = Uint8Array.from({ length: 16 }, (_, at) => (seed + at * 7) % 256);
    newUlid(2 ** 48 - 1, () => new Uint8Array(16).fill(255));
    const random = Array.from(bytes, (byte) => digits[byte % 32]).join('');
    expect(newUlid(0, () => bytes)).toBe(`0000000000${random}`);
  }
});

test('ULIDs sort by time', () => {
  const ulids = [1, 31, 32, 1024, 1_700_000_000_000].map((now) => newUlid(now, randomBytes));
  expect(ulids.toSorted()).toEqual(ulids);
});

test('eighty random bits: no two alike among ten thousand of one millisecond', () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newUlid(7, randomBytes))).size).toBe(10_000);
});

test.each([
  ['upper case', '01ARYZ6S410000000000000000'],
  ['too short', '01aryz6s41000000000000000'],
  ['too long', '01aryz6s4100000000000000000'],
  ['past 48 bits', '8zzzzzzzzz0000000000000000'],
  ['a letter Crockford leaves out', '01aryz6s41000000000000000i'],
  ['a trailing newline', '01aryz6s410000000000000000\n'],
  ['not a text', 1],
])('%s is none', (_, text) => {
  expect(isUlid(text)).toBe(false);
});
