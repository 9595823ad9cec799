import { type At, type Issue, mismatch, Schema, says, wrong } from './schema.ts';

/** Text, number, boolean. */
export class Plain<T> extends Schema<T> {
  readonly kind = 'plain';
  constructor(
    readonly type: 'string' | 'number' | 'boolean',
    readonly message: string | undefined,
  ) {
    super();
  }

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (typeof value === this.type && (this.type !== 'number' || Number.isFinite(value))) return value;
    return mismatch(this.type, value, at, issues, this.message);
  }
}

/** A whole number that a double holds exactly. */
export class Int extends Schema<number> {
  readonly kind = 'int';

  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    if (Number.isSafeInteger(value)) return value;
    if (Number.isInteger(value)) {
      const about = { origin: 'number', inclusive: true, path: [...at], soft: true } as const;
      if ((value as number) > 0) issues.push({ code: 'too_big', maximum: Number.MAX_SAFE_INTEGER, ...about });
      else issues.push({ code: 'too_small', minimum: Number.MIN_SAFE_INTEGER, ...about });
      return value;
    }
    return mismatch(typeof value === 'number' ? 'int' : 'number', value, at, issues);
  }
}

export class Values<T> extends Schema<T> {
  readonly kind = 'values';
  constructor(
    readonly values: readonly T[],
    /** Written as a list, however many there are. */
    readonly choice: boolean,
    readonly message: string | undefined,
  ) {
    super();
  }

  protected read(input: unknown, at: At, issues: Issue[]): unknown {
    const { message, values } = this;
    if ((values as readonly unknown[]).includes(input)) return input;
    issues.push({ code: 'invalid_value', values, input, path: [...at], ...says(message) });
    return wrong;
  }
}

/** Any value, but not none. */
export class Unknown extends Schema<unknown> {
  readonly kind = 'unknown';
  protected read(value: unknown, at: At, issues: Issue[]): unknown {
    return value === undefined ? mismatch('value', value, at, issues) : value;
  }
}

export const string = (message?: string) => new Plain<string>('string', message);
export const number = () => new Plain<number>('number', undefined);
export const boolean = () => new Plain<boolean>('boolean', undefined);
export const int = () => new Int();
export const unknown = () => new Unknown();
export const literal = <const T extends string | number | boolean>(value: T, message?: string) =>
  new Values<T>([value], false, message);
export const oneOf = <const T extends string>(values: readonly T[], message?: string) =>
  new Values<T>(values, true, message);
