import { expect, test } from 'vitest';
import { crc32c } from '../../src/lib/crc32c.ts';

test('computes the CRC32C of RFC 3720 appendix B.4 and of the usual check text', () => {
  expect(crc32c(new Uint8Array(0))).toBe(0);
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});
