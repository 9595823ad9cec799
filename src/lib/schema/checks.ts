import { type Check, type Fault, type Limits, says } from './schema.ts';

type Long = string | readonly unknown[];

const origin = (value: Long) => (typeof value === 'string' ? 'string' : 'array');

/** Characters of a text (UTF-16 units), or entries of a list. */
export const minLength = (minimum: number, message?: string): Check<Long> => ({
  always: true,
  limits: { minimum },
  fault: (value) =>
    value.length >= minimum
      ? undefined
      : { code: 'too_small', origin: origin(value), minimum, inclusive: true, ...says(message) },
});

/** As `minLength`. */
export const maxLength = (maximum: number, message?: string): Check<Long> => ({
  always: true,
  limits: { maximum },
  fault: (value) =>
    value.length <= maximum
      ? undefined
      : { code: 'too_big', origin: origin(value), maximum, inclusive: true, ...says(message) },
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

/** As `refine`, in words that depend on the value, and do not repeat it; undefined where it fits. */
export const test = <T>(faultOf: (value: T) => string | undefined): Check<T> => ({
  fault(value) {
    const message = faultOf(value);
    return message === undefined ? undefined : custom(message);
  },
});

const custom = (message: string | undefined): Fault => ({ code: 'custom', ...says(message) });
