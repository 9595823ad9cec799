import { type Check, type Fault, type Limits, says } from './schema.ts';

type Long = string | readonly unknown[];

const origin = (value: Long) => (typeof value === 'string' ? 'string' : 'array');

/** Whether it has so many entries or, as JSON Schema counts, code points: of them a text has at least half its length. */
function reaches(value: Long, count: number): boolean {
  const isPlain = typeof value !== 'string' || value.length < count || value.length >= 2 * count;
  return isPlain ? value.length >= count : [...value].length >= count;
}

/** Characters of a text (code points), or entries of a list. */
export const minLength = (minimum: number, message?: string): Check<Long> => ({
  always: true,
  limits: { minimum },
  fault: (value) =>
    reaches(value, minimum)
      ? undefined
      : { code: 'too_small', origin: origin(value), minimum, inclusive: true, ...says(message) },
});

/** As `minLength`. Of a list that is too long the entries are not looked at. */
export const maxLength = (maximum: number, message?: string): Check<Long> => ({
  always: true,
  limits: { maximum },
  fault: (value) =>
    reaches(value, maximum + 1)
      ? { code: 'too_big', origin: origin(value), maximum, inclusive: true, ...says(message) }
      : undefined,
});

export const minimum = (least: number): Check<number> => ({
  limits: { minimum: least },
  fault: (value) =>
    value >= least ? undefined : { code: 'too_small', origin: 'number', minimum: least, inclusive: true },
});

export const maximum = (most: number): Check<number> => ({
  limits: { maximum: most },
  fault: (value) => (value <= most ? undefined : { code: 'too_big', origin: 'number', maximum: most, inclusive: true }),
});

export const positive = (): Check<number> => ({
  limits: { exclusiveMinimum: 0 },
  fault: (value) => (value > 0 ? undefined : { code: 'too_small', origin: 'number', minimum: 0, inclusive: false }),
});

/** A pattern without the flags `g` and `y`. */
export const regex = (pattern: RegExp, message?: string): Check<string> => ({
  get limits(): Limits {
    return { pattern: pattern.source };
  },
  fault: (value) =>
    pattern.test(value) ? undefined : { code: 'invalid_format', pattern: String(pattern), ...says(message) },
});

/** What no keyword says. */
export const refine = <T>(fits: (value: T) => boolean, message?: string): Check<T> => ({
  fault: (value) => (fits(value) ? undefined : custom(message)),
});

/** As `refine`, in words that depend on the value, and do not repeat it; undefined where it fits. Nothing is asked after it. */
export const test = <T>(faultOf: (value: T) => string | undefined): Check<T> => ({
  ends: true,
  fault(value) {
    const message = faultOf(value);
    return message === undefined ? undefined : custom(message);
  },
});

const custom = (message: string | undefined): Fault => ({ code: 'custom', ...says(message) });
