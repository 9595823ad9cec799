/** A reply of RESP2. An error within an array is a reply like any other. */
export type Reply = string | number | null | RedisError | readonly Reply[];

/** What the server refused, by the first word it said: `WRONGPASS`, `NOPERM`, `ERR`, ... None of its other words. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
  readonly code: string;
  constructor(line: string) {
    const code = /^[A-Z]{2,24}(?= |$)/.exec(line)?.[0] ?? 'unknown';
    super(code);
    this.code = code;
  }
}

/** A reply that is none, or larger than it may be. */
export class RespError extends Error {
  override readonly name = 'RespError';
}

export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}

const mostBytes = 16 * 1024 * 1024;
const mostDepth = 4;
/** Of a line; only what says a text or an error has more than a few characters. */
const longestLine = 65_536;

/** Takes bytes as they come and gives whole replies, each of 16 MiB at most. @throws RespError from `take` */
export interface ReplyParser {
  take(bytes: Buffer): readonly Reply[];
}

export function openParser(): ReplyParser {
  const open: { readonly items: Reply[]; left: number }[] = [];
  let chunks: Buffer[] = [];
  let size = 0;
  /** How many bytes there must be before another look is worth it. */
  let wanted = 1;
  /** Of the reply that is not whole yet, those read already too. */
  let ofReply = 0;

  /** Puts a value where it belongs. @returns the reply, when that is whole now */
  function place(value: Reply): Reply | undefined {
    let whole = value;
    for (;;) {
      const array = open.at(-1);
      if (array === undefined) return whole;
      array.items.push(whole);
      if (--array.left > 0) return undefined;
      whole = array.items;
      open.pop();
    }
  }

  return {
    take(bytes) {
      chunks.push(bytes);
      size += bytes.length;
      ofReply += bytes.length;
      if (ofReply > mostBytes) throw new RespError('too_large');
      if (size < wanted) return [];
      const all = Buffer.concat(chunks);
      const replies: Reply[] = [];
      let at = 0;
      let token = readToken(all, at);
      for (; typeof token !== 'number'; token = readToken(all, at)) {
        at = token.end;
        if (token.array !== undefined) {
          if (open.length === mostDepth) throw new RespError('bad_reply');
          open.push({ items: [], left: token.array });
          continue;
        }
        const reply = place(token.value);
        if (reply === undefined) continue;
        replies.push(reply);
        ofReply = all.length - at;
      }
      chunks = [all.subarray(at)];
      size = all.length - at;
      wanted = token;
      return replies;
    },
  };
}

/** A value, or the head of an array that has `array` of them. */
type Token =
  | { readonly end: number; readonly value: Reply; readonly array?: undefined }
  | { readonly end: number; readonly array: number };

/** @returns the token at `at`, or how many bytes from there on it takes at least when it is not all there yet */
function readToken(bytes: Buffer, at: number): Token | number {
  const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
  const length = (lineEnd < 0 ? bytes.length : lineEnd) - at;
  if (length > longestLine) throw new RespError('bad_reply');
  if (lineEnd < 0) return length + 1;
  const line = bytes.toString('utf8', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] as number)) {
    case '+':
      return { value: line, end };
    case '-':
      return { value: new RedisError(line), end };
    case ':':
      return { value: integerOf(line), end };
    case '$':
      return readBulk(bytes, at, end, integerOf(line));
    case '*':
      return arrayOf(integerOf(line), end);
    default:
      throw new RespError('bad_reply');
  }
}

function readBulk(bytes: Buffer, from: number, at: number, length: number): Token | number {
  if (length === -1) return { value: null, end: at };
  if (length < 0) throw new RespError('bad_reply');
  const end = at + length;
  if (bytes.length < end + 2) return end + 2 - from;
  if (bytes.toString('latin1', end, end + 2) !== '\r\n') throw new RespError('bad_reply');
  return { value: bytes.toString('utf8', at, end), end: end + 2 };
}

function arrayOf(length: number, end: number): Token {
  if (length === -1) return { value: null, end };
  if (length === 0) return { value: [], end };
  if (length < 0) throw new RespError('bad_reply');
  return { array: length, end };
}

function integerOf(line: string): number {
  const value = /^-?\d{1,16}$/.test(line) ? Number(line) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new RespError('bad_reply');
  return value;
}
