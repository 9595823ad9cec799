/** SEQUENCE (X.690). */
export const sequenceTag = 0x30;

/** Bytes that are not DER, or not what was expected there. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One value (X.690): `raw` is the whole of it, `content` what is after tag and length. */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly raw: Uint8Array;
}

/** Reads the one value that `bytes` are, in the one encoding DER allows. @throws DerError */
export function readDer(bytes: Uint8Array): DerValue {
  const value = readAt(bytes, 0);
  if (value.raw.length !== bytes.length) throw new DerError('bytes after the value');
  return value;
}

/** The values within a constructed one of this tag. @throws DerError */
export function valuesIn({ tag, content }: DerValue, wanted = sequenceTag): DerValue[] {
  if (tag !== wanted) throw new DerError('another tag');
  const values: DerValue[] = [];
  for (let at = 0; at < content.length; ) {
    const value = readAt(content, at);
    values.push(value);
    at += value.raw.length;
  }
  return values;
}

// No tag here is above 30, and no length above three bytes.
function readAt(bytes: Uint8Array, at: number): DerValue {
  const tag = bytes[at] ?? 0;
  const first = bytes[at + 1] ?? 0x80;
  let begin = at + 2;
  let length = first;
  if (first >= 0x80) {
    const digits = first & 0x7f;
    if (digits < 1 || digits > 3) throw new DerError('a length of another form');
    length = 0;
    for (const digit of bytes.subarray(begin, begin + digits)) length = length * 256 + digit;
    begin += digits;
    if (length < 0x80 || length < 256 ** (digits - 1)) throw new DerError('a length that could be shorter');
  }
  const end = begin + length;
  if ((tag & 0x1f) === 0x1f || end > bytes.length) throw new DerError('cut off');
  return { tag, content: bytes.subarray(begin, end), raw: bytes.subarray(at, end) };
}
