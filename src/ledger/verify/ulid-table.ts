/** A number for each of many ULIDs, in 24 bytes a place: a Map of texts takes six times as much, and 2^24 at most. */
export interface UlidTable {
  get(ulid: string): number | undefined;
  /** A safe integer, not negative. */
  set(ulid: string, value: number): void;
  /** For one that lies in bytes; false where it is there already, and stays as it is. */
  add(bytes: Uint8Array, from: number, value: number): boolean;
  /** From which it can be gone on: plain, and what was set up to now. */
  readonly state: UlidTableState;
}

export interface UlidTableState {
  /** Four for each place: the 128 bits of a ULID. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** By place; -1 where there is none. */
  readonly values: Float64Array<ArrayBuffer>;
  readonly size: number;
  /** By which a ULID finds its place: not known to whoever chose it. */
  readonly factors: Uint32Array<ArrayBuffer>;
}

const fewest = 1_024;

const blank = (): UlidTableState => ({
  ...places(fewest),
  size: 0,
  factors: crypto.getRandomValues(new Uint32Array(4)),
});

const places = (many: number) => ({ words: new Uint32Array(many * 4), values: new Float64Array(many).fill(-1) });

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const digits = Uint8Array.from({ length: 128 }, (_, unit) => Math.max(0, alphabet.indexOf(String.fromCharCode(unit))));

export function openUlidTable(from: UlidTableState = blank()): UlidTable {
  let { words, values, size } = from;
  const { factors } = from;
  const word = new Uint32Array(4);
  const units = new Uint8Array(26);

  function read(ulid: string): void {
    for (let at = 0; at < units.length; at++) units[at] = ulid.charCodeAt(at);
    readAt(units, 0);
  }

  function readAt(bytes: Uint8Array, from: number): void {
    const digit = (at: number) => digits[bytes[from + at] as number] as number;
    for (let at = 0; at < 4; at++) {
      let bits = 0;
      for (let next = at * 6; next < at * 6 + 6; next++) bits = bits * 32 + digit(next);
      word[at] = bits;
    }
    // The first digit has 3 bits, so there is room for the last two: four bits in the first word, two in each other.
    const rest = digit(24) * 32 + digit(25);
    word[0] = (word[0] as number) | ((rest >>> 6) << 28);
    for (let at = 1; at < 4; at++) word[at] = (word[at] as number) | (((rest >>> (6 - at * 2)) & 3) << 30);
  }

  /** The place of what was read, or the free one where it belongs. */
  function placeOf(): number {
    let sum = 0;
    for (let at = 0; at < 4; at++) sum = (sum + Math.imul((factors[at] as number) | 1, word[at] as number)) | 0;
    let place = (sum >>> 0) >>> (32 - Math.log2(values.length));
    while (values[place] !== -1 && !isAt(place)) place = (place + 1) % values.length;
    return place;
  }

  function isAt(place: number): boolean {
    for (let at = 0; at < 4; at++) if (words[place * 4 + at] !== word[at]) return false;
    return true;
  }

  function put(value: number): void {
    const place = placeOf();
    if (values[place] === -1) size++;
    words.set(word, place * 4);
    values[place] = value;
  }

  function grow(): void {
    const [oldWords, oldValues] = [words, values];
    ({ words, values } = places(values.length * 2));
    size = 0;
    for (const [place, value] of oldValues.entries()) {
      if (value === -1) continue;
      word.set(oldWords.subarray(place * 4, place * 4 + 4));
      put(value);
    }
  }

  return {
    get(ulid) {
      read(ulid);
      const value = values[placeOf()] as number;
      return value === -1 ? undefined : value;
    },
    set(ulid, value) {
      if (size >= values.length * 0.7) grow();
      read(ulid);
      put(value);
    },
    add(bytes, from, value) {
      if (size >= values.length * 0.7) grow();
      readAt(bytes, from);
      const place = placeOf();
      if (values[place] !== -1) return false;
      size++;
      words.set(word, place * 4);
      values[place] = value;
      return true;
    },
    get state() {
      return { words, values, size, factors };
    },
  };
}
