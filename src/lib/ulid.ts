const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

const codes = Buffer.from(alphabet, 'latin1');
/** One text is put together at a time: letter by letter as strings it costs several times as much. */
const letters = Buffer.alloc(26);

/** A lower-case ULID: 48 bits of milliseconds, 80 random bits, Crockford base32 (ulid/spec). */
export function newUlid(now: number, random: (bytes: number) => Uint8Array): string {
  const bytes = random(16);
  let time = now;
  for (let digit = 9; digit >= 0; digit--) {
    letters[digit] = codes[time % 32] as number;
    time = Math.floor(time / 32);
  }
  for (let digit = 0; digit < 16; digit++) letters[10 + digit] = codes[(bytes[digit] as number) & 31] as number;
  return letters.toString('latin1');
}

const ulidPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

export const isUlid = (text: unknown): text is string => typeof text === 'string' && ulidPattern.test(text);

/** Milliseconds since the epoch that the ULID was made at. */
export function ulidTime(ulid: string): number {
  let time = 0;
  for (const digit of ulid.slice(0, 10)) time = time * 32 + alphabet.indexOf(digit);
  return time;
}
