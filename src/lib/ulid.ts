const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

/** A lower-case ULID: 48 bits of milliseconds, 80 random bits, Crockford base32 (ulid/spec). */
export function newUlid(now: number, random: (bytes: number) => Uint8Array): string {
  let text = '';
  let time = now;
  for (let digit = 0; digit < 10; digit++) {
    text = alphabet[time % 32] + text;
    time = Math.floor(time / 32);
  }
  const bytes = random(16);
  for (let digit = 0; digit < 16; digit++) text += alphabet[(bytes[digit] as number) & 31];
  return text;
}

const ulidPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

export const isUlid = (text: unknown): text is string => typeof text === 'string' && ulidPattern.test(text);

/** Milliseconds since the epoch that the ULID was made at. */
export function ulidTime(ulid: string): number {
  let time = 0;
  for (const digit of ulid.slice(0, 10)) time = time * 32 + alphabet.indexOf(digit);
  return time;
}
