/** A text as bytes, and the same bytes to be read four at a time. */
export interface Bytes {
  readonly bytes: Buffer;
  readonly view: DataView;
}

export const bytesOf = (bytes: Buffer): Bytes => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
});

/** By unit, 1 where it is one of these. */
const unitsOf = (units: string): Uint8Array =>
  Uint8Array.from({ length: 128 }, (_, unit) => (units.includes(String.fromCharCode(unit)) ? 1 : 0));
export const digits = unitsOf('0123456789');
export const base64url = unitsOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
/** Printable ASCII but quote and backslash, which stands as it is (RFC 8785 section 3.2.2.2). */
export const plain = Uint8Array.from({ length: 128 }, (_, unit) =>
  unit >= 0x20 && unit < 0x7f && unit !== 0x22 && unit !== 0x5c ? 1 : 0,
);
export const base32 = unitsOf('0123456789abcdefghjkmnpqrstvwxyz');

/** Many times sooner than a pattern, where short texts are cut from a long one. */
export function isOf(units: Uint8Array, text: string): boolean {
  for (let at = 0; at < text.length; at++) if (units[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Whether so many bytes from here are of these units; none is beyond the last. */
export function isOfAt(units: Uint8Array, bytes: Buffer, from: number, many: number): boolean {
  for (let at = from; at < from + many; at++) if (units[bytes[at] as number] !== 1) return false;
  return true;
}

/** Whether an instant with milliseconds lies here that is of the same minute as this one, which may be without. */
export function isOfMinuteAt(bytes: Buffer, from: number, known: string): boolean {
  if (known.length !== 24) return false;
  for (let at = 0; at < 17; at++) if (bytes[from + at] !== known.charCodeAt(at)) return false;
  // With a second below 60 and three decimals: nothing else can make it none.
  const seconds = isOfAt(digits, bytes, from + 17, 2) && (bytes[from + 17] as number) < 0x36;
  return seconds && bytes[from + 19] === 0x2e && isOfAt(digits, bytes, from + 20, 3) && bytes[from + 23] === 0x5a;
}

/** ASCII as it is found again in bytes, four at a time. */
export interface Fixed {
  readonly text: string;
  readonly length: number;
  /** The last one filled up with zeros. */
  readonly words: Uint32Array;
}

export function fixedOf(text: string): Fixed {
  const { length } = text;
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4);
  bytes.write(text, 'latin1');
  const words = Uint32Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32LE(at * 4));
  return { text, length, words };
}

export function isFixedAt({ bytes, view }: Bytes, from: number, { words, length }: Fixed): boolean {
  if (from + length > view.byteLength) return false;
  const whole = length >>> 2;
  for (let at = 0; at < whole; at++) if (view.getUint32(from + at * 4, true) !== words[at]) return false;
  for (let at = whole * 4; at < length; at++)
    if (bytes[from + at] !== ((words[whole] as number) >>> ((at % 4) * 8)) % 256) return false;
  return true;
}
