import { sha256 } from '../../lib/bytes.ts';

/** The advisory lock of one account: a signed 64-bit number, in decimal. */
export const lockKey = (account: string): string =>
  Buffer.from(sha256('hallpass/postgres/', account)).readBigInt64BE(0).toString();
