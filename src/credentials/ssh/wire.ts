import { concat, toUtf8 } from '../../lib/bytes.ts';

/** Bytes that are not what the SSH protocol has there. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export function uint32(number: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

export function uint64(number: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(number);
  return bytes;
}

/** A string (RFC 4251 section 5): its length, then its bytes; made of parts that are put one after the other. */
export function string(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const bytes = concat(...parts.map((part) => (typeof part === 'string' ? toUtf8(part) : part)));
  return concat(uint32(bytes.length), bytes);
}

/** A number that is not negative, from its big-endian bytes (RFC 4251 section 5: mpint). */
export function mpint(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? new Uint8Array(0) : bytes.subarray(first);
  return (digits[0] ?? 0) >= 0x80 ? string(Uint8Array.of(0), digits) : string(digits);
}

export interface Reader {
  /** The next string's bytes. @throws WireError */
  string(): Uint8Array;
  /** The next so many bytes. @throws WireError */
  take(length: number): Uint8Array;
  /** What is left. */
  rest(): Uint8Array;
}

export function readerOf(bytes: Uint8Array): Reader {
  let at = 0;
  function take(length: number): Uint8Array {
    if (length > bytes.length - at) throw new WireError('cut off');
    at += length;
    return bytes.subarray(at - length, at);
  }
  return {
    take,
    string: () => take(Buffer.from(take(4)).readUInt32BE()),
    rest: () => take(bytes.length - at),
  };
}
