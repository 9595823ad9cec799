import { setImmediate as othersTurn } from 'node:timers/promises';
import { sha256 } from '../../lib/bytes.ts';

const digits = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Rounds between two pauses: a millisecond or two, in which nobody else is served. */
const roundsAtOnce = 500;

/**
 * The digest of SHA-256-crypt (Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6) in its 43
 * characters. MySQL's salts are longer than the 16 bytes of crypt(3), and the algorithm has no limit of its own.
 */
export async function shaCrypt(password: Uint8Array, salt: Uint8Array, rounds: number): Promise<string> {
  const alternate = sha256(password, salt, password);
  const mixed: Uint8Array[] = [password, salt, repeated(alternate, password.length)];
  for (let bits = password.length; bits > 0; bits >>= 1) mixed.push(bits & 1 ? alternate : password);
  let digest = sha256(...mixed);
  const p = repeated(sha256(...Array(password.length).fill(password)), password.length);
  const s = repeated(sha256(...Array(16 + (digest[0] as number)).fill(salt)), salt.length);
  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1;
    const parts = [odd ? p : digest];
    if (round % 3 !== 0) parts.push(s);
    if (round % 7 !== 0) parts.push(p);
    parts.push(odd ? digest : p);
    digest = sha256(...parts);
    if (round % roundsAtOnce === 0) await othersTurn();
  }
  return encode(digest);
}

/** `bytes` over and over, `length` bytes in all. */
function repeated(bytes: Uint8Array, length: number): Uint8Array {
  const filled = new Uint8Array(length);
  for (let at = 0; at < length; at++) filled[at] = bytes[at % bytes.length] as number;
  return filled;
}

/** Three bytes to four characters, the lowest six bits first; which three is crypt's own order. */
function encode(digest: Uint8Array): string {
  const byte = (at: number) => digest[at] as number;
  let text = '';
  for (let group = 0; group < 10; group++) {
    const [a, b, c] = [0, 1, 2].map((turn) => ((turn + 2 * group) % 3) * 10 + group) as [number, number, number];
    text += characters((byte(a) << 16) | (byte(b) << 8) | byte(c), 4);
  }
  return text + characters((byte(31) << 8) | byte(30), 3);
}

function characters(value: number, count: number): string {
  let text = '';
  for (let left = value, turn = 0; turn < count; turn++, left >>= 6) text += digits[left & 63];
  return text;
}
