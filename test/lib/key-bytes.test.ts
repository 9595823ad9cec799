import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { keyBytes } from '../../src/lib/key-bytes.ts';
import { Secret } from '../../src/lib/secret.ts';

const key = Buffer.from([0xfb, 0xff, 0xfe, ...randomBytes(29)]);

describe('keyBytes', () => {
  it.each([
    ['the bytes', key],
    ['hex', key.toString('hex')],
    ['upper-case hex', key.toString('hex').toUpperCase()],
    ['base64', key.toString('base64')],
    ['base64url', key.toString('base64url')],
    ['text with a line end', `${key.toString('base64')}\n`],
    ['text with a Windows line end', `${key.toString('hex')}\r\n`],
  ])('reads %s', (_, value) => {
    expect(Buffer.from(keyBytes(new Secret(value)) ?? [])).toEqual(key);
  });

  it.each([
    ['nothing', ''],
    ['31 bytes', key.subarray(1)],
    ['33 bytes', Buffer.concat([key, key.subarray(0, 1)])],
    ['base64 of 31 bytes', key.subarray(1).toString('base64')],
    ['base64 of 33 bytes', Buffer.concat([key, key.subarray(0, 1)]).toString('base64')],
    ['63 hex digits', key.toString('hex').slice(1)],
    ['two line ends', `${key.toString('base64')}\n\n`],
    ['a space before', ` ${key.toString('base64')}`],
    ['a long text', 'x'.repeat(100_000)],
  ])('refuses %s', (_, value) => {
    expect(keyBytes(new Secret(value))).toBeUndefined();
  });
});
